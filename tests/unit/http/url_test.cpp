#include "proxy/http/url.hpp"

#include <gtest/gtest.h>

namespace gatehouse::http {
namespace {

TEST(Url, HasItsParts) {
  const auto url = parse_url("https://www.example.com:8443/a?b");
  ASSERT_TRUE(url);
  EXPECT_TRUE(url->tls);
  EXPECT_EQ(url->authority, "www.example.com:8443");
  EXPECT_EQ(url->host, "www.example.com");
  EXPECT_EQ(url->port, 8443);
  EXPECT_TRUE(url->has_port);
  EXPECT_EQ(url->uri, "/a?b");
}

TEST(Url, HasItsSchemesPort) {
  EXPECT_EQ(parse_url("http://a")->port, 80);
  EXPECT_EQ(parse_url("https://a")->port, 443);
  EXPECT_FALSE(parse_url("https://a")->has_port);
}

TEST(Url, MayHaveAQueryWithoutAPath) {
  EXPECT_EQ(parse_url("http://a?b=/")->host, "a");
  EXPECT_EQ(parse_url("http://a?b=/")->uri, "?b=/");
}

TEST(Url, KeepsTheBracketsOfAnAddress) {
  EXPECT_EQ(parse_url("http://[::1]/")->host, "[::1]");
  EXPECT_EQ(parse_url("http://[::1]:81/")->host, "[::1]");
  EXPECT_EQ(parse_url("http://[::1]:81/")->port, 81);
}

TEST(Url, IsNothingElse) {
  for (const auto text : {"", "a", "ftp://a", "http:/a", "http://", "http:///", "http://:80/", "http://a:/",
                          "http://a:0/", "http://a:65536/", "http://a:80x/"}) {
    EXPECT_FALSE(parse_url(text)) << text;
  }
}

}  // namespace
}  // namespace gatehouse::http
