// What a request asks for once its head is parsed: every check between the parser and routing, in one function.
#pragma once

#include <cstdint>
#include <string_view>

#include "proxy/base/error.hpp"
#include "proxy/http/framing.hpp"
#include "proxy/http/message.hpp"

namespace gatehouse::http {

/// A host with an optional port, as in Host and in an absolute request-target. Borrows from the validated text.
struct Authority {
  std::string_view text;   ///< as sent: nginx's $http_host
  std::string_view host;   ///< without port and trailing dot, letter case as sent; an IPv6 literal keeps its brackets
  std::uint16_t port = 0;  ///< 0: none given
};

/// Parses `host[:port]`: a name of unreserved characters without empty labels, an IPv4 address or an IPv6 literal, and
/// a port of 1 to 65535 or empty (RFC 9110 section 7.2; sub-delims and escapes of RFC 3986 are refused). Error:
/// bad_host.
[[nodiscard]] Result<Authority> parse_authority(std::string_view text) noexcept;

/// The forms of a request-target, RFC 9112 section 3.2. The authority form belongs to CONNECT, which is refused.
enum class TargetForm : std::uint8_t { origin, absolute, asterisk };

/// What an accepted Upgrade asks for. h2c is never accepted: the request is served as HTTP/1.1 (RFC 9113 deprecates
/// it).
enum class Upgrade : std::uint8_t { none, websocket, other };

/// A valid request's meaning. All views borrow from what the head borrows from.
struct RequestSemantics {
  BodyFraming framing;
  AfterMessage after = AfterMessage::keep;
  TargetForm form = TargetForm::origin;
  Upgrade upgrade = Upgrade::none;
  bool expect_continue = false;       ///< the client waits for 100 before it sends its body
  Authority authority;                ///< the target's if it has one, else Host's; empty in HTTP/1.0 without Host
  std::string_view path_and_query;    ///< origin form of the target as sent: starts with '/', or is "*"
  std::string_view path;              ///< the part before '?', still escaped
  std::string_view query;             ///< the part after '?', empty if none: nginx's $args
  bool has_query = false;             ///< there was a '?'
  std::string_view upgrade_protocol;  ///< the Upgrade field's value if `upgrade` is not none: nginx's $http_upgrade
  bool names_fields = false;          ///< Connection names fields to be removed: see is_hop_by_hop()
};

/// Judges a parsed HTTP/1 request head. In this order, so that a message that can't be framed is never answered as if
/// it could: framing, Host, target form against method, Connection options, Upgrade, Expect.
///
/// Errors (all close the connection): those of frame_request; bad_host; bad_target; method_not_allowed (TRACE,
/// CONNECT); bad_connection_option (Connection names a protected field: no honest client does, and dropping the option
/// silently would hide the attack from the log); bad_expectation.
[[nodiscard]] Result<RequestSemantics> validate_request(const RequestHead& head) noexcept;

}  // namespace gatehouse::http
