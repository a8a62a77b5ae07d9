// Steps that drop, fold or replace characters: case, white space, comments, NULs, parity, paths, command lines.
#include <charconv>
#include <cstring>

#include "waf/fastpath/transformation_steps.hpp"

namespace gatehouse::waf::fastpath::steps {
namespace {

/// Copies every byte for which `keep` is true.
template <class Keep>
std::size_t filter(Input in, Byte* out, Keep keep) {
  Byte* d = out;
  for (std::size_t i = 0; i < in.size; ++i) {
    if (keep(in.bytes[i])) *d++ = in.bytes[i];
  }
  return static_cast<std::size_t>(d - out);
}

/// Maps every byte.
template <class Map>
std::size_t map_bytes(Input in, Byte* out, Map map) {
  for (std::size_t i = 0; i < in.size; ++i) out[i] = map(in.bytes[i]);
  return in.size;
}

std::size_t copy_range(Input in, std::size_t first, std::size_t last, Byte* out) {
  if (last > first) std::memcpy(out, in.bytes + first, last - first);
  return last - first;
}

std::size_t first_not_space(Input in) {
  std::size_t i = 0;
  while (i < in.size && is_space(in.bytes[i])) ++i;
  return i;
}

std::size_t end_without_space(Input in, std::size_t from) {
  std::size_t end = in.size;
  while (end > from && is_space(in.bytes[end - 1])) --end;
  return end;
}

bool odd_parity_of_value(Byte c) { return (__builtin_popcount(c) & 1) != 0; }

}  // namespace

std::size_t lowercase(Input in, Byte* out) { return map_bytes(in, out, to_lower); }

std::size_t uppercase(Input in, Byte* out) {
  return map_bytes(in, out, [](Byte c) { return is_lower(c) ? static_cast<Byte>(c - 32) : c; });
}

std::size_t replace_nulls(Input in, Byte* out) {
  return map_bytes(in, out, [](Byte c) { return c == 0 ? Byte{' '} : c; });
}

// The parity steps look at all eight bits of the input, though only seven are kept.
std::size_t parity_even_7bit(Input in, Byte* out) {
  return map_bytes(in, out, [](Byte c) { return static_cast<Byte>(odd_parity_of_value(c) ? c | 0x80 : c & 0x7f); });
}

std::size_t parity_odd_7bit(Input in, Byte* out) {
  return map_bytes(in, out, [](Byte c) { return static_cast<Byte>(odd_parity_of_value(c) ? c & 0x7f : c | 0x80); });
}

std::size_t parity_zero_7bit(Input in, Byte* out) {
  return map_bytes(in, out, [](Byte c) { return static_cast<Byte>(c & 0x7f); });
}

std::size_t remove_nulls(Input in, Byte* out) {
  return filter(in, out, [](Byte c) { return c != 0; });
}

// A no-break space goes in both its Latin-1 and (half of) its UTF-8 form, and with it every other use of those bytes.
std::size_t remove_whitespace(Input in, Byte* out) {
  return filter(in, out, [](Byte c) { return !is_space(c) && c != 0xa0 && c != 0xc2; });
}

std::size_t trim(Input in, Byte* out) {
  const std::size_t first = first_not_space(in);
  return copy_range(in, first, end_without_space(in, first), out);
}

std::size_t trim_left(Input in, Byte* out) { return copy_range(in, first_not_space(in), in.size, out); }

std::size_t trim_right(Input in, Byte* out) { return copy_range(in, 0, end_without_space(in, 0), out); }

std::size_t length(Input in, Byte* out) {
  char* text = reinterpret_cast<char*>(out);
  return static_cast<std::size_t>(std::to_chars(text, text + 20, in.size).ptr - text);
}

std::size_t compress_whitespace(Input in, Byte* out) {
  Byte* d = out;
  bool after_space = false;
  for (std::size_t i = 0; i < in.size; ++i) {
    const bool space = is_space(in.bytes[i]);
    if (!space) *d++ = in.bytes[i];
    if (space && !after_space) *d++ = ' ';
    after_space = space;
  }
  return static_cast<std::size_t>(d - out);
}

std::size_t cmd_line(Input in, Byte* out) {
  Byte* d = out;
  bool after_space = false;
  for (std::size_t i = 0; i < in.size; ++i) {
    const Byte c = in.bytes[i];
    switch (c) {
      case '"':
      case '\'':
      case '\\':
      case '^': break;
      case ' ':
      case ',':
      case ';':
      case '\t':
      case '\r':
      case '\n':
        if (!after_space) *d++ = ' ';
        after_space = true;
        break;
      case '/':
      case '(':
        if (after_space) --d;
        *d++ = c;
        after_space = false;
        break;
      default:
        *d++ = to_lower(c);
        after_space = false;
        break;
    }
  }
  return static_cast<std::size_t>(d - out);
}

std::size_t replace_comments(Input in, Byte* out) {
  Byte* d = out;
  bool inside = false;
  for (std::size_t i = 0; i < in.size;) {
    if (!inside && in.bytes[i] == '/' && in[i + 1] == '*') {
      inside = true;
      i += 2;
    } else if (inside && in.bytes[i] == '*' && in[i + 1] == '/') {
      inside = false;
      *d++ = ' ';
      i += 2;
    } else {
      if (!inside) *d++ = in.bytes[i];
      ++i;
    }
  }
  if (inside) *d++ = ' ';
  return static_cast<std::size_t>(d - out);
}

namespace {

/// True when `in` has `text` at `at`.
bool has(Input in, std::size_t at, std::string_view text) {
  return in.size - at >= text.size() && std::memcmp(in.bytes + at, text.data(), text.size()) == 0;
}

}  // namespace

std::size_t remove_comments(Input in, Byte* out) {
  Byte* d = out;
  bool inside = false;
  for (std::size_t i = 0; i < in.size;) {
    if (!inside) {
      if (has(in, i, "/*") || has(in, i, "<!--")) {
        inside = true;
        i += in.bytes[i] == '/' ? 2 : 4;
      } else if (has(in, i, "--") || in.bytes[i] == '#') {
        break;  // the rest of the text is a comment
      } else {
        *d++ = in.bytes[i++];
      }
      continue;
    }
    const bool star = has(in, i, "*/");
    if (star || has(in, i, "-->")) {
      inside = false;
      i += star ? 2 : 3;
      *d++ = in[i++];  // taken unseen, and at the end it is the terminator
    } else {
      ++i;
    }
  }
  if (inside) *d++ = ' ';
  return static_cast<std::size_t>(d - out);
}

std::size_t remove_comments_char(Input in, Byte* out) {
  Byte* d = out;
  for (std::size_t i = 0; i < in.size;) {
    if (has(in, i, "/*") || has(in, i, "*/")) {
      i += 2;
    } else if (has(in, i, "<!--")) {
      i += 4;
    } else if (has(in, i, "-->")) {
      i += 3;
    } else if (has(in, i, "--")) {
      i += 2;
    } else if (in.bytes[i] == '#') {
      ++i;
    } else {
      *d++ = in.bytes[i++];
    }
  }
  return static_cast<std::size_t>(d - out);
}

namespace {

enum class Separators : std::uint8_t { slash, slash_and_backslash };

/// One walk over a path. It works in place on a copy, as the original does: what it reads may be what it wrote.
class PathWalk {
 public:
  PathWalk(Byte* text, std::size_t size, Separators separators)
      : text_(text), last_(static_cast<std::ptrdiff_t>(size) - 1), windows_(separators != Separators::slash) {}

  std::size_t run() {
    relative_ = !is_separator(text_[0]);
    const bool trailing = is_separator(text_[last_]);
    while (!done_ && src_ <= last_ && dst_ <= last_) step();
    if (!trailing && dst_ > 0 && text_[dst_ - 1] == '/') --dst_;
    return static_cast<std::size_t>(dst_);
  }

 private:
  [[nodiscard]] bool is_separator(Byte c) const { return c == '/' || (windows_ && c == '\\'); }

  void step() {
    if (windows_) {
      if (text_[src_] == '\\') text_[src_] = '/';
      if (src_ < last_ && text_[src_ + 1] == '\\') text_[src_ + 1] = '/';
    }
    const bool at_end = src_ == last_;
    if (at_end) done_ = true;
    if (at_end || text_[src_ + 1] == '/') {
      if (!end_segment()) return;
    }
    copy();
  }

  /// A path segment ends at src_; false when there is nothing left to copy.
  bool end_segment() {
    if (src_ != last_ && text_[src_] == '/') return true;
    if (text_[src_] != '.') {
      if (dst_ > 0) hit_root_ = false;
      return true;
    }
    if (dst_ > 0 && text_[dst_ - 1] == '.') return back_reference();
    if (dst_ == 0) {
      if (done_) return false;
      ++src_;
    } else if (text_[dst_ - 1] == '/') {
      if (done_) return false;
      --dst_;
      ++src_;
    }
    return true;
  }

  bool back_reference() {
    if (relative_ && (hit_root_ || dst_ - 2 <= 0)) {
      hit_root_ = true;
      return true;
    }
    dst_ -= 3;
    while (dst_ > 0 && text_[dst_] != '/') --dst_;
    if (dst_ <= 0) {
      hit_root_ = true;
      dst_ = 0;
      if (!relative_ && src_ == last_) ++dst_;
    }
    if (done_) return false;
    ++src_;
    return true;
  }

  void copy() {
    if (text_[src_] == '/') {
      while (src_ < last_ && is_separator(text_[src_ + 1])) ++src_;
      if (relative_ && dst_ == 0) {
        ++src_;
        return;
      }
    }
    text_[dst_++] = text_[src_++];
  }

  Byte* text_;
  std::ptrdiff_t last_;
  bool windows_;
  std::ptrdiff_t src_ = 0;
  std::ptrdiff_t dst_ = 0;
  bool relative_ = true;
  bool hit_root_ = false;
  bool done_ = false;
};

std::size_t normalise(Input in, Byte* out, Separators separators) {
  if (in.size == 0) return 0;
  std::memcpy(out, in.bytes, in.size);
  return PathWalk(out, in.size, separators).run();
}

}  // namespace

std::size_t normalise_path(Input in, Byte* out) { return normalise(in, out, Separators::slash); }

std::size_t normalise_path_win(Input in, Byte* out) { return normalise(in, out, Separators::slash_and_backslash); }

}  // namespace gatehouse::waf::fastpath::steps
