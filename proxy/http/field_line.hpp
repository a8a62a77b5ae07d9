// The grammar of one field line, shared by request heads, response heads and trailer sections.
#pragma once

#include <string_view>

#include "proxy/http/chars.hpp"

namespace gatehouse::http::detail {

/// A field line taken apart.
struct FieldLine {
  std::string_view name;
  std::string_view value;
  std::uint8_t classes = 0;  ///< the CharClass bits that every byte of the name has
};

/// Splits a line (without its line end) by RFC 9112 section 5: a token, a colon without whitespace before it, a value
/// without CTL. False if it is anything else, obs-fold included.
[[nodiscard]] inline bool split_field_line(std::string_view line, FieldLine& out) noexcept {
  const char* p = line.data();
  const char* const end = p + line.size();
  unsigned classes = 0xff;
  for (;; ++p) {
    if (p == end) return false;
    const unsigned bits = kCharClass[static_cast<unsigned char>(*p)];
    if ((bits & kToken) == 0) break;
    classes &= bits;
  }
  if (*p != ':' || p == line.data()) return false;
  out.name = {line.data(), static_cast<std::size_t>(p - line.data())};
  out.value = trim_ows({p + 1, static_cast<std::size_t>(end - p - 1)});
  out.classes = static_cast<std::uint8_t>(classes);
  return is_field_value(out.value);
}

}  // namespace gatehouse::http::detail
