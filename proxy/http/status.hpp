// Status codes and their reason phrases, as nginx words them.
#pragma once

#include <string_view>

namespace gatehouse::http {

// clang-format off
// X(code, phrase)
#define GATEHOUSE_STATUSES(X)                \
  X(100, "Continue")                         \
  X(101, "Switching Protocols")              \
  X(102, "Processing")                       \
  X(103, "Early Hints")                      \
  X(200, "OK")                               \
  X(201, "Created")                          \
  X(202, "Accepted")                         \
  X(203, "Non-Authoritative Information")    \
  X(204, "No Content")                       \
  X(205, "Reset Content")                    \
  X(206, "Partial Content")                  \
  X(207, "Multi-Status")                     \
  X(208, "Already Reported")                 \
  X(226, "IM Used")                          \
  X(300, "Multiple Choices")                 \
  X(301, "Moved Permanently")                \
  X(302, "Moved Temporarily")                \
  X(303, "See Other")                        \
  X(304, "Not Modified")                     \
  X(305, "Use Proxy")                        \
  X(307, "Temporary Redirect")               \
  X(308, "Permanent Redirect")               \
  X(400, "Bad Request")                      \
  X(401, "Unauthorized")                     \
  X(402, "Payment Required")                 \
  X(403, "Forbidden")                        \
  X(404, "Not Found")                        \
  X(405, "Not Allowed")                      \
  X(406, "Not Acceptable")                   \
  X(407, "Proxy Authentication Required")    \
  X(408, "Request Time-out")                 \
  X(409, "Conflict")                         \
  X(410, "Gone")                             \
  X(411, "Length Required")                  \
  X(412, "Precondition Failed")              \
  X(413, "Request Entity Too Large")         \
  X(414, "Request-URI Too Large")            \
  X(415, "Unsupported Media Type")           \
  X(416, "Requested Range Not Satisfiable")  \
  X(417, "Expectation Failed")               \
  X(418, "I'm a teapot")                     \
  X(421, "Misdirected Request")              \
  X(422, "Unprocessable Content")            \
  X(423, "Locked")                           \
  X(424, "Failed Dependency")                \
  X(425, "Too Early")                        \
  X(426, "Upgrade Required")                 \
  X(428, "Precondition Required")            \
  X(429, "Too Many Requests")                \
  X(431, "Request Header Fields Too Large")  \
  X(451, "Unavailable For Legal Reasons")    \
  X(500, "Internal Server Error")            \
  X(501, "Not Implemented")                  \
  X(502, "Bad Gateway")                      \
  X(503, "Service Temporarily Unavailable")  \
  X(504, "Gateway Time-out")                 \
  X(505, "HTTP Version Not Supported")       \
  X(506, "Variant Also Negotiates")          \
  X(507, "Insufficient Storage")             \
  X(508, "Loop Detected")                    \
  X(510, "Not Extended")                     \
  X(511, "Network Authentication Required")
// clang-format on

/// The phrase of a code's row; empty for a code without one.
[[nodiscard]] std::string_view reason_phrase(int status) noexcept;

/// The start line of an HTTP/1.1 response with its CRLF for a code that has a row ("HTTP/1.1 200 OK\r\n"), else empty:
/// the writer then formats the number itself.
[[nodiscard]] std::string_view status_line(int status) noexcept;

/// 1xx, 204 and 304 have no content (RFC 9110 section 6.4.1).
[[nodiscard]] constexpr bool has_content(int status) noexcept {
  return status >= 200 && status != 204 && status != 304;
}

/// A response that `return` and rewrite give a Location: 301, 302, 303, 307, 308.
[[nodiscard]] constexpr bool is_redirect(int status) noexcept {
  return (status >= 301 && status <= 303) || status == 307 || status == 308;
}

}  // namespace gatehouse::http
