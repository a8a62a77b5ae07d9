// The pairs of Cookie fields.
#pragma once

#include <algorithm>
#include <optional>
#include <string_view>

#include "proxy/base/ascii.hpp"
#include "proxy/http/fields.hpp"

namespace gatehouse::http {

/// Value of the first cookie of that name, compared without case as nginx compares it: every Cookie field in order, pairs between
/// semicolons (RFC 6265 section 4.2.1). A part without "=" is none.
[[nodiscard]] inline std::optional<std::string_view> find_cookie(const Fields& fields, std::string_view name) {
  for (const auto& field : fields) {
    if (field.id != FieldId::cookie) continue;
    std::string_view rest = field.value;
    while (!rest.empty()) {
      std::string_view pair = rest.substr(0, rest.find(';'));
      rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
      while (pair.starts_with(' ')) pair.remove_prefix(1);
      const std::size_t equals = pair.find('=');
      if (equals != std::string_view::npos && iequals(pair.substr(0, equals), name)) return pair.substr(equals + 1);
    }
  }
  return std::nullopt;
}

}  // namespace gatehouse::http
