// The single steps behind transformations.hpp: pure functions from bytes to bytes.
//
// Each writes at most the capacity its row in transformations.cpp states, reads `in` only, and returns what it wrote.
// The behaviour, quirks included, is that of libmodsecurity 3.0.9 in the "C" locale: tests compare byte for byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "waf/fastpath/transformations.hpp"

namespace gatehouse::waf::fastpath::steps {

using Byte = unsigned char;

// Locale "C"; isspace() and friends would also cost a call.
[[nodiscard]] constexpr bool is_space(Byte c) noexcept { return c == ' ' || (c >= '\t' && c <= '\r'); }
[[nodiscard]] constexpr bool is_digit(Byte c) noexcept { return c >= '0' && c <= '9'; }
[[nodiscard]] constexpr bool is_octal(Byte c) noexcept { return c >= '0' && c <= '7'; }
[[nodiscard]] constexpr bool is_upper(Byte c) noexcept { return c >= 'A' && c <= 'Z'; }
[[nodiscard]] constexpr bool is_lower(Byte c) noexcept { return c >= 'a' && c <= 'z'; }
[[nodiscard]] constexpr bool is_alnum(Byte c) noexcept { return is_digit(c) || is_upper(c) || is_lower(c); }
[[nodiscard]] constexpr bool is_hex(Byte c) noexcept {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
[[nodiscard]] constexpr Byte to_lower(Byte c) noexcept { return is_upper(c) ? static_cast<Byte>(c + 32) : c; }
/// The library's digit value: right for hexadecimal digits, arithmetic garbage (kept) for anything else.
[[nodiscard]] constexpr Byte hex_digit(Byte c) noexcept {
  return static_cast<Byte>(c >= 'A' ? ((c & 0xdf) - 'A') + 10 : c - '0');
}
[[nodiscard]] constexpr Byte hex_pair(Byte high, Byte low) noexcept {
  return static_cast<Byte>(hex_digit(high) * 16 + hex_digit(low));
}

/// Reads past the end give NUL, as the library's NUL-terminated copies do.
struct Input {
  const Byte* bytes;
  std::size_t size;
  explicit Input(std::string_view text) : bytes(reinterpret_cast<const Byte*>(text.data())), size(text.size()) {}
  [[nodiscard]] Byte operator[](std::size_t i) const noexcept { return i < size ? bytes[i] : Byte{0}; }
};

using Step = std::size_t (*)(Input in, Byte* out);

std::size_t base64_decode(Input in, Byte* out);
std::size_t base64_decode_ext(Input in, Byte* out);
std::size_t base64_encode(Input in, Byte* out);
std::size_t cmd_line(Input in, Byte* out);
std::size_t compress_whitespace(Input in, Byte* out);
std::size_t css_decode(Input in, Byte* out);
std::size_t escape_seq_decode(Input in, Byte* out);
std::size_t hex_decode(Input in, Byte* out);
std::size_t hex_encode(Input in, Byte* out);
std::size_t html_entity_decode(Input in, Byte* out);
std::size_t js_decode(Input in, Byte* out);
std::size_t length(Input in, Byte* out);
std::size_t lowercase(Input in, Byte* out);
std::size_t normalise_path(Input in, Byte* out);
std::size_t normalise_path_win(Input in, Byte* out);
std::size_t parity_even_7bit(Input in, Byte* out);
std::size_t parity_odd_7bit(Input in, Byte* out);
std::size_t parity_zero_7bit(Input in, Byte* out);
std::size_t remove_comments(Input in, Byte* out);
std::size_t remove_comments_char(Input in, Byte* out);
std::size_t remove_nulls(Input in, Byte* out);
std::size_t remove_whitespace(Input in, Byte* out);
std::size_t replace_comments(Input in, Byte* out);
std::size_t replace_nulls(Input in, Byte* out);
std::size_t sql_hex_decode(Input in, Byte* out);
std::size_t trim(Input in, Byte* out);
std::size_t trim_left(Input in, Byte* out);
std::size_t trim_right(Input in, Byte* out);
std::size_t uppercase(Input in, Byte* out);
/// The decoder of arguments and of t:urlDecode: `+` is a blank, a `%` without two hexadecimal digits stays.
std::size_t url_decode(Input in, Byte* out);
std::size_t url_decode_uni(Input in, Byte* out, UnicodeMap map);
std::size_t url_encode(Input in, Byte* out);
std::size_t utf8_to_unicode(Input in, Byte* out);

}  // namespace gatehouse::waf::fastpath::steps
