// The reading position in a pattern, and the parts of PCRE2's syntax that stand for bytes.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "waf/fastpath/pcre_syntax.hpp"

namespace gatehouse::waf::fastpath::pcre {

/// Thrown inside the parser only; parse() turns it into a value.
struct Stop {
  Refusal refusal;
};

/// A pattern's text and how far it is read. Every function throws Stop where the text does not go on as it must.
struct Cursor {
  std::string_view text;
  std::size_t at = 0;

  [[noreturn]] void stop(std::string reason) const { throw Stop{{std::move(reason), at}}; }
  [[nodiscard]] bool more() const { return at < text.size(); }
  [[nodiscard]] bool next_is(std::string_view what) const { return text.substr(at).starts_with(what); }
  bool take(std::string_view what) {
    if (!next_is(what)) return false;
    at += what.size();
    return true;
  }
  unsigned char byte() {
    if (!more()) stop("unexpected end");
    return static_cast<unsigned char>(text[at++]);
  }
  std::string_view until(std::string_view terminator) {
    const std::size_t end = text.find(terminator, at);
    if (end == std::string_view::npos) stop("missing " + std::string(terminator));
    const std::string_view found = text.substr(at, end - at);
    at = end + terminator.size();
    return found;
  }
};

/// The byte of an octal escape whose first digit was read; up to `more_digits` follow.
[[nodiscard]] unsigned char octal(Cursor& cursor, unsigned char first, int more_digits);

/// The byte an escape stands for, inside and outside of classes; `letter` (after the backslash) was read.
[[nodiscard]] unsigned char escaped_byte(Cursor& cursor, unsigned char letter);

/// The bytes of a bracket expression; "[" was read.
[[nodiscard]] ByteSet bracket(Cursor& cursor, bool caseless);

}  // namespace gatehouse::waf::fastpath::pcre
