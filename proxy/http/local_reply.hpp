// Replies that the proxy makes itself: nginx's error and redirect pages.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/http/framing.hpp"
#include "proxy/http/message.hpp"

namespace gatehouse::http {

/// nginx's private codes that a configuration may catch with error_page; the client sees 400, or 431 for 494.
inline constexpr int kFieldsTooLargeInternal = 494;
inline constexpr int kCertificateError = 495;
inline constexpr int kNoCertificate = 496;
inline constexpr int kPlainHttpOnTls = 497;
/// `return 444`: close without an answer.
inline constexpr int kCloseSilently = 444;

/// nginx's `server_tokens`: whether the version is told.
enum class ServerTokens : std::uint8_t { off, on };

/// The value of the Server field and the name in the pages: "gatehouse", or "gatehouse/VERSION" with tokens on.
[[nodiscard]] std::string_view server_name(ServerTokens tokens) noexcept;

/// The status the client is told for a private code (494 to 497); any other code is returned as it is.
[[nodiscard]] int public_status(int status) noexcept;

inline constexpr std::string_view kLocalReplyType = "text/html";

/// The page of a status, nginx's layout, made at compile time. Empty for a status that has none (below 300 but for
/// redirects, 304, codes without a row, 444).
[[nodiscard]] std::string_view local_reply_page(int status, ServerTokens tokens) noexcept;

/// Behind an error page, so that it is longer than what Internet Explorer and Chrome replace by pages of their own (nginx's).
inline constexpr std::string_view kPagePadding =
    "<!-- a padding to disable MSIE and Chrome friendly error page -->\r\n"
    "<!-- a padding to disable MSIE and Chrome friendly error page -->\r\n"
    "<!-- a padding to disable MSIE and Chrome friendly error page -->\r\n"
    "<!-- a padding to disable MSIE and Chrome friendly error page -->\r\n"
    "<!-- a padding to disable MSIE and Chrome friendly error page -->\r\n"
    "<!-- a padding to disable MSIE and Chrome friendly error page -->\r\n";

/// What a whole local reply needs besides its status.
struct LocalReply {
  int status = 500;
  Method method = Method::get;  ///< HEAD gets no body
  AfterMessage after = AfterMessage::close;
  ServerTokens tokens = ServerTokens::off;
  std::string_view date = {};      ///< IMF-fixdate, see DateCache
  std::string_view location = {};  ///< for redirects: absolute or relative reference, no CTL; left out if empty
  std::string_view allow = {};     ///< for 405: left out if empty
};

/// Appends the whole HTTP/1 reply (head and page) to `out`; nothing for status 444 or 0. Used where no exchange exists
/// yet (a head that can't be parsed); replies of an exchange go through its response filters instead.
void append_local_reply(const LocalReply& reply, std::string& out);

/// "HTTP/1.1 100 Continue\r\n\r\n"
inline constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace gatehouse::http
