#include "waf/fastpath/pcre_cursor.hpp"

#include <cstdint>
#include <optional>

#include "waf/fastpath/pcre_classes.hpp"

namespace gatehouse::waf::fastpath::pcre {

unsigned char octal(Cursor& cursor, unsigned char first, int more_digits) {
  std::uint32_t value = static_cast<std::uint32_t>(first - '0');
  while (more_digits-- > 0 && cursor.more() && cursor.text[cursor.at] >= '0' && cursor.text[cursor.at] <= '7') {
    value = value * 8 + static_cast<std::uint32_t>(cursor.byte() - '0');
  }
  if (value > 255) cursor.stop("octal escape above \\377");
  return static_cast<unsigned char>(value);
}

namespace {

std::uint32_t number_in_braces(Cursor& cursor, std::uint32_t radix) {
  const std::string_view digits = cursor.until("}");
  std::uint32_t value = 0;
  for (const char digit : digits) {
    const int v = hex_value(static_cast<unsigned char>(digit));
    if (v < 0 || static_cast<std::uint32_t>(v) >= radix || value > 255) cursor.stop("bad number in braces");
    value = value * radix + static_cast<std::uint32_t>(v);
  }
  if (digits.empty() || value > 255) cursor.stop("bad number in braces");
  return value;
}

unsigned char hexadecimal(Cursor& cursor) {
  if (cursor.take("{")) return static_cast<unsigned char>(number_in_braces(cursor, 16));
  std::uint32_t value = 0;
  for (int i = 0; i < 2 && cursor.more() && hex_value(static_cast<unsigned char>(cursor.text[cursor.at])) >= 0; ++i) {
    value = value * 16 + static_cast<std::uint32_t>(hex_value(cursor.byte()));
  }
  return static_cast<unsigned char>(value);
}

}  // namespace

unsigned char escaped_byte(Cursor& cursor, unsigned char c) {
  switch (c) {
    case 'a': return 0x07;
    case 'e': return 0x1b;
    case 'f': return 0x0c;
    case 'n': return 0x0a;
    case 'r': return 0x0d;
    case 't': return 0x09;
    case '0': return octal(cursor, '0', 2);
    case 'o':
      if (!cursor.take("{")) cursor.stop("\\o without {");
      return static_cast<unsigned char>(number_in_braces(cursor, 8));
    case 'x': return hexadecimal(cursor);
    case 'c': {
      const unsigned char letter = cursor.byte();
      return static_cast<unsigned char>((letter >= 'a' && letter <= 'z' ? letter - 32 : letter) ^ 0x40);
    }
    default: break;
  }
  const bool word = named_class(ClassName::word).test(c) && c != '_';
  if (word) cursor.stop(std::string("escape \\") + static_cast<char>(c));
  return c;
}

namespace {

/// One member of a bracket expression: a class of bytes, or one byte that may begin a range.
struct Member {
  ByteSet bytes;
  std::optional<unsigned char> single;
};

Member single_member(unsigned char c) {
  Member member;
  member.bytes.set(c);
  member.single = c;
  return member;
}

/// "[:name:]" when it is one; PCRE2 looks for the matching ":]" before anything that ends a class.
std::optional<ByteSet> posix_member(Cursor& cursor, bool caseless) {
  const char mark = cursor.text[cursor.at];
  std::size_t end = cursor.at + 1;
  for (; end + 1 < cursor.text.size(); ++end) {
    if (cursor.text[end] == mark && cursor.text[end + 1] == ']') break;
    if (cursor.text[end] == '\\' && (cursor.text[end + 1] == ']' || cursor.text[end + 1] == '\\')) {
      ++end;
    } else if ((cursor.text[end] == '[' && cursor.text[end + 1] == mark) || cursor.text[end] == ']') {
      return std::nullopt;
    }
  }
  if (end + 1 >= cursor.text.size()) return std::nullopt;
  if (mark != ':') cursor.stop("POSIX collating element");
  std::string_view name = cursor.text.substr(cursor.at + 1, end - cursor.at - 1);
  const bool negated = name.starts_with('^');
  if (negated) name.remove_prefix(1);
  const auto bytes = posix_class(name, caseless);
  if (!bytes) cursor.stop("unknown POSIX class");
  cursor.at = end + 2;
  return negated ? ~*bytes : *bytes;
}

Member member(Cursor& cursor, bool caseless) {
  const unsigned char c = cursor.byte();
  if (c == '[' && (cursor.next_is(":") || cursor.next_is(".") || cursor.next_is("="))) {
    if (const auto found = posix_member(cursor, caseless)) return {*found, std::nullopt};
  }
  if (c != '\\') return single_member(c);
  const unsigned char escaped = cursor.byte();
  if (const auto bytes = escaped_class(escaped)) return {*bytes, std::nullopt};
  if (escaped == 'b') return single_member(0x08);
  if (escaped >= '1' && escaped <= '7') return single_member(octal(cursor, escaped, 2));
  if (escaped == '8' || escaped == '9') return single_member(escaped);
  return single_member(escaped_byte(cursor, escaped));
}

}  // namespace

ByteSet bracket(Cursor& cursor, bool caseless) {
  const bool negated = cursor.take("^");
  ByteSet classes;
  ByteSet singles;  // only these are subject to case folding
  for (bool first = true;; first = false) {
    if (!first && cursor.take("]")) break;
    if (cursor.next_is("\\E") || cursor.next_is("\\Q")) cursor.stop("quotation in a class");
    const Member from = member(cursor, caseless);
    const bool range =
        from.single && cursor.next_is("-") && cursor.at + 1 < cursor.text.size() && cursor.text[cursor.at + 1] != ']';
    if (!range) {
      (from.single ? singles : classes) |= from.bytes;
      continue;
    }
    ++cursor.at;
    if (cursor.next_is("\\E") || cursor.next_is("\\Q")) cursor.stop("quotation in a class");
    const Member to = member(cursor, caseless);
    if (!to.single || *to.single < *from.single) cursor.stop("bad range in a class");
    for (unsigned c = *from.single; c <= *to.single; ++c) singles.set(c);
  }
  const ByteSet bytes = classes | (caseless ? fold_case(singles) : singles);
  return negated ? ~bytes : bytes;
}

}  // namespace gatehouse::waf::fastpath::pcre
