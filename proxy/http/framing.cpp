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

ConnectionOptions read_connection(const Fields& fields) noexcept {
  ConnectionOptions options;
  if (!fields.contains(FieldId::connection)) return options;
  for (const Field& field : fields) {
    if (field.id != FieldId::connection) continue;
    for_each_element(field.value, [&](std::string_view option) {
      if (iequals(option, "keep-alive")) {
        options.keep_alive = true;
      } else if (iequals(option, "close")) {
        options.close = true;
      } else if (is_token(option)) {
        const FieldId id = field_id(option);
        const std::uint8_t traits = field_traits(id);
        if (id == FieldId::upgrade) options.upgrade = true;
        if ((traits & kHopByHop) == 0) options.names_fields = true;
        if ((traits & kProtected) != 0) options.names_protected = true;
      }
      return true;
    });
  }
  return options;
}

AfterMessage after_message(Version version, const ConnectionOptions& options) noexcept {
  const bool keep = options.keep_alive || version != Version::http10;
  return keep && !options.close ? AfterMessage::keep : AfterMessage::close;
}

bool is_nominated(const Fields& fields, const Field& field) noexcept {
  if ((field_traits(field.id) & kProtected) != 0) return false;
  for (const Field& connection : fields) {
    if (connection.id != FieldId::connection) continue;
    const auto differs = [&](std::string_view option) { return !iequals(option, field.name); };
    if (!for_each_element(connection.value, differs)) return true;
  }
  return false;
}

bool is_hop_by_hop(const Fields& fields, const Field& field) noexcept {
  return (field_traits(field.id) & kHopByHop) != 0 || is_nominated(fields, field);
}

Result<ResponseSemantics> interpret_response(const ResponseHead& head, Method method) noexcept {
  const bool coded = head.fields.contains(FieldId::transfer_encoding);
  const bool counted = head.fields.contains(FieldId::content_length);
  ResponseSemantics meaning;
  const ConnectionOptions options = read_connection(head.fields);
  meaning.after = after_message(head.version, options);
  meaning.names_fields = options.names_fields;
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
