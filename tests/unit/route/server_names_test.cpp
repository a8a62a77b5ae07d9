#include "proxy/route/server_names.hpp"

#include <chrono>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/unit/route/loaded.hpp"

namespace gatehouse::route {
namespace {

// The index of the server that `host` means on the first listener.
std::uint32_t choose(const config::Config& config, std::string_view host) {
  const ServerNames names(config.http.listeners.front(), config.http.servers);
  config::Regex::Captures captures;
  return names.find(host, captures).server->id;
}

class ServerNamesTest : public testing::Test {
 protected:
  std::shared_ptr<const config::Config> config = load_http(R"(
    server { listen 80; server_name www.example.com; }
    server { listen 80; server_name *.example.com; }
    server { listen 80; server_name *.b.example.com; }
    server { listen 80; server_name www.*; }
    server { listen 80; server_name www.example.*; }
    server { listen 80; server_name "~^(?<user>u\d+)\."; }
    server { listen 80; server_name "~^u1\."; }
    server { listen 80 default_server; server_name ""; }
    server { listen 80; server_name .dot.test; }
  )");
};

TEST_F(ServerNamesTest, ExactNameGoesBeforeWildcards) { EXPECT_EQ(choose(*config, "www.example.com"), 0u); }
TEST_F(ServerNamesTest, CaseDoesNotMatter) { EXPECT_EQ(choose(*config, "WWW.Example.COM"), 0u); }
TEST_F(ServerNamesTest, LeadingWildcardMatchesSeveralLabels) { EXPECT_EQ(choose(*config, "x.y.example.com"), 1u); }
TEST_F(ServerNamesTest, LongestLeadingWildcardWins) { EXPECT_EQ(choose(*config, "x.b.example.com"), 2u); }
TEST_F(ServerNamesTest, LeadingWildcardNeedsALabel) {
  EXPECT_EQ(choose(*config, "example.com"), 7u);
  EXPECT_EQ(choose(*config, ".example.com"), 7u);
}
TEST_F(ServerNamesTest, LeadingGoesBeforeTrailingWildcard) { EXPECT_EQ(choose(*config, "www.b.example.com"), 2u); }
TEST_F(ServerNamesTest, LongestTrailingWildcardWins) { EXPECT_EQ(choose(*config, "www.example.org"), 4u); }
TEST_F(ServerNamesTest, TrailingWildcardMatchesSeveralLabels) { EXPECT_EQ(choose(*config, "www.other.co.uk"), 3u); }
TEST_F(ServerNamesTest, TrailingWildcardNeedsALabel) { EXPECT_EQ(choose(*config, "www"), 7u); }
TEST_F(ServerNamesTest, FirstRegexWinsAndWildcardsGoBeforeIt) {
  EXPECT_EQ(choose(*config, "u1.test"), 5u);
  EXPECT_EQ(choose(*config, "U1.test"), 5u);
  EXPECT_EQ(choose(*config, "u1.example.com"), 1u);
}
TEST_F(ServerNamesTest, LeadingDotIsTheNameAndItsSubdomains) {
  EXPECT_EQ(choose(*config, "dot.test"), 8u);
  EXPECT_EQ(choose(*config, "a.dot.test"), 8u);
}
TEST_F(ServerNamesTest, NoHostAndUnknownHostGoToTheDefaultServer) {
  EXPECT_EQ(choose(*config, ""), 7u);
  EXPECT_EQ(choose(*config, "unknown.test"), 7u);
}
TEST_F(ServerNamesTest, RegexFillsCaptures) {
  const ServerNames names(config->http.listeners.front(), config->http.servers);
  config::Regex::Captures captures;
  const auto match = names.find("u42.test", captures);
  ASSERT_NE(match.name, nullptr);
  ASSERT_EQ(captures.offsets.size(), 4u);
  EXPECT_EQ(captures.offsets[2], 0u);
  EXPECT_EQ(captures.offsets[3], 3u);
}
TEST_F(ServerNamesTest, HostsLongerThanAnyNameAreSafe) {
  EXPECT_EQ(choose(*config, std::string(5000, 'x')), 7u);
  EXPECT_EQ(choose(*config, "u1." + std::string(5000, 'x')), 5u);
  EXPECT_EQ(choose(*config, std::string(300, '.')), 7u);
}

TEST(ServerNames, FirstServerIsTheDefaultWhenNoneSaysSo) {
  const auto config = load_http("server { listen 80; server_name a; } server { listen 80; server_name b; }");
  EXPECT_EQ(choose(*config, "c"), 0u);
}

TEST(ServerNames, FirstOfTwoEqualNamesWins) {
  const auto config = load_http(
      "server { listen 80; server_name x; } server { listen 80; server_name a; } "
      "server { listen 80; server_name a; }");
  EXPECT_EQ(choose(*config, "a"), 1u);
}

TEST(ServerNames, TenThousandNamesAreAllFound) {
  std::string text;
  for (int i = 0; i < 10000; ++i)
    text += fmt::format("server {{ listen 80; server_name s{}.example.com *.w{}.example.com; }}\n", i, i);
  const auto config = load_http(text);
  const ServerNames names(config->http.listeners.front(), config->http.servers);
  config::Regex::Captures captures;
  for (std::uint32_t i = 0; i < 10000; ++i) {
    ASSERT_EQ(names.find(fmt::format("S{}.example.com", i), captures).server->id, i);
    ASSERT_EQ(names.find(fmt::format("a.W{}.example.com", i), captures).server->id, i);
  }
}

}  // namespace
}  // namespace gatehouse::route
