#include "waf/fastpath/pcre_classes.hpp"

#include <array>

namespace gatehouse::waf::fastpath::pcre {
namespace {

template <class Predicate>
ByteSet where(Predicate predicate) {
  ByteSet bytes;
  for (unsigned c = 0; c < 256; ++c) {
    if (predicate(c)) bytes.set(c);
  }
  return bytes;
}

bool between(unsigned c, char first, char last) {
  return c >= static_cast<unsigned char>(first) && c <= static_cast<unsigned char>(last);
}
bool is_digit(unsigned c) { return between(c, '0', '9'); }
bool is_lower(unsigned c) { return between(c, 'a', 'z'); }
bool is_upper(unsigned c) { return between(c, 'A', 'Z'); }
bool is_alpha(unsigned c) { return is_lower(c) || is_upper(c); }
bool is_alnum(unsigned c) { return is_alpha(c) || is_digit(c); }
bool is_graph(unsigned c) { return c > 0x20 && c < 0x7f; }
bool is_space(unsigned c) { return c == ' ' || between(c, '\t', '\r'); }

}  // namespace

int hex_value(unsigned char c) noexcept {
  if (is_digit(c)) return c - '0';
  if (between(c, 'a', 'f')) return c - 'a' + 10;
  if (between(c, 'A', 'F')) return c - 'A' + 10;
  return -1;
}

ByteSet named_class(ClassName name) {
  switch (name) {
    case ClassName::digit: return where(is_digit);
    case ClassName::word: return where([](unsigned c) { return is_alnum(c) || c == '_'; });
    case ClassName::space: return where(is_space);
    case ClassName::horizontal: return where([](unsigned c) { return c == '\t' || c == ' ' || c == 0xa0; });
    case ClassName::vertical: return where([](unsigned c) { return between(c, '\n', '\r') || c == 0x85; });
  }
  return {};
}

std::optional<ByteSet> escaped_class(unsigned char letter) {
  switch (letter) {
    case 'd': return named_class(ClassName::digit);
    case 'D': return ~named_class(ClassName::digit);
    case 'w': return named_class(ClassName::word);
    case 'W': return ~named_class(ClassName::word);
    case 's': return named_class(ClassName::space);
    case 'S': return ~named_class(ClassName::space);
    case 'h': return named_class(ClassName::horizontal);
    case 'H': return ~named_class(ClassName::horizontal);
    case 'v': return named_class(ClassName::vertical);
    case 'V': return ~named_class(ClassName::vertical);
    default: return std::nullopt;
  }
}

std::optional<ByteSet> posix_class(std::string_view name, bool caseless) {
  using Predicate = bool (*)(unsigned);
  struct Row {
    std::string_view name;
    Predicate predicate;
  };
  static constexpr std::array<Row, 14> rows{{
      {"alpha", is_alpha},
      {"lower", is_lower},
      {"upper", is_upper},
      {"alnum", is_alnum},
      {"ascii", [](unsigned c) { return c < 0x80; }},
      {"blank", [](unsigned c) { return c == ' ' || c == '\t'; }},
      {"cntrl", [](unsigned c) { return c < 0x20 || c == 0x7f; }},
      {"digit", is_digit},
      {"graph", is_graph},
      {"print", [](unsigned c) { return c == ' ' || is_graph(c); }},
      {"punct", [](unsigned c) { return is_graph(c) && !is_alnum(c); }},
      {"space", is_space},
      {"word", [](unsigned c) { return is_alnum(c) || c == '_'; }},
      {"xdigit", [](unsigned c) { return hex_value(static_cast<unsigned char>(c)) >= 0; }},
  }};
  if (caseless && (name == "lower" || name == "upper")) name = "alpha";
  for (const Row& row : rows) {
    if (row.name == name) return where(row.predicate);
  }
  return std::nullopt;
}

ByteSet fold_case(const ByteSet& bytes) {
  ByteSet folded = bytes;
  for (unsigned c = 'a'; c <= 'z'; ++c) {
    const unsigned upper = c - 32;
    if (bytes.test(c) || bytes.test(upper)) folded.set(c).set(upper);
  }
  return folded;
}

}  // namespace gatehouse::waf::fastpath::pcre
