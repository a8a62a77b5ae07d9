#include "proxy/http/chunked.hpp"

#include <algorithm>
#include <cstring>

#include "proxy/http/chars.hpp"
#include "proxy/http/field_line.hpp"

namespace gatehouse::http {
namespace {

constexpr unsigned kMaxSizeDigits = 16;

}  // namespace

void ChunkedDecoder::reset(BodyOf body_of) noexcept {
  left_ = 0;
  extension_line_ = 0;
  extensions_ = 0;
  trailer_text_.clear();
  trailers_.clear();
  digits_ = 0;
  state_ = State::size_start;
  body_of_ = body_of;
  reason_ = Reason::none;
}

Reason ChunkedDecoder::bad_syntax() const noexcept {
  return body_of_ == BodyOf::request ? Reason::bad_chunk : Reason::upstream_bad_framing;
}

bool ChunkedDecoder::fail(Reason reason) noexcept {
  reason_ = reason;
  state_ = State::failed;
  return false;
}

ChunkedDecoder::Step ChunkedDecoder::next(std::string_view unread) {
  for (std::size_t i = 0;; ++i) {
    if (state_ == State::finished) return {Status::finished, {}, i};
    if (state_ == State::failed) return {Status::failed, {}, i};
    if (i == unread.size()) return {Status::need_more, {}, i};
    if (state_ == State::data) {
      const std::size_t size = std::min<std::uint64_t>(left_, unread.size() - i);
      left_ -= size;
      if (left_ == 0) state_ = State::data_cr;
      return {Status::data, unread.substr(i, size), i + size};
    }
    if (!take_framing_byte(unread[i])) return {Status::failed, {}, i};
  }
}

// Digits of a chunk size and what may end them.
bool ChunkedDecoder::take_size_byte(char c) noexcept {
  const int digit = hex_value(c);
  if (digit >= 0) {
    if (digits_++ == kMaxSizeDigits) return fail(bad_syntax());
    left_ = left_ * 16 + static_cast<unsigned>(digit);
    state_ = State::size;
    return true;
  }
  if (digits_ == 0) return fail(bad_syntax());
  if (c == '\r') {
    state_ = State::size_lf;
    return true;
  }
  return c == ';' ? take_extension_byte(c) : fail(bad_syntax());
}

// Extensions: `;name`, `;name=token` or `;name="quoted"`, printable ASCII only, without the whitespace that RFC 9112
// section 7.1.1 calls bad.
bool ChunkedDecoder::take_extension_byte(char c) noexcept {
  const bool may_end = state_ == State::size || state_ == State::extension_name || state_ == State::extension_value ||
                       state_ == State::quoted_end;
  if (c == '\r' && may_end) {
    state_ = State::size_lf;
    return true;
  }
  if (++extension_line_ > limits_.extension_line || ++extensions_ > limits_.extensions || c < 0x20 || c == 0x7f) {
    return fail(bad_syntax());
  }
  if (c == ';' && may_end) {
    state_ = State::extension_start;
    return true;
  }
  if (state_ == State::quoted || state_ == State::quoted_escape) {
    const bool escaped = state_ == State::quoted_escape;
    state_ = escaped || (c != '\\' && c != '"') ? State::quoted : c == '"' ? State::quoted_end : State::quoted_escape;
    return true;
  }
  if (is(c, kToken)) {
    if (state_ == State::extension_start) state_ = State::extension_name;
    if (state_ == State::value_start) state_ = State::extension_value;
    return state_ != State::quoted_end || fail(bad_syntax());
  }
  if (c == '=' && state_ == State::extension_name) {
    state_ = State::value_start;
    return true;
  }
  if (c == '"' && state_ == State::value_start) {
    state_ = State::quoted;
    return true;
  }
  return fail(bad_syntax());
}

bool ChunkedDecoder::take_framing_byte(char c) {
  switch (state_) {
    case State::size_start:
    case State::size: return take_size_byte(c);
    case State::extension_start:
    case State::extension_name:
    case State::value_start:
    case State::extension_value:
    case State::quoted:
    case State::quoted_escape:
    case State::quoted_end: return take_extension_byte(c);
    case State::size_lf:
      if (c != '\n') return fail(bad_syntax());
      state_ = left_ == 0 ? State::trailer_start : State::data;
      return true;
    case State::data_cr:
      if (c != '\r') return fail(bad_syntax());
      state_ = State::data_lf;
      return true;
    case State::data_lf:
      if (c != '\n') return fail(bad_syntax());
      digits_ = 0;
      extension_line_ = 0;
      state_ = State::size_start;
      return true;
    case State::trailer_start:
    case State::trailer_line:
    case State::last_lf: return take_trailer_byte(c);
    case State::data:
    case State::finished:
    case State::failed: break;
  }
  return fail(Reason::bug);
}

// Trailer lines are kept as they come, CRLF included, and understood when the section is whole.
bool ChunkedDecoder::take_trailer_byte(char c) {
  if (state_ == State::last_lf) {
    if (c != '\n') return fail(bad_syntax());
    if (!collect_trailers()) return false;
    state_ = State::finished;
    return true;
  }
  if (state_ == State::trailer_start && c == '\r') {
    state_ = State::last_lf;
    return true;
  }
  if (trailer_text_.size() == limits_.trailers) {
    return fail(body_of_ == BodyOf::request ? Reason::fields_too_large : Reason::upstream_bad_framing);
  }
  if (c == '\n' && (trailer_text_.empty() || trailer_text_.back() != '\r')) return fail(bad_syntax());
  trailer_text_.push_back(c);
  state_ = c == '\n' ? State::trailer_start : State::trailer_line;
  return true;
}

bool ChunkedDecoder::collect_trailers() {
  for (std::string_view text = trailer_text_; !text.empty();) {
    const std::size_t end = text.find("\r\n");
    detail::FieldLine field;
    if (!detail::split_field_line(text.substr(0, end), field)) return fail(bad_syntax());
    text.remove_prefix(end + 2);
    // An origin that turns names into variables could take an unusual name for one of the forbidden ones.
    const bool unusual = body_of_ == BodyOf::request && !field.plain_name;
    if (!unusual && (field_traits(field.id) & kNoTrailer) == 0) trailers_.add(field.name, field.value, field.id);
  }
  return true;
}

ChunkHeader::ChunkHeader(std::uint64_t size) noexcept {
  static constexpr char kHex[] = "0123456789abcdef";
  unsigned digits = 1;
  for (std::uint64_t rest = size >> 4; rest != 0; rest >>= 4) ++digits;
  for (unsigned i = digits; i-- > 0; size >>= 4) text_[i] = kHex[size & 15];
  text_[digits] = '\r';
  text_[digits + 1] = '\n';
  length_ = digits + 2;
}

void append_last_chunk(const Fields& trailers, std::string& out) {
  out.append("0\r\n");
  for (const Field& field : trailers) out.append(field.name).append(": ").append(field.value).append("\r\n");
  out.append("\r\n");
}

ChunkedDecoder::Step gather_chunks(ChunkedDecoder& decoder, std::string_view& unread) {
  ChunkedDecoder::Step gathered;
  while (!unread.empty()) {
    const auto step = decoder.next(unread);
    unread.remove_prefix(step.consumed);
    gathered.consumed += step.consumed;
    gathered.status = step.status;
    if (step.status == ChunkedDecoder::Status::failed || step.status == ChunkedDecoder::Status::finished)
      return gathered;
    if (step.data.empty()) continue;
    if (gathered.data.empty()) {
      gathered.data = step.data;
      continue;
    }
    char* const end = const_cast<char*>(gathered.data.data()) + gathered.data.size();
    std::memmove(end, step.data.data(), step.data.size());
    gathered.data = {gathered.data.data(), gathered.data.size() + step.data.size()};
  }
  gathered.status = ChunkedDecoder::Status::need_more;
  return gathered;
}

}  // namespace gatehouse::http
