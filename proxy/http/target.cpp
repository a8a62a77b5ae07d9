#include "proxy/http/target.hpp"

#include <array>
#include <cstdint>

#include "proxy/http/chars.hpp"

namespace gatehouse::http {
namespace {

enum class Dots : std::uint8_t { none, here, parent };

// "." or "..", each with or without parameters behind a ';'.
Dots dots_of(std::string_view segment, bool& has_parameters) noexcept {
  const std::string_view name = segment.substr(0, segment.find(';'));
  const Dots dots = name == "." ? Dots::here : name == ".." ? Dots::parent : Dots::none;
  if (dots != Dots::none && name.size() != segment.size()) has_parameters = true;
  return dots;
}

bool splits_into_dots(std::string_view segment, char separator) noexcept {
  for (bool ignored = false;;) {
    const std::size_t end = segment.find(separator);
    if (dots_of(segment.substr(0, end), ignored) != Dots::none) return true;
    if (end == segment.npos) return false;
    segment.remove_prefix(end + 1);
  }
}

// Reads one byte of the raw path at `i`, decoding an escape; -1 if it is NUL or a broken escape, and `i` stays.
int next_byte(std::string_view raw, std::size_t& i) noexcept {
  int value = static_cast<unsigned char>(raw[i]);
  std::size_t size = 1;
  if (value == '%') {
    if (raw.size() - i < 3) return -1;
    const int high = hex_value(raw[i + 1]);
    const int low = hex_value(raw[i + 2]);
    if (high < 0 || low < 0) return -1;
    value = high * 16 + low;
    size = 3;
  }
  if (value == 0) return -1;
  i += size;
  return value;
}

// Sequences that encode a character in more bytes than needed, RFC 3629 section 3: C0 and C1 lead bytes, E0 80..9F,
// F0 80..8F. Other malformed UTF-8 passes, as in nginx: it is Latin-1 from an old client and hides nothing.
bool has_overlong_utf8(std::string_view text) noexcept {
  for (std::size_t i = 0; i + 1 < text.size(); ++i) {
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead < 0xc0) continue;
    const auto next = static_cast<unsigned char>(text[i + 1]);
    if (next < 0x80 || next > 0xbf) continue;
    if (lead <= 0xc1 || (lead == 0xe0 && next < 0xa0) || (lead == 0xf0 && next < 0x90)) return true;
  }
  return false;
}

// Whether an origin that decodes a second time would find dot segments, or NUL, that are not there after the first.
bool second_decoding_reveals_dots(std::string_view path) {
  if (path.find('%') == path.npos) return false;
  std::string again;
  again.reserve(path.size());
  for (std::size_t i = 0; i < path.size();) {
    const int byte = next_byte(path, i);
    if (byte < 0) {
      if (path.substr(i, 3) == "%00") return true;
      again.push_back(path[i++]);  // not an escape
    } else {
      again.push_back(byte == '\\' ? '/' : static_cast<char>(byte));
    }
  }
  return splits_into_dots(again, '/');
}

// Builds the normalised path segment by segment.
class Builder {
 public:
  Builder(Slashes slashes, std::string& out) : out_(out), slashes_(slashes) { out_.assign(1, '/'); }

  void add(int byte) { out_.push_back(static_cast<char>(byte)); }

  // Ends the segment at a separator or at the path's end; false if it may not stand there.
  bool end_segment(bool at_separator) {
    const std::string_view segment = std::string_view(out_).substr(start_);
    if (segment.find('\\') != segment.npos) {
      if (splits_into_dots(segment, '\\')) return false;
      separators_doubtful_ = true;
    }
    const Dots dots = dots_of(segment, parameters_);
    if (dots != Dots::none) {
      out_.resize(start_);
      if (dots == Dots::parent) {
        parent_segment_ = true;
        if (start_ == 1) return false;
        out_.resize(start_ - 1);
        out_.resize(out_.rfind('/') + 1);
      }
    } else if (at_separator && segment.empty()) {
      separators_doubtful_ = true;
      if (slashes_ == Slashes::keep) out_.push_back('/');
    } else if (at_separator) {
      out_.push_back('/');
    }
    start_ = out_.size();
    return true;
  }

  void note_encoded_slash() noexcept { separators_doubtful_ = true; }

  [[nodiscard]] bool doubtful() const noexcept { return parameters_ || (parent_segment_ && separators_doubtful_); }

 private:
  std::string& out_;
  std::size_t start_ = 1;  // of the current segment in out_
  Slashes slashes_;
  bool parent_segment_ = false;
  bool parameters_ = false;
  bool separators_doubtful_ = false;
};

// Whether the path is its own normal form for certain: most are, and need no copy.
bool is_plainly_normal(std::string_view raw) noexcept {
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if (is(raw[i], kPlainPath)) continue;
    if (raw[i] != '/') return false;
    if (i + 1 < raw.size() && (raw[i + 1] == '/' || raw[i + 1] == '.')) return false;
  }
  return true;
}

// Bit c%32 of word c/32: the byte is escaped. The tables of ngx_escape_uri.
using EscapeTable = std::array<std::uint32_t, 8>;
constexpr EscapeTable kUriTable = {0xffffffff, 0xd000002d, 0x50000000, 0xb8000001,
                                   0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff};
constexpr EscapeTable kArgsTable = {0xffffffff, 0xd800086d, 0x50000000, 0xb8000001,
                                    0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff};

// Everything but letters, digits and -._~ (RFC 3986 section 2.3), nginx's NGX_ESCAPE_URI_COMPONENT.
constexpr EscapeTable kComponentTable = {0xffffffff, 0xfc009fff, 0x78000001, 0xb8000001,
                                         0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff};

// What would end the value of an HTML attribute: blanks, quotes, brackets, controls, bytes beyond ASCII (NGX_ESCAPE_REFRESH).
constexpr EscapeTable kRefreshTable = {0xffffffff, 0x50000085, 0x00000000, 0x80000000,
                                       0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff};

const EscapeTable& table_of(EscapeSet set) noexcept {
  switch (set) {
    case EscapeSet::uri: return kUriTable;
    case EscapeSet::args: return kArgsTable;
    case EscapeSet::component: return kComponentTable;
    case EscapeSet::refresh: return kRefreshTable;
  }
  return kUriTable;
}

bool escapes(const EscapeTable& table, char c) noexcept {
  const auto byte = static_cast<unsigned char>(c);
  return ((table[byte >> 5] >> (byte & 31)) & 1) != 0;
}

}  // namespace

Result<NormalizedPath> normalize_path(std::string_view raw, Slashes slashes, std::string& storage) {
  if (raw.empty() || raw.front() != '/') return Error{Reason::bad_target};
  NormalizedPath result{raw};
  if (is_plainly_normal(raw)) return result;

  Builder builder(slashes, storage);
  bool eight_bit = false;
  for (std::size_t i = 1; i < raw.size();) {
    const bool escaped = raw[i] == '%';
    const int byte = next_byte(raw, i);
    if (byte < 0) return Error{Reason::bad_target};
    result.had_escapes = result.had_escapes || escaped;
    eight_bit = eight_bit || byte >= 0x80;
    if (byte != '/') {
      builder.add(byte);
      continue;
    }
    if (escaped) builder.note_encoded_slash();
    if (!builder.end_segment(true)) return Error{Reason::bad_target};
  }
  if (!builder.end_segment(false)) return Error{Reason::bad_target};
  if (eight_bit && has_overlong_utf8(storage)) return Error{Reason::bad_target};
  if (second_decoding_reveals_dots(storage)) return Error{Reason::bad_target};

  result.changed = storage != raw;
  if (result.changed) result.path = storage;
  result.raw_differs_in_meaning = builder.doubtful();
  return result;
}

void escape_uri(std::string_view text, EscapeSet set, std::string& out) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  const EscapeTable& table = table_of(set);
  out.reserve(out.size() + text.size());
  for (const char c : text) {
    if (!escapes(table, c)) {
      out.push_back(c);
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out.append({'%', kHex[byte >> 4], kHex[byte & 15]});
  }
}

bool needs_escape(std::string_view text, EscapeSet set) noexcept {
  const EscapeTable& table = table_of(set);
  for (const char c : text) {
    if (escapes(table, c)) return true;
  }
  return false;
}

}  // namespace gatehouse::http
