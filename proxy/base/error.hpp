// Why an operation or an exchange failed: one row per reason, everything else (status, log text, metric label) derives from it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <boost/system/result.hpp>

namespace gatehouse {

/// Whose fault a failure is; decides the log level and which counter moves.
enum class Blame : std::uint8_t { downstream, upstream, internal, none };

// clang-format off
// X(name, metric label, blame, status sent to the client (0: close without an answer), text for the error log)
#define GATEHOUSE_REASONS(X)                                                                                              \
  X(none,                       "none",                       none,       0,   "no error")                                \
  /* framing and limits of the request */                                                                                \
  X(bad_request_line,           "bad_request_line",           downstream, 400, "client sent invalid request line")        \
  X(bad_method,                 "bad_method",                 downstream, 400, "client sent invalid method")              \
  X(bad_version,                "bad_version",                downstream, 400, "client sent invalid HTTP version")        \
  X(unsupported_version,        "unsupported_version",        downstream, 505, "client sent unsupported HTTP version")    \
  X(bad_target,                 "bad_target",                 downstream, 400, "client sent invalid request target")      \
  X(bad_field,                  "bad_field",                  downstream, 400, "client sent invalid header line")         \
  X(bad_host,                   "bad_host",                   downstream, 400, "client sent invalid Host header")         \
  X(bad_content_length,         "bad_content_length",         downstream, 400, "client sent invalid Content-Length")      \
  X(bad_transfer_encoding,      "bad_transfer_encoding",      downstream, 400, "client sent invalid Transfer-Encoding")   \
  X(unknown_transfer_encoding,  "unknown_transfer_encoding",  downstream, 501, "client sent unknown Transfer-Encoding")   \
  X(ambiguous_framing,          "ambiguous_framing",          downstream, 400, "client sent both Content-Length and Transfer-Encoding") \
  X(bad_chunk,                  "bad_chunk",                  downstream, 400, "client sent invalid chunked body")        \
  X(bad_connection_option,      "bad_connection_option",      downstream, 400, "client listed a protected header in Connection") \
  X(bad_expectation,            "bad_expectation",            downstream, 417, "client sent unknown Expect")              \
  X(method_not_allowed,         "method_not_allowed",         downstream, 405, "client sent a method that is not served") \
  X(target_too_long,            "target_too_long",            downstream, 414, "client sent too long URI")                \
  X(fields_too_large,           "fields_too_large",           downstream, 431, "client sent too large request header")    \
  X(body_too_large,             "body_too_large",             downstream, 413, "client intended to send too large body")  \
  X(plain_http_on_tls,          "plain_http_on_tls",          downstream, 400, "client sent plain HTTP request to HTTPS port") \
  X(tls_on_plain_port,          "tls_on_plain_port",          downstream, 0,   "client sent a TLS hello to a plain HTTP port") \
  X(misdirected,                "misdirected",                downstream, 421, "client attempted to request the server name different from the one that was negotiated") \
  X(client_certificate,         "client_certificate",         downstream, 400, "client certificate was refused")          \
  X(bad_proxy_protocol,         "bad_proxy_protocol",         downstream, 0,   "broken PROXY protocol header")            \
  /* the client's behaviour */                                                                                           \
  X(head_timeout,               "head_timeout",               downstream, 408, "client timed out while sending the request header") \
  X(body_timeout,               "body_timeout",               downstream, 408, "client timed out while sending the request body") \
  X(body_too_slow,              "body_too_slow",              downstream, 408, "client sends the request body below the minimum rate") \
  X(send_timeout,               "send_timeout",               downstream, 0,   "client timed out while reading the response") \
  X(client_closed,              "client_closed",              downstream, 499, "client prematurely closed connection")    \
  X(keepalive_timeout,          "keepalive_timeout",          none,       0,   "client keep-alive timed out")             \
  X(idle_evicted,               "idle_evicted",               none,       0,   "idle connection closed to make room")     \
  X(handshake_failed,           "handshake_failed",           downstream, 0,   "SSL_do_handshake() failed")               \
  X(handshake_timeout,          "handshake_timeout",          downstream, 0,   "client timed out while SSL handshaking")  \
  X(access_denied,              "access_denied",              downstream, 403, "access forbidden by rule")                \
  X(waf_denied,                 "waf_denied",                 downstream, 403, "ModSecurity: Access denied")              \
  X(internal_location,          "internal_location",          downstream, 404, "location is internal")                   \
  X(no_location,                "no_location",                downstream, 404, "no location serves this URI")             \
  X(file_not_found,             "file_not_found",             downstream, 404, "file not found")                          \
  X(file_forbidden,             "file_forbidden",             downstream, 403, "file access forbidden")                   \
  X(method_refused,             "method_refused",             downstream, 405, "method not allowed for a file")           \
  X(not_authorized,             "not_authorized",             downstream, 401, "no user/password was provided for basic authentication") \
  X(authorization_denied,       "authorization_denied",       downstream, 403, "the authorization subrequest denied access") \
  X(requests_limited,           "requests_limited",           downstream, 503, "limiting requests")                       \
  X(connections_limited,        "connections_limited",        downstream, 503, "limiting connections by zone")            \
  X(precondition_failed,        "precondition_failed",        none,       412, "the client's precondition failed")        \
  X(range_not_satisfiable,      "range_not_satisfiable",      none,       416, "the client's range is outside the file")  \
  /* the origin */                                                                                                       \
  X(connect_failed,             "connect_failed",             upstream,   502, "connect() failed")                        \
  X(connect_timeout,            "connect_timeout",            upstream,   504, "upstream timed out while connecting to upstream") \
  X(upstream_handshake,         "upstream_handshake",         upstream,   502, "SSL handshake with upstream failed")      \
  X(upstream_send,              "upstream_send",              upstream,   502, "sending the request to upstream failed")  \
  X(upstream_send_timeout,      "upstream_send_timeout",      upstream,   504, "upstream timed out while sending request to upstream") \
  X(upstream_read,              "upstream_read",              upstream,   502, "reading from upstream failed")            \
  X(upstream_read_timeout,      "upstream_read_timeout",      upstream,   504, "upstream timed out while reading response header from upstream") \
  X(upstream_closed,            "upstream_closed",            upstream,   502, "upstream prematurely closed connection")  \
  X(upstream_invalid_head,      "upstream_invalid_head",      upstream,   502, "upstream sent invalid header")            \
  X(upstream_head_too_large,    "upstream_head_too_large",    upstream,   502, "upstream sent too big header")            \
  X(upstream_bad_framing,       "upstream_bad_framing",       upstream,   502, "upstream sent ambiguous or broken message framing") \
  X(upstream_bad_slice,         "upstream_bad_slice",         upstream,   502, "upstream sent another slice than the one that was asked for") \
  X(upstream_bad_interim,       "upstream_bad_interim",       upstream,   502, "upstream sent an interim response that was not asked for") \
  X(no_live_upstream,           "no_live_upstream",           upstream,   502, "no live upstreams")                       \
  X(unresolved,                 "unresolved",                 upstream,   502, "could not resolve the upstream's name")   \
  X(upstream_status,            "upstream_status",            upstream,   502, "upstream answered with a status listed in proxy_next_upstream") \
  /* ourselves */                                                                                                        \
  X(waf_failed,                 "waf_failed",                 internal,   500, "the WAF could not evaluate the request")  \
  X(waf_overloaded,             "waf_overloaded",             internal,   503, "the WAF's queue is full")                 \
  X(spill_failed,               "spill_failed",               internal,   500, "the request body could not be written to its temporary file") \
  X(file_failed,                "file_failed",                internal,   500, "a file could not be opened or read")      \
  X(authentication_failed,      "authentication_failed",      internal,   500, "the client could not be authenticated")   \
  X(rewrite_cycle,              "rewrite_cycle",              internal,   500, "rewrite or internal redirection cycle")   \
  X(rewrite_empty,              "rewrite_empty",              internal,   500, "the rewritten URI has a zero length")     \
  X(no_named_location,          "no_named_location",          internal,   500, "could not find named location")           \
  X(overloaded,                 "overloaded",                 internal,   503, "a configured limit of this server is reached") \
  X(canceled,                   "canceled",                   none,       0,   "the operation was cancelled")             \
  X(end_of_stream,              "end_of_stream",              none,       0,   "the peer closed its side")                \
  X(timed_out,                  "timed_out",                  none,       0,   "the deadline passed")                     \
  X(io_failed,                  "io_failed",                  none,       0,   "a system call failed")                    \
  X(bug,                        "bug",                        internal,   500, "an internal invariant was broken")
// clang-format on

/// Every reason an operation, exchange or connection can end for.
enum class Reason : std::uint8_t {
#define GATEHOUSE_REASON_ENUMERATOR(name, label, blame, status, text) name,
  GATEHOUSE_REASONS(GATEHOUSE_REASON_ENUMERATOR)
#undef GATEHOUSE_REASON_ENUMERATOR
};

/// The row of a reason.
struct ReasonRow {
  std::string_view label;  ///< Prometheus label value
  Blame blame;
  int status;             ///< what the client is told; 0 closes without an answer
  std::string_view text;  ///< error log wording, nginx's where nginx has one
};

[[nodiscard]] const ReasonRow& row(Reason reason) noexcept;

/// Number of reasons, for tables indexed by one.
[[nodiscard]] std::size_t reason_count() noexcept;

/// A failure on the data path: what happened and, where a system call said so, its errno (0 otherwise).
struct Error {
  Reason reason = Reason::none;
  int os_error = 0;

  friend bool operator==(const Error&, const Error&) = default;
};

/// "connect() failed (111: Connection refused)": the reason's text with errno's number and text, as nginx words it.
[[nodiscard]] std::string describe(const Error& error);

/// Called by Result::value() on a failed result; throws std::runtime_error with describe(error).
[[noreturn]] void throw_exception_from_error(const Error& error, const boost::source_location& where);

/// Errors are values on the data path.
template <class T>
using Result = boost::system::result<T, Error>;

}  // namespace gatehouse
