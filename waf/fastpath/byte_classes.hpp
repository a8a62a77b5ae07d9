// What bytes a value holds, found by one pass: enough to prove for most values and transformations that nothing
// changes.
#pragma once

#include <cstdint>
#include <string_view>

namespace gatehouse::waf::fastpath {

/// A set of facts about a value; a bit that is absent is a proof of absence. Combine with | and &.
enum class ByteClasses : std::uint32_t {
  none = 0,
  non_empty = 1u << 0,
  lower = 1u << 1,                ///< a-z
  upper = 1u << 2,                ///< A-Z
  digit = 1u << 3,                ///< 0-9
  underscore = 1u << 4,           ///< _
  dash = 1u << 5,                 ///< -
  dot = 1u << 6,                  ///< .
  slash = 1u << 7,                ///< /
  space = 1u << 8,                ///< 0x20
  tab_or_line = 1u << 9,          ///< TAB CR LF
  vt_or_ff = 1u << 10,            ///< 0x0b 0x0c
  nul = 1u << 11,                 ///< 0x00
  high = 1u << 12,                ///< 0x80-0xff
  percent = 1u << 13,             ///< %
  plus = 1u << 14,                ///< +
  ampersand = 1u << 15,           ///< &
  backslash = 1u << 16,           ///< the byte 0x5c
  quote_or_caret = 1u << 17,      ///< " ' ^
  comma_or_semicolon = 1u << 18,  ///< , ;
  hash = 1u << 19,                ///< #
  star = 1u << 20,                ///< *
  parenthesis = 1u << 21,         ///< (
  other = 1u << 22,               ///< every byte not named above
  // Facts about neighbours.
  edge_blank = 1u << 23,         ///< first or last byte is white space (isspace)
  blank_run = 1u << 24,          ///< two spaces in a row
  blank_before_open = 1u << 25,  ///< a space before / or (
  double_slash = 1u << 26,       ///< "//"
  dot_ends_segment = 1u << 27,   ///< a dot before a slash or at the end
  comment_open = 1u << 28,       ///< "/*"
  comment_close = 1u << 29,      ///< "*/"
  double_dash = 1u << 30,        ///< "--"
  always = 1u << 31,             ///< set for every value, the empty one too
};

[[nodiscard]] constexpr ByteClasses operator|(ByteClasses a, ByteClasses b) noexcept {
  return static_cast<ByteClasses>(static_cast<std::uint32_t>(a) | static_cast<std::uint32_t>(b));
}
[[nodiscard]] constexpr ByteClasses operator&(ByteClasses a, ByteClasses b) noexcept {
  return static_cast<ByteClasses>(static_cast<std::uint32_t>(a) & static_cast<std::uint32_t>(b));
}
[[nodiscard]] constexpr bool intersects(ByteClasses a, ByteClasses b) noexcept { return (a & b) != ByteClasses::none; }
/// True when every bit of `part` is in `whole`.
[[nodiscard]] constexpr bool contains(ByteClasses whole, ByteClasses part) noexcept { return (whole & part) == part; }

/// The facts about `value`. One pass; a second one only over values with characters whose neighbours matter.
[[nodiscard]] ByteClasses classify(std::string_view value) noexcept;

/// The classes of single bytes that `byte` alone sets (neither neighbours, edges, `non_empty` nor `always`).
[[nodiscard]] ByteClasses byte_class(unsigned char byte) noexcept;

}  // namespace gatehouse::waf::fastpath
