// Sets of content types, as gzip_types, sub_filter_types and their kin list them.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "proxy/base/ascii.hpp"

namespace gatehouse::config {

/// Content types in lower case, or all of them.
struct MimeTypeSet {
  bool any = false;  ///< "*"
  std::set<std::string, std::less<>> types;

  /// Whether a Content-Type field's value is listed; parameters behind ';' don't count (nginx's ngx_http_test_content_type).
  [[nodiscard]] bool contains(std::string_view content_type) const {
    if (any) return !content_type.empty();
    std::string lower = lower_case(content_type.substr(0, content_type.find(';')));
    while (!lower.empty() && lower.back() == ' ') lower.pop_back();
    return types.find(lower) != types.end();
  }
};

}  // namespace gatehouse::config
