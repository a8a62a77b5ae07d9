#include "proxy/http/local_reply.hpp"

#include <string>

#include <gtest/gtest.h>

#include "proxy/http/status.hpp"

namespace gatehouse::http {
namespace {

TEST(Status, LinesAndPhrasesComeFromOneTable) {
  EXPECT_EQ(status_line(200), "HTTP/1.1 200 OK\r\n");
  EXPECT_EQ(reason_phrase(404), "Not Found");
  for (const int unknown : {-1, 0, 99, 299, 444, 599, 600, 1000}) {
    EXPECT_EQ(status_line(unknown), "") << unknown;
    EXPECT_EQ(reason_phrase(unknown), "") << unknown;
  }
}

TEST(LocalReply, ThePageIsNginxsWithOurName) {
  EXPECT_EQ(
      local_reply_page(404, ServerTokens::off),
      "<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>\r\n<center><h1>404 Not Found</h1></center>\r\n"
      "<hr><center>gatehouse</center>\r\n</body>\r\n</html>\r\n");
  EXPECT_NE(local_reply_page(502, ServerTokens::on).find("gatehouse/" GATEHOUSE_VERSION), std::string_view::npos);
  EXPECT_NE(local_reply_page(302, ServerTokens::off).find("<h1>302 Found</h1>"), std::string_view::npos);
  EXPECT_NE(local_reply_page(401, ServerTokens::off).find("401 Authorization Required"), std::string_view::npos);
}

// Row 58.
TEST(LocalReply, PrivateCodesHaveTheirOwnPageAndAPublicStatus) {
  EXPECT_EQ(public_status(kPlainHttpOnTls), 400);
  EXPECT_EQ(public_status(kFieldsTooLargeInternal), 431);
  EXPECT_EQ(public_status(499), 499);
  EXPECT_NE(local_reply_page(kPlainHttpOnTls, ServerTokens::off).find("The plain HTTP request was sent to HTTPS port"),
            std::string_view::npos);
}

TEST(LocalReply, StatusesWithoutAPageHaveNone) {
  for (const int status : {100, 200, 204, 300, 304, 444, 499, 999}) {
    EXPECT_EQ(local_reply_page(status, ServerTokens::off), "") << status;
  }
}

TEST(LocalReply, TheWholeReplyIsWritten) {
  std::string out;
  append_local_reply(
      {.status = 301, .after = AfterMessage::keep, .date = "Fri, 20 Nov 2026 11:00:00 GMT", .location = "https://a/"},
      out);
  const std::string page(local_reply_page(301, ServerTokens::off));
  EXPECT_EQ(out,
            "HTTP/1.1 301 Moved Permanently\r\nServer: gatehouse\r\nDate: Fri, 20 Nov 2026 11:00:00 GMT\r\n"
            "Content-Type: text/html\r\nContent-Length: " +
                std::to_string(page.size()) + "\r\nConnection: keep-alive\r\nLocation: https://a/\r\n\r\n" + page);
}

TEST(LocalReply, HeadGetsTheLengthButNoPage) {
  std::string out;
  append_local_reply({.status = 400, .method = Method::head}, out);
  EXPECT_TRUE(out.ends_with("Connection: close\r\n\r\n"));
  EXPECT_NE(out.find("Content-Length: 1"), std::string::npos);
}

TEST(LocalReply, AClosingStatusWritesNothing) {
  std::string out;
  append_local_reply({.status = kCloseSilently}, out);
  append_local_reply({.status = 0}, out);
  EXPECT_EQ(out, "");
}

TEST(LocalReply, ACodeWithoutARowIsStillAReply) {
  std::string out;
  append_local_reply({.status = 599}, out);
  EXPECT_TRUE(out.starts_with("HTTP/1.1 599 \r\n"));
  EXPECT_NE(out.find("Content-Length: 0\r\n"), std::string::npos);
}

}  // namespace
}  // namespace gatehouse::http
