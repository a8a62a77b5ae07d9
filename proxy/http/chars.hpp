// Character classes of HTTP as one 256-byte table, and the word-at-a-time checks of the parsers.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "proxy/base/ascii.hpp"

namespace gatehouse::http {

/// Bits of kCharClass.
enum CharClass : std::uint8_t {
  kToken = 1,       ///< tchar, RFC 9110 section 5.6.2
  kPlainName = 2,   ///< letters, digits and '-': the field names nginx calls valid
  kMethod = 4,      ///< upper-case letters, '-' and '_': nginx's method characters
  kFieldValue = 8,  ///< HTAB, SP, VCHAR and obs-text, RFC 9110 section 5.5
  kTarget = 16,     ///< VCHAR without '#', what may stand in a request-target
  kRegName = 32,    ///< unreserved of RFC 3986: a host name without sub-delims and escapes
  kPlainPath = 64,  ///< a path byte that needs no look at its neighbours to be known as it stands
};

namespace detail {

consteval std::array<std::uint8_t, 256> make_char_classes() {
  std::array<std::uint8_t, 256> table{};
  for (unsigned c = 0; c < 256; ++c) {
    const bool upper = c >= 'A' && c <= 'Z';
    const bool alnum = upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    const bool visible = c > 0x20 && c < 0x7f;
    const auto in = [c](std::string_view set) { return c < 0x80 && set.find(static_cast<char>(c)) != set.npos; };
    unsigned bits = 0;
    if (alnum || in("!#$%&'*+-.^_`|~")) bits |= kToken;
    if (alnum || c == '-') bits |= kPlainName;
    if (upper || in("-_")) bits |= kMethod;
    if (visible || c == ' ' || c == '\t' || c >= 0x80) bits |= kFieldValue;
    if (visible && c != '#') bits |= kTarget;
    if (alnum || in("-._~")) bits |= kRegName;
    if (visible && !in("#%/?\\")) bits |= kPlainPath;
    table[c] = static_cast<std::uint8_t>(bits);
  }
  return table;
}

consteval std::array<std::int8_t, 256> make_hex_values() {
  std::array<std::int8_t, 256> table{};
  for (unsigned c = 0; c < 256; ++c) {
    int value = -1;
    if (c >= '0' && c <= '9') value = static_cast<int>(c - '0');
    if (c >= 'a' && c <= 'f') value = static_cast<int>(c - 'a') + 10;
    if (c >= 'A' && c <= 'F') value = static_cast<int>(c - 'A') + 10;
    table[c] = static_cast<std::int8_t>(value);
  }
  return table;
}

inline constexpr std::uint64_t kOnes = 0x0101010101010101ULL;
inline constexpr std::uint64_t kHighBits = 0x8080808080808080ULL;

[[nodiscard]] inline std::uint64_t load8(const char* p) noexcept {
  std::uint64_t word = 0;
  std::memcpy(&word, p, sizeof word);
  return word;
}

/// The word with the byte of the lowest address in its lowest bits, whatever the machine.
[[nodiscard]] constexpr std::uint64_t little_endian(std::uint64_t word) noexcept {
  if constexpr (std::endian::native == std::endian::little) return word;
  std::uint64_t swapped = 0;
  for (int i = 0; i < 8; ++i) swapped |= ((word >> (8 * i)) & 0xff) << (56 - 8 * i);
  return swapped;
}

/// Non-zero if some byte is below `limit` (limit <= 0x80).
[[nodiscard]] constexpr std::uint64_t any_below(std::uint64_t word, unsigned limit) noexcept {
  return (word - kOnes * limit) & ~word & kHighBits;
}

/// Non-zero if some byte equals `c`.
[[nodiscard]] constexpr std::uint64_t any_equal(std::uint64_t word, unsigned char c) noexcept {
  const std::uint64_t x = word ^ (kOnes * c);
  return (x - kOnes) & ~x & kHighBits;
}

}  // namespace detail

inline constexpr std::array<std::uint8_t, 256> kCharClass = detail::make_char_classes();
inline constexpr std::array<std::int8_t, 256> kHexValue = detail::make_hex_values();

[[nodiscard]] constexpr bool is(char c, CharClass wanted) noexcept {
  return (kCharClass[static_cast<unsigned char>(c)] & wanted) != 0;
}

[[nodiscard]] constexpr bool all_are(std::string_view text, CharClass wanted) noexcept {
  for (const char c : text) {
    if (!is(c, wanted)) return false;
  }
  return true;
}

/// A non-empty token of RFC 9110 section 5.6.2.
[[nodiscard]] constexpr bool is_token(std::string_view text) noexcept { return !text.empty() && all_are(text, kToken); }

/// Value of a hexadecimal digit, -1 for any other byte.
[[nodiscard]] constexpr int hex_value(char c) noexcept { return kHexValue[static_cast<unsigned char>(c)]; }

[[nodiscard]] constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

using gatehouse::iequals;
using gatehouse::to_lower;

/// Without the optional whitespace (SP, HTAB) at both ends, RFC 9110 section 5.6.3.
[[nodiscard]] constexpr std::string_view trim_ows(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// No CTL but HTAB: what a field value or reason phrase may hold. Eight bytes at a time; a word with a suspect is
/// looked at byte by byte, because HTAB is legal.
[[nodiscard]] inline bool is_field_value(std::string_view text) noexcept {
  const char* p = text.data();
  std::size_t left = text.size();
  for (; left >= 8; p += 8, left -= 8) {
    const std::uint64_t word = detail::load8(p);
    if ((detail::any_below(word, 0x20) | detail::any_equal(word, 0x7f)) != 0 && !all_are({p, 8}, kFieldValue)) {
      return false;
    }
  }
  return all_are({p, left}, kFieldValue);
}

/// Visible ASCII without '#': what a request-target may hold.
[[nodiscard]] inline bool is_target_text(std::string_view text) noexcept {
  const char* p = text.data();
  std::size_t left = text.size();
  for (; left >= 8; p += 8, left -= 8) {
    const std::uint64_t word = detail::load8(p);
    if ((detail::any_below(word, 0x21) | detail::any_equal(word, 0x7f) | detail::any_equal(word, '#') |
         (word & detail::kHighBits)) != 0) {
      return false;
    }
  }
  return all_are({p, left}, kTarget);
}

/// Calls `visit(element)` for every element of a comma-separated list, trimmed, empty ones included; `visit` returns
/// false to stop. Quoted strings are not understood: for lists of tokens only.
template <class Visit>
constexpr bool for_each_element(std::string_view list, Visit&& visit) {
  for (;;) {
    const std::size_t comma = list.find(',');
    if (!visit(trim_ows(list.substr(0, comma)))) return false;
    if (comma == list.npos) return true;
    list.remove_prefix(comma + 1);
  }
}

}  // namespace gatehouse::http
