// Steps that undo an encoding of single characters: URL, HTML, CSS, JavaScript, C escapes, UTF-8.
#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "waf/fastpath/transformation_steps.hpp"

namespace gatehouse::waf::fastpath::steps {
namespace {

/// Up to three octal digits from `at`; `digits` says how many there were.
unsigned octal(Input in, std::size_t at, std::size_t& digits) {
  unsigned value = 0;
  digits = 0;
  while (at + digits < in.size && digits < 3 && is_octal(in[at + digits])) {
    value = value * 8 + static_cast<unsigned>(in[at + digits] - '0');
    ++digits;
  }
  return value;
}

/// What the letter after a backslash stands for in C; false when it stands for nothing.
bool control_letter(Byte letter, Byte& value) {
  switch (letter) {
    case 'a': value = '\a'; return true;
    case 'b': value = '\b'; return true;
    case 'f': value = '\f'; return true;
    case 'n': value = '\n'; return true;
    case 'r': value = '\r'; return true;
    case 't': value = '\t'; return true;
    case 'v': value = '\v'; return true;
    default: return false;
  }
}

/// The full-width forms of ASCII (U+FF01..U+FF5E) fold to ASCII when only the low byte is kept.
Byte fold_full_width(Byte low, Byte high_digit, Byte second_digit) {
  const bool full_width = to_lower(high_digit) == 'f' && to_lower(second_digit) == 'f';
  return full_width && low > 0x00 && low < 0x5f ? static_cast<Byte>(low + 0x20) : low;
}

}  // namespace

std::size_t url_decode(Input in, Byte* out) {
  Byte* d = out;
  for (std::size_t i = 0; i < in.size;) {
    if (in.bytes[i] == '%' && i + 2 < in.size && is_hex(in.bytes[i + 1]) && is_hex(in.bytes[i + 2])) {
      *d++ = hex_pair(in.bytes[i + 1], in.bytes[i + 2]);
      i += 3;
    } else {
      *d++ = in.bytes[i] == '+' ? Byte{' '} : in.bytes[i];
      ++i;
    }
  }
  return static_cast<std::size_t>(d - out);
}

std::size_t url_decode_uni(Input in, Byte* out, UnicodeMap map) {
  Byte* d = out;
  for (std::size_t i = 0; i < in.size;) {
    const Byte c = in.bytes[i];
    if (c != '%') {
      *d++ = c == '+' ? Byte{' '} : c;
      ++i;
      continue;
    }
    if (to_lower(in[i + 1]) == 'u') {
      const bool four =
          i + 5 < in.size && is_hex(in[i + 2]) && is_hex(in[i + 3]) && is_hex(in[i + 4]) && is_hex(in[i + 5]);
      if (!four) {
        *d++ = in[i];
        *d++ = in[i + 1];
        i += 2;
        continue;
      }
      const Byte low = hex_pair(in[i + 4], in[i + 5]);
      const std::size_t code = std::size_t{hex_pair(in[i + 2], in[i + 3])} * 256 + low;
      const int mapped = code < map.size() ? map[code] : -1;
      *d++ = mapped != -1 ? static_cast<Byte>(mapped) : fold_full_width(low, in[i + 2], in[i + 3]);
      i += 6;
    } else if (i + 2 < in.size && is_hex(in[i + 1]) && is_hex(in[i + 2])) {
      *d++ = hex_pair(in[i + 1], in[i + 2]);
      i += 3;
    } else {
      *d++ = c;
      ++i;
    }
  }
  return static_cast<std::size_t>(d - out);
}

namespace {

/// An HTML entity at `at` (an ampersand): its byte and length, or in `copy` how many bytes stand for themselves.
struct Entity {
  bool decoded = false;
  Byte value = 0;
  std::size_t length = 0;
};

Entity text_entity(Input in, std::size_t first, std::size_t at) {
  std::size_t end = first;
  while (end < in.size && is_alnum(in.bytes[end])) ++end;
  if (end == first) return {false, 0, 1};
  struct Name {
    std::string_view text;
    Byte value;
  };
  static constexpr std::array<Name, 5> names{{{"quot", '"'}, {"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"nbsp", 160}}};
  for (const Name& name : names) {
    const bool same = name.text.size() == end - first &&
                      std::equal(name.text.begin(), name.text.end(), in.bytes + first,
                                 [](char a, Byte b) { return static_cast<Byte>(a) == to_lower(b); });
    if (same) return {true, name.value, (in[end] == ';' && end < in.size ? end + 1 : end) - at};
  }
  return {false, 0, end - at};
}

Entity entity(Input in, std::size_t at) {
  if (in[at + 1] != '#') return text_entity(in, at + 1, at);
  if (at + 2 >= in.size) return {false, 0, 2};
  const bool hexadecimal = to_lower(in[at + 2]) == 'x';
  if (hexadecimal && at + 3 >= in.size) return {false, 0, 3};
  const std::size_t first = at + (hexadecimal ? 3 : 2);
  std::size_t end = first;
  std::uint64_t number = 0;
  const std::uint64_t radix = hexadecimal ? 16 : 10;
  constexpr std::uint64_t limit = INT64_MAX;  // strtol saturates, and the low byte of LONG_MAX is 0xff
  while (end < in.size && (hexadecimal ? is_hex(in.bytes[end]) : is_digit(in.bytes[end]))) {
    const std::uint64_t digit = hex_digit(in.bytes[end]);
    number = number > (limit - digit) / radix ? limit + 1 : number * radix + digit;
    number = std::min(number, limit + 1);
    ++end;
  }
  if (end == first) return {false, 0, first - at};
  const Byte value = number > limit ? Byte{0xff} : static_cast<Byte>(number);
  return {true, value, (end < in.size && in[end] == ';' ? end + 1 : end) - at};
}

}  // namespace

std::size_t html_entity_decode(Input in, Byte* out) {
  Byte* d = out;
  for (std::size_t i = 0; i < in.size;) {
    if (in.bytes[i] != '&' || i + 1 >= in.size) {
      *d++ = in.bytes[i++];
      continue;
    }
    const Entity found = entity(in, i);
    if (found.decoded) {
      *d++ = found.value;
    } else {
      std::memcpy(d, in.bytes + i, found.length);
      d += found.length;
    }
    i += found.length;
  }
  return static_cast<std::size_t>(d - out);
}

namespace {

/// The byte that `digits` hexadecimal digits from `at` stand for in CSS: the last two, full-width forms folded.
Byte css_value(Input in, std::size_t at, std::size_t digits) {
  if (digits == 1) return hex_digit(in[at]);
  const Byte low = hex_pair(in[at + digits - 2], in[at + digits - 1]);
  const bool wide =
      digits == 4 || (digits == 5 && in[at] == '0') || (digits == 6 && in[at] == '0' && in[at + 1] == '0');
  return wide ? fold_full_width(low, in[at + digits - 4], in[at + digits - 3]) : low;
}

}  // namespace

std::size_t css_decode(Input in, Byte* out) {
  Byte* d = out;
  for (std::size_t i = 0; i < in.size;) {
    if (in.bytes[i] != '\\') {
      *d++ = in.bytes[i++];
      continue;
    }
    ++i;
    if (i >= in.size) break;
    std::size_t digits = 0;
    while (digits < 6 && i + digits < in.size && is_hex(in.bytes[i + digits])) ++digits;
    if (digits > 0) {
      *d++ = css_value(in, i, digits);
      i += digits;
      if (i < in.size && is_space(in.bytes[i])) ++i;
    } else if (in.bytes[i] == '\n') {
      ++i;
    } else {
      *d++ = in.bytes[i++];
    }
  }
  // The library turns its buffer back into text as a C string: what follows a NUL is lost.
  const auto written = static_cast<std::size_t>(d - out);
  const void* end = std::memchr(out, 0, written);
  return end != nullptr ? static_cast<std::size_t>(static_cast<const Byte*>(end) - out) : written;
}

std::size_t js_decode(Input in, Byte* out) {
  Byte* d = out;
  for (std::size_t i = 0; i < in.size;) {
    if (in.bytes[i] != '\\' || i + 1 >= in.size) {
      *d++ = in.bytes[i++];
      continue;
    }
    const Byte next = in[i + 1];
    if (next == 'u' && i + 5 < in.size && is_hex(in[i + 2]) && is_hex(in[i + 3]) && is_hex(in[i + 4]) &&
        is_hex(in[i + 5])) {
      *d++ = fold_full_width(hex_pair(in[i + 4], in[i + 5]), in[i + 2], in[i + 3]);
      i += 6;
    } else if (next == 'x' && i + 3 < in.size && is_hex(in[i + 2]) && is_hex(in[i + 3])) {
      *d++ = hex_pair(in[i + 2], in[i + 3]);
      i += 4;
    } else if (is_octal(next)) {
      std::size_t digits = 0;
      unsigned value = octal(in, i + 1, digits);
      if (digits == 3 && next > '3') {  // three digits would not fit a byte
        digits = 2;
        value /= 8;
      }
      *d++ = static_cast<Byte>(value);
      i += 1 + digits;
    } else {
      Byte value = next;
      control_letter(next, value);
      *d++ = value;
      i += 2;
    }
  }
  return static_cast<std::size_t>(d - out);
}

std::size_t escape_seq_decode(Input in, Byte* out) {
  Byte* d = out;
  for (std::size_t i = 0; i < in.size;) {
    if (in.bytes[i] != '\\' || i + 1 >= in.size) {
      *d++ = in.bytes[i++];
      continue;
    }
    const Byte next = in[i + 1];
    Byte value = next;  // an unknown escape is the character itself
    std::size_t length = 2;
    if (control_letter(next, value)) {
      // nothing more to read
    } else if (to_lower(next) == 'x') {
      if (i + 3 < in.size && is_hex(in[i + 2]) && is_hex(in[i + 3])) {
        value = hex_pair(in[i + 2], in[i + 3]);
        length = 4;
      }
    } else if (is_octal(next)) {
      std::size_t digits = 0;
      value = static_cast<Byte>(octal(in, i + 1, digits));
      length = 1 + digits;
    }
    *d++ = value;
    i += length;
  }
  return static_cast<std::size_t>(d - out);
}

namespace {

/// "%u" and at least four hexadecimal digits.
Byte* write_code_point(std::uint32_t code, Byte* d) {
  std::array<char, 8> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), code, 16).ptr;
  const auto count = static_cast<std::size_t>(end - digits.data());
  *d++ = '%';
  *d++ = 'u';
  for (std::size_t i = count; i < 4; ++i) *d++ = '0';
  std::memcpy(d, digits.data(), count);
  return d + count;
}

/// Length of the sequence a lead byte announces; 0 when it can be none.
std::size_t announced(Byte c) {
  if ((c & 0xe0) == 0xc0) return 2;
  if ((c & 0xf0) == 0xe0) return 3;
  if ((c & 0xf8) == 0xf0) return 4;
  return 0;
}

}  // namespace

std::size_t utf8_to_unicode(Input in, Byte* out) {
  Byte* d = out;
  for (std::size_t i = 0; i < in.size;) {
    const Byte c = in.bytes[i];
    if (c < 0x80) {
      if (c != 0) *d++ = c;  // a NUL is overwritten by what follows it
      ++i;
      continue;
    }
    const std::size_t length = announced(c);
    if (length == 0) {
      *d++ = c;
      ++i;
      continue;
    }
    if (c >= 0xf5) *d++ = c;
    // The library compares the length with the whole text's (and its terminator), not with what is left.
    bool complete = in.size + 1 >= length;
    std::uint32_t code = c & (0x7fu >> length);
    for (std::size_t k = 1; complete && k < length; ++k) {
      complete = (in[i + k] & 0xc0) == 0x80;
      code = code << 6 | (in[i + k] & 0x3fu);
    }
    if (!complete) {  // a broken sequence's lead byte disappears
      ++i;
      continue;
    }
    d = write_code_point(code, d);
    if (code >= 0xd800 && code <= 0xdfff) *d++ = c;
    static constexpr std::array<std::uint32_t, 5> smallest{0, 0, 0x80, 0x800, 0x10000};
    if (code < smallest[length]) *d++ = c;
    i += length;
  }
  return static_cast<std::size_t>(d - out);
}

}  // namespace gatehouse::waf::fastpath::steps
