// Settings of filters that change a body: sub_filter, charset, addition, slice (nginx's modules of the same names).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proxy/config/mime_type_set.hpp"
#include "proxy/config/setters.hpp"

namespace gatehouse::config {

/// How each byte of one charset is written in another one.
using CharsetTable = std::array<std::string, 256>;

/// `charset_map FROM TO { ... }` in both directions, by (from, to) in lower case. With utf-8 on one side, that direction is read
/// from `to_utf8`'s sequences.
struct CharsetMaps {
  std::map<std::pair<std::string, std::string>, CharsetTable> tables;  ///< from a single-byte charset
  std::map<std::pair<std::string, std::string>, std::map<std::string, char, std::less<>>> from_utf8;
};

struct BodyFilterSettings {
  struct Substitution {
    ComplexValue match;
    ComplexValue replacement;
  };
  std::vector<Substitution> sub_filter;
  bool sub_filter_once = true;
  bool sub_filter_last_modified = false;
  MimeTypeSet sub_filter_types{false, {"text/html"}};

  std::optional<ComplexValue> charset;         ///< nothing: off
  std::optional<ComplexValue> source_charset;  ///< nothing: not known
  bool override_charset = false;
  MimeTypeSet charset_types{
      false,
      {"text/html", "text/xml", "text/plain", "text/vnd.wap.wml", "application/javascript", "application/rss+xml"}};

  std::optional<std::string> add_before_body;  ///< a URI; nothing: none
  std::optional<std::string> add_after_body;
  MimeTypeSet addition_types{false, {"text/html"}};

  ByteCount slice = 0;  ///< bytes of each slice that a response is fetched in; 0: it is fetched whole
};

template <>
struct GroupOf<BodyFilterSettings> {
  static constexpr auto member = &LocationSettings::body_filters;
};

}  // namespace gatehouse::config
