// How long a message's body is and whether the connection outlives it: RFC 9112 sections 6.3 and 9.3. Nothing is
// guessed: a message that two readers could cut differently is refused.
#pragma once

#include <cstdint>
#include <string_view>

#include "proxy/base/error.hpp"
#include "proxy/http/message.hpp"

namespace gatehouse::http {

enum class BodyKind : std::uint8_t {
  none,
  length,       ///< exactly `length` bytes, at least one
  chunked,      ///< RFC 9112 section 7.1
  until_close,  ///< responses only: up to the end of the connection
};

/// How a message's body is delimited.
struct BodyFraming {
  BodyKind kind = BodyKind::none;
  std::uint64_t length = 0;  ///< bytes, for BodyKind::length
  bool declared = false;     ///< a valid Content-Length was sent, be it 0

  friend bool operator==(const BodyFraming&, const BodyFraming&) = default;
};

/// Whether the connection is kept for another message afterwards.
enum class AfterMessage : std::uint8_t { close, keep };

/// Parses a Content-Length value: 1 to 19 digits not above 2^63-1, leading zeros allowed, nothing else.
[[nodiscard]] Result<std::uint64_t> parse_content_length(std::string_view value) noexcept;

/// The framing of a request. Errors: ambiguous_framing (Content-Length beside Transfer-Encoding), bad_content_length
/// (also for a repeated one), bad_transfer_encoding (400), unknown_transfer_encoding (501).
[[nodiscard]] Result<BodyFraming> frame_request(const RequestHead& head) noexcept;

/// What all Connection fields of a message say together. Elements that are no tokens are ignored: the field is never
/// forwarded, so nobody else reads them.
struct ConnectionOptions {
  bool close = false;
  bool keep_alive = false;
  bool upgrade = false;
  bool names_fields = false;     ///< a name that is not hop-by-hop already: see is_nominated()
  bool names_protected = false;  ///< a field with FieldTraits::kProtected
};
[[nodiscard]] ConnectionOptions read_connection(const Fields& fields) noexcept;

/// Whether a message's connection outlives it, by its version and Connection options. `close` wins over `keep-alive`;
/// HTTP/1.0 keeps the connection only if asked to.
[[nodiscard]] AfterMessage after_message(Version version, const ConnectionOptions& options) noexcept;

/// Whether Connection names this field as hop-by-hop. Never true of a protected field: a request that names one is
/// refused, a response's word on it is ignored. Reads the Connection fields again: ask only if `names_fields` says so.
[[nodiscard]] bool is_nominated(const Fields& fields, const Field& field) noexcept;

/// Whether a proxy must not forward this field: hop-by-hop by its name or by its message's Connection fields (RFC 9110
/// section 7.6.1). `meaning` is the message's RequestSemantics or ResponseSemantics. An accepted Upgrade is written
/// anew.
template <class Semantics>
[[nodiscard]] bool is_hop_by_hop(const Semantics& meaning, const Fields& fields, const Field& field) noexcept {
  static constexpr FieldIdSet kAlways = fields_with(kHopByHop);
  return kAlways.contains(field.id) || (meaning.names_fields && is_nominated(fields, field));
}
/// The same where no semantics are at hand: reads the Connection fields for every field asked about.
[[nodiscard]] bool is_hop_by_hop(const Fields& fields, const Field& field) noexcept;

/// What a response head says about the rest of the message and about the upstream connection.
struct ResponseSemantics {
  BodyFraming framing;
  AfterMessage after = AfterMessage::close;  ///< keep: reusable once the body is read, if no unread byte follows
  bool interim = false;                      ///< 1xx other than 101: another head follows
  bool tunnel = false;                       ///< 101, or 2xx to CONNECT: what follows belongs to the other protocol
  bool names_fields = false;                 ///< Connection names fields to be removed: see is_hop_by_hop()
};

/// The semantics of a response to a request with method `method`. Error: upstream_bad_framing, for Content-Length
/// beside Transfer-Encoding, a repeated or invalid Content-Length, any Transfer-Encoding but one `chunked`. A body
/// announced where there can be none (1xx, 204) is not read and costs the connection. A 101 is reported as a tunnel
/// whether or not it was asked for: the caller compares it with its request.
[[nodiscard]] Result<ResponseSemantics> interpret_response(const ResponseHead& head, Method method) noexcept;

}  // namespace gatehouse::http
