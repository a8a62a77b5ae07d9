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

// What takes part in a fact about neighbours, as an index of the table of pairs.
enum Role : std::uint8_t { none_of_these, a_space, a_slash, a_dot, a_star, a_dash, an_open, role_count };

constexpr Role role_of(unsigned char c) {
  switch (c) {
    case ' ': return a_space;
    case '/': return a_slash;
    case '.': return a_dot;
    case '*': return a_star;
    case '-': return a_dash;
    case '(': return an_open;
    default: return none_of_these;
  }
}

constexpr auto make_roles() {
  std::array<std::uint8_t, 256> roles{};
  for (std::size_t i = 0; i < roles.size(); ++i) roles[i] = role_of(static_cast<unsigned char>(i));
  return roles;
}
constexpr std::array<std::uint8_t, 256> roles = make_roles();

constexpr std::size_t row_size = 8;  // a power of two above role_count
constexpr auto make_pairs() {
  std::array<std::uint32_t, role_count * row_size> pairs{};
  const auto fact = [&pairs](Role first, Role second, ByteClasses what) {
    pairs[first * row_size + second] |= static_cast<std::uint32_t>(what);
  };
  fact(a_space, a_space, ByteClasses::blank_run);
  fact(a_space, a_slash, ByteClasses::blank_before_open);
  fact(a_space, an_open, ByteClasses::blank_before_open);
  fact(a_slash, a_slash, ByteClasses::double_slash);
  fact(a_slash, a_star, ByteClasses::comment_open);
  fact(a_dot, a_slash, ByteClasses::dot_ends_segment);
  fact(a_star, a_slash, ByteClasses::comment_close);
  fact(a_dash, a_dash, ByteClasses::double_dash);
  return pairs;
}
constexpr auto pairs = make_pairs();

// Branchless: these characters come as the text pleases, so a branch would be mispredicted half of the time.
ByteClasses neighbours(std::string_view value) noexcept {
  std::uint32_t found = 0;
  std::size_t before = none_of_these;
  for (const char c : value) {
    const std::size_t here = roles[static_cast<unsigned char>(c)];
    found |= pairs[before * row_size + here];
    before = here;
  }
  if (before == a_dot) found |= static_cast<std::uint32_t>(ByteClasses::dot_ends_segment);
  return static_cast<ByteClasses>(found);
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
