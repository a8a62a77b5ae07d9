#include "proxy/http/framing.hpp"

#include "proxy/http/chars.hpp"

namespace gatehouse::http {
namespace {

// The one Transfer-Encoding a message may have: a single line with the single coding "chunked".
Reason check_transfer_encoding(const Fields& fields) noexcept {
  if (fields.count(FieldId::transfer_encoding) != 1) return Reason::bad_transfer_encoding;
  const std::string_view value = fields.find(FieldId::transfer_encoding)->value;
  if (value == "chunked") return Reason::none;

  unsigned chunked = 0;
  bool last_is_chunked = false;
  bool unknown = false;
  const bool tokens = for_each_element(value, [&](std::string_view coding) {
    last_is_chunked = iequals(coding, "chunked");
    chunked += last_is_chunked ? 1 : 0;
    unknown = unknown || !last_is_chunked;
    return is_token(coding);
  });
  if (!tokens || chunked > 1 || (chunked == 1 && !last_is_chunked)) return Reason::bad_transfer_encoding;
  return unknown ? Reason::unknown_transfer_encoding : Reason::none;
}

Result<BodyFraming> frame_by_length(const Fields& fields) noexcept {
  if (fields.count(FieldId::content_length) != 1) return Error{Reason::bad_content_length};
  const Result<std::uint64_t> length = parse_content_length(fields.find(FieldId::content_length)->value);
  if (!length) return length.error();
  return BodyFraming{*length == 0 ? BodyKind::none : BodyKind::length, *length, true};
}

}  // namespace

Result<std::uint64_t> parse_content_length(std::string_view value) noexcept {
  constexpr std::size_t kMaxDigits = 19;  // 2^63-1 has 19
  if (value.empty() || value.size() > kMaxDigits) return Error{Reason::bad_content_length};
  std::uint64_t length = 0;
  for (const char c : value) {
    if (!is_digit(c)) return Error{Reason::bad_content_length};
    length = length * 10 + static_cast<std::uint64_t>(c - '0');
  }
  if (length > static_cast<std::uint64_t>(INT64_MAX)) return Error{Reason::bad_content_length};
  return length;
}

Result<BodyFraming> frame_request(const RequestHead& head) noexcept {
  const bool coded = head.fields.contains(FieldId::transfer_encoding);
  const bool counted = head.fields.contains(FieldId::content_length);
  if (!coded && !counted) return BodyFraming{};
  if (coded && counted) return Error{Reason::ambiguous_framing};
  if (counted) return frame_by_length(head.fields);
  // HTTP/1.0 has no transfer codings: whoever sends one may be read differently by the next hop (RFC 9112 section 6.1).
  if (head.version == Version::http10) return Error{Reason::bad_transfer_encoding};
  const Reason reason = check_transfer_encoding(head.fields);
  if (reason != Reason::none) return Error{reason};
  return BodyFraming{BodyKind::chunked, 0, false};
}

bool connection_lists(const Fields& fields, std::string_view option) noexcept {
  if (!fields.contains(FieldId::connection)) return false;
  for (const Field& field : fields) {
    if (field.id != FieldId::connection) continue;
    if (!for_each_element(field.value, [&](std::string_view element) { return !iequals(element, option); }))
      return true;
  }
  return false;
}

AfterMessage after_message(Version version, const Fields& fields) noexcept {
  if (connection_lists(fields, "close")) return AfterMessage::close;
  if (version != Version::http10) return AfterMessage::keep;
  return connection_lists(fields, "keep-alive") ? AfterMessage::keep : AfterMessage::close;
}

Result<ResponseSemantics> interpret_response(const ResponseHead& head, Method method) noexcept {
  const bool coded = head.fields.contains(FieldId::transfer_encoding);
  const bool counted = head.fields.contains(FieldId::content_length);
  ResponseSemantics meaning;
  meaning.after = after_message(head.version, head.fields);
  if (coded) {
    if (counted || check_transfer_encoding(head.fields) != Reason::none) return Error{Reason::upstream_bad_framing};
    meaning.framing.kind = BodyKind::chunked;
    // Faulty but readable: take the body, then drop the connection (RFC 9112 section 6.1).
    if (head.version == Version::http10) meaning.after = AfterMessage::close;
  } else if (counted) {
    const Result<BodyFraming> framing = frame_by_length(head.fields);
    if (!framing) return Error{Reason::upstream_bad_framing};
    meaning.framing = *framing;
  } else {
    meaning.framing.kind = BodyKind::until_close;
  }

  const bool announced = meaning.framing.kind == BodyKind::chunked || meaning.framing.kind == BodyKind::length;
  meaning.tunnel = head.status == 101 || (method == Method::connect && head.status >= 200 && head.status < 300);
  meaning.interim = head.status < 200 && !meaning.tunnel;
  if (meaning.tunnel || meaning.interim || head.status == 204) {
    meaning.framing = BodyFraming{};
    if (meaning.tunnel || announced) meaning.after = AfterMessage::close;
  } else if (method == Method::head || head.status == 304) {
    // Content-Length says here what a GET would have got; it is kept in `length` but nothing is to be read.
    meaning.framing.kind = BodyKind::none;
  } else if (meaning.framing.kind == BodyKind::until_close) {
    meaning.after = AfterMessage::close;
  }
  return meaning;
}

}  // namespace gatehouse::http
