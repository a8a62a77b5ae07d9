#include "waf/fastpath/byte_classes.hpp"

#include <array>
#include <cstddef>

namespace gatehouse::waf::fastpath {
namespace {

constexpr ByteClasses class_of(unsigned char c) {
  if (c >= 'a' && c <= 'z') return ByteClasses::lower;
  if (c >= 'A' && c <= 'Z') return ByteClasses::upper;
  if (c >= '0' && c <= '9') return ByteClasses::digit;
  if (c >= 0x80) return ByteClasses::high;
  switch (c) {
    case '_': return ByteClasses::underscore;
    case '-': return ByteClasses::dash;
    case '.': return ByteClasses::dot;
    case '/': return ByteClasses::slash;
    case ' ': return ByteClasses::space;
    case '\t':
    case '\r':
    case '\n': return ByteClasses::tab_or_line;
    case '\v':
    case '\f': return ByteClasses::vt_or_ff;
    case '\0': return ByteClasses::nul;
    case '%': return ByteClasses::percent;
    case '+': return ByteClasses::plus;
    case '&': return ByteClasses::ampersand;
    case '\\': return ByteClasses::backslash;
    case '"':
    case '\'':
    case '^': return ByteClasses::quote_or_caret;
    case ',':
    case ';': return ByteClasses::comma_or_semicolon;
    case '#': return ByteClasses::hash;
    case '*': return ByteClasses::star;
    case '(': return ByteClasses::parenthesis;
    default: return ByteClasses::other;
  }
}

constexpr auto make_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::size_t i = 0; i < table.size(); ++i) {
    table[i] = static_cast<std::uint32_t>(class_of(static_cast<unsigned char>(i)));
  }
  return table;
}
constexpr std::array<std::uint32_t, 256> table = make_table();

constexpr ByteClasses blanks = ByteClasses::space | ByteClasses::tab_or_line | ByteClasses::vt_or_ff;
// Only these can take part in a fact about neighbours.
constexpr ByteClasses with_neighbours = ByteClasses::space | ByteClasses::slash | ByteClasses::dot | ByteClasses::dash;

ByteClasses neighbours(std::string_view value) noexcept {
  ByteClasses found = ByteClasses::none;
  for (std::size_t i = 0; i + 1 < value.size(); ++i) {
    const char next = value[i + 1];
    switch (value[i]) {
      case ' ':
        if (next == ' ') found = found | ByteClasses::blank_run;
        if (next == '/' || next == '(') found = found | ByteClasses::blank_before_open;
        break;
      case '/':
        if (next == '/') found = found | ByteClasses::double_slash;
        if (next == '*') found = found | ByteClasses::comment_open;
        break;
      case '.':
        if (next == '/') found = found | ByteClasses::dot_ends_segment;
        break;
      case '*':
        if (next == '/') found = found | ByteClasses::comment_close;
        break;
      case '-':
        if (next == '-') found = found | ByteClasses::double_dash;
        break;
      default: break;
    }
  }
  if (value.back() == '.') found = found | ByteClasses::dot_ends_segment;
  return found;
}

}  // namespace

ByteClasses byte_class(unsigned char byte) noexcept { return static_cast<ByteClasses>(table[byte]); }

ByteClasses classify(std::string_view value) noexcept {
  if (value.empty()) return ByteClasses::always;
  std::uint32_t bits = 0;
  for (const char c : value) bits |= table[static_cast<unsigned char>(c)];
  ByteClasses classes = static_cast<ByteClasses>(bits) | ByteClasses::always | ByteClasses::non_empty;
  if (intersects(classes, blanks)) {
    const ByteClasses edges =
        byte_class(static_cast<unsigned char>(value.front())) | byte_class(static_cast<unsigned char>(value.back()));
    if (intersects(edges, blanks)) classes = classes | ByteClasses::edge_blank;
  }
  if (intersects(classes, with_neighbours)) classes = classes | neighbours(value);
  return classes;
}

}  // namespace gatehouse::waf::fastpath
