#include "proxy/http/local_reply.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "proxy/http/status.hpp"

namespace gatehouse::http {
namespace {

struct Page {
  int status;
  std::string_view without_version;
  std::string_view with_version;
};

#define GATEHOUSE_PAGE_HEAD(title, heading) \
  "<html>\r\n<head><title>" title "</title></head>\r\n<body>\r\n<center><h1>" heading "</h1></center>\r\n"
#define GATEHOUSE_PAGE_TAIL(server) "<hr><center>" server "</center>\r\n</body>\r\n</html>\r\n"
#define GATEHOUSE_PAGE(status, top) \
  Page{status, top GATEHOUSE_PAGE_TAIL("gatehouse"), top GATEHOUSE_PAGE_TAIL("gatehouse/" GATEHOUSE_VERSION)},
#define GATEHOUSE_PAGE_OF_STATUS(code, phrase) \
  GATEHOUSE_PAGE(code, GATEHOUSE_PAGE_HEAD(#code " " phrase, #code " " phrase))

// First match counts: pages that nginx words differently from its status line come before the ones made of the table.
constexpr std::array kPages = {
    // clang-format off
    GATEHOUSE_PAGE(302, GATEHOUSE_PAGE_HEAD("302 Found", "302 Found"))
    GATEHOUSE_PAGE(401, GATEHOUSE_PAGE_HEAD("401 Authorization Required", "401 Authorization Required"))
    GATEHOUSE_PAGE(kFieldsTooLargeInternal,
                   GATEHOUSE_PAGE_HEAD("431 Request Header Or Cookie Too Large", "431 Request Header Fields Too Large")
                   "<center>Request Header Or Cookie Too Large</center>\r\n")
    GATEHOUSE_PAGE(kCertificateError,
                   GATEHOUSE_PAGE_HEAD("400 The SSL certificate error", "400 Bad Request")
                   "<center>The SSL certificate error</center>\r\n")
    GATEHOUSE_PAGE(kNoCertificate,
                   GATEHOUSE_PAGE_HEAD("400 No required SSL certificate was sent", "400 Bad Request")
                   "<center>No required SSL certificate was sent</center>\r\n")
    GATEHOUSE_PAGE(kPlainHttpOnTls,
                   GATEHOUSE_PAGE_HEAD("400 The plain HTTP request was sent to HTTPS port", "400 Bad Request")
                   "<center>The plain HTTP request was sent to HTTPS port</center>\r\n")
    GATEHOUSE_STATUSES(GATEHOUSE_PAGE_OF_STATUS)
    // clang-format on
};

#undef GATEHOUSE_PAGE_OF_STATUS
#undef GATEHOUSE_PAGE
#undef GATEHOUSE_PAGE_TAIL
#undef GATEHOUSE_PAGE_HEAD

void append_number(std::size_t number, std::string& out) {
  std::array<char, 20> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  out.append(digits.data(), end);
}

void append_field(std::string_view name, std::string_view value, std::string& out) {
  if (!value.empty()) out.append(name).append(": ").append(value).append("\r\n");
}

}  // namespace

std::string_view server_name(ServerTokens tokens) noexcept {
  return tokens == ServerTokens::on ? "gatehouse/" GATEHOUSE_VERSION : "gatehouse";
}

int public_status(int status) noexcept {
  if (status == kFieldsTooLargeInternal) return 431;
  return status >= kCertificateError && status <= kPlainHttpOnTls ? 400 : status;
}

std::string_view local_reply_page(int status, ServerTokens tokens) noexcept {
  if (status < 400 && !is_redirect(status)) return {};
  const auto* const page =
      std::find_if(kPages.begin(), kPages.end(), [&](const Page& p) { return p.status == status; });
  if (page == kPages.end()) return {};
  return tokens == ServerTokens::on ? page->with_version : page->without_version;
}

void append_local_reply(const LocalReply& reply, std::string& out) {
  if (reply.status == 0 || reply.status == kCloseSilently) return;
  const int status = public_status(reply.status);
  const std::string_view page = local_reply_page(reply.status, reply.tokens);
  const std::string_view line = status_line(status);
  if (line.empty()) {
    out.append("HTTP/1.1 ");
    append_number(static_cast<std::size_t>(status), out);
    out.append(" \r\n");
  } else {
    out.append(line);
  }
  append_field("Server", server_name(reply.tokens), out);
  append_field("Date", reply.date, out);
  if (has_content(status)) {
    if (!page.empty()) append_field("Content-Type", kLocalReplyType, out);
    out.append("Content-Length: ");
    append_number(page.size(), out);
    out.append("\r\n");
  }
  out.append(reply.after == AfterMessage::keep ? "Connection: keep-alive\r\n" : "Connection: close\r\n");
  append_field("Location", reply.location, out);
  append_field("Allow", reply.allow, out);
  out.append("\r\n");
  if (reply.method != Method::head) out.append(page);
}

}  // namespace gatehouse::http
