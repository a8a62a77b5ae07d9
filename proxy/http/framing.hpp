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

/// What a request's or response's Connection fields and version say. `close` wins over `keep-alive`; HTTP/1.0 keeps the
/// connection only if asked to.
[[nodiscard]] AfterMessage after_message(Version version, const Fields& fields) noexcept;

/// Whether a list of Connection options names `option` (case-insensitive).
[[nodiscard]] bool connection_lists(const Fields& fields, std::string_view option) noexcept;

/// What a response head says about the rest of the message and about the upstream connection.
struct ResponseSemantics {
  BodyFraming framing;
  AfterMessage after = AfterMessage::close;  ///< keep: reusable once the body is read, if no unread byte follows
  bool interim = false;                      ///< 1xx other than 101: another head follows
  bool tunnel = false;                       ///< 101, or 2xx to CONNECT: what follows belongs to the other protocol
};

/// The semantics of a response to a request with method `method`. Error: upstream_bad_framing, for Content-Length
/// beside Transfer-Encoding, a repeated or invalid Content-Length, any Transfer-Encoding but one `chunked`. A body
/// announced where there can be none (1xx, 204) is not read and costs the connection. A 101 is reported as a tunnel
/// whether or not it was asked for: the caller compares it with its request.
[[nodiscard]] Result<ResponseSemantics> interpret_response(const ResponseHead& head, Method method) noexcept;

}  // namespace gatehouse::http
