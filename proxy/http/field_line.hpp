// The grammar of one field line, shared by request heads, response heads and trailer sections.
#pragma once

#include <bit>
#include <cstdint>
#include <string_view>

#include "proxy/http/chars.hpp"
#include "proxy/http/fields.hpp"

namespace gatehouse::http::detail {

/// A field line taken apart.
struct FieldLine {
  std::string_view name;
  std::string_view value;
  FieldId id = FieldId::other;
  bool plain_name = true;  ///< letters, digits and '-' only
};

/// Offset of the first colon, eight bytes at a time; the line's size if there is none.
[[nodiscard]] inline std::size_t find_colon(std::string_view line) noexcept {
  const char* p = line.data();
  std::size_t i = 0;
  for (; i + 8 <= line.size(); i += 8, p += 8) {
    // The lowest bit set is exact: borrows only spoil the bytes above the first match.
    const std::uint64_t found = any_equal(little_endian(load8(p)), ':');
    if (found != 0) return i + static_cast<std::size_t>(std::countr_zero(found)) / 8;
  }
  while (i < line.size() && line[i] != ':') ++i;
  return i;
}

/// Splits a line (without its line end) by RFC 9112 section 5: a token, a colon without whitespace before it, a value
/// without CTL. False if it is anything else, obs-fold included. A name with a row needs no look at its bytes.
[[nodiscard]] inline bool split_field_line(std::string_view line, FieldLine& out) noexcept {
  const std::size_t colon = find_colon(line);
  if (colon == line.size()) return false;
  out.name = line.substr(0, colon);
  out.value = trim_ows(line.substr(colon + 1));
  out.id = field_id(out.name);
  if (out.id == FieldId::other) {
    unsigned classes = 0xff;
    for (const char c : out.name) classes &= kCharClass[static_cast<unsigned char>(c)];
    if (out.name.empty() || (classes & kToken) == 0) return false;
    out.plain_name = (classes & kPlainName) != 0;
  }
  return is_field_value(out.value);
}

}  // namespace gatehouse::http::detail
