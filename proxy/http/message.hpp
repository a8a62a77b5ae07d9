// Words shared by requests and responses of every HTTP version.
#pragma once

#include <cstdint>
#include <string_view>

#include "proxy/http/fields.hpp"

namespace gatehouse::http {

/// Whether sending a request twice may do its work twice, as nginx's `proxy_next_upstream non_idempotent` sees it.
enum class Repeat : std::uint8_t { harmless, harmful };

// clang-format off
// X(identifier, text, repeat)
#define GATEHOUSE_METHODS(X)             \
  X(get,       "GET",       harmless)    \
  X(head,      "HEAD",      harmless)    \
  X(post,      "POST",      harmful)     \
  X(put,       "PUT",       harmless)    \
  X(delete_,   "DELETE",    harmless)    \
  X(options,   "OPTIONS",   harmless)    \
  X(patch,     "PATCH",     harmful)     \
  X(connect,   "CONNECT",   harmful)     \
  X(trace,     "TRACE",     harmless)    \
  X(propfind,  "PROPFIND",  harmless)    \
  X(proppatch, "PROPPATCH", harmless)    \
  X(mkcol,     "MKCOL",     harmless)    \
  X(copy,      "COPY",      harmless)    \
  X(move,      "MOVE",      harmless)    \
  X(lock,      "LOCK",      harmful)     \
  X(unlock,    "UNLOCK",    harmless)
// clang-format on

/// A method; `other` is any method without a row, whose text stands in the head.
enum class Method : std::uint8_t {
#define GATEHOUSE_METHOD_ENUMERATOR(id, text, repeat) id,
  GATEHOUSE_METHODS(GATEHOUSE_METHOD_ENUMERATOR)
#undef GATEHOUSE_METHOD_ENUMERATOR
      other,
};

/// The row of a method's text (case-sensitive, RFC 9110 section 9.1), `other` if it has none.
[[nodiscard]] Method method_of(std::string_view text) noexcept;

/// The text of a row; empty for `other`.
[[nodiscard]] std::string_view method_text(Method method) noexcept;

/// nginx counts POST, LOCK and PATCH as harmful; `other` is harmful here because nothing is known about it.
[[nodiscard]] Repeat repeat_of(Method method) noexcept;

/// The protocol version of a message. HTTP/1.2 to 1.9 are served as 1.1 (RFC 9112 section 2.3).
enum class Version : std::uint8_t { http10, http11, http2 };

/// "HTTP/1.1", as in nginx's $server_protocol.
[[nodiscard]] std::string_view version_text(Version version) noexcept;

/// A request's head. All views are borrowed: from the buffer given to RequestParser::parse, or from the HTTP/2 stream's
/// arena.
struct RequestHead {
  Method method = Method::other;
  Version version = Version::http11;
  std::string_view method_text;
  std::string_view target;        ///< request-target as sent, never empty once parsed
  std::string_view line;          ///< the request line without its CRLF, nginx's $request
  Fields fields;                  ///< without the dropped ones
  std::size_t dropped = 0;        ///< fields left out because of their name, see NamePolicy
  std::string_view dropped_name;  ///< the first of them, for the error log
  std::size_t size = 0;           ///< bytes of the buffer the head takes, with a skipped leading CRLF
};

/// An upstream response's head. All views are borrowed from the buffer given to ResponseParser::parse.
struct ResponseHead {
  Version version = Version::http11;
  int status = 0;           ///< 100..999
  std::string_view reason;  ///< may be empty
  Fields fields;
  std::size_t size = 0;  ///< bytes of the buffer the head takes
};

}  // namespace gatehouse::http
