#include <gtest/gtest.h>

#include "proxy/config/endpoint.hpp"
#include "proxy/config/geo.hpp"
#include "proxy/config/settings/headers.hpp"
#include "proxy/config/split_clients.hpp"

namespace gatehouse::config {
namespace {

NetworkRule network(std::string_view address, std::uint8_t length) {
  NetworkRule rule;
  rule.network = *parse_ip(address, 0);
  rule.prefix_length = length;
  return rule;
}

std::string found(const GeoTable& table, std::string_view key) {
  Regex::Captures captures;
  const Regex* regex = nullptr;
  const auto* value = table.find(key, captures, regex);
  return value == nullptr ? "nothing" : value->source();
}

TEST(Geo, TheLongestPrefixWins) {
  GeoTable table;
  table.set_default(ComplexValue(std::string("other")));
  EXPECT_FALSE(table.add(network("10.0.0.0", 8), ComplexValue(std::string("wide"))));
  EXPECT_FALSE(table.add(network("10.1.0.0", 16), ComplexValue(std::string("narrow"))));
  EXPECT_TRUE(table.add(network("10.1.0.0", 16), ComplexValue(std::string("narrow"))));
  EXPECT_FALSE(table.add(network("2001:db8::", 32), ComplexValue(std::string("six"))));
  EXPECT_EQ(found(table, "10.1.2.3"), "narrow");
  EXPECT_EQ(found(table, "10.2.2.3"), "wide");
  EXPECT_EQ(found(table, "2001:db8::1"), "six");
  EXPECT_EQ(found(table, "::ffff:10.1.0.1"), "narrow");
  EXPECT_EQ(found(table, "no address"), "other");
  EXPECT_TRUE(table.remove(network("10.1.0.0", 16)));
  EXPECT_FALSE(table.remove(network("10.1.0.0", 16)));
  EXPECT_EQ(found(table, "10.1.2.3"), "wide");
}

TEST(Geo, LaterRangesCutEarlierOnes) {
  GeoTable table;
  table.add_range(10, 100, ComplexValue(std::string("a")));
  table.add_range(40, 60, ComplexValue(std::string("b")));
  EXPECT_EQ(found(table, "0.0.0.39"), "a");
  EXPECT_EQ(found(table, "0.0.0.40"), "b");
  EXPECT_EQ(found(table, "0.0.0.61"), "a");
  EXPECT_EQ(found(table, "0.0.0.101"), "nothing");
  EXPECT_TRUE(table.remove_range(50, 70));
  EXPECT_EQ(found(table, "0.0.0.55"), "nothing");
  EXPECT_EQ(found(table, "0.0.0.71"), "a");
}

TEST(SplitClients, TheHashIsMurmurHash2) {
  EXPECT_EQ(murmur_hash2(""), 0u);
  EXPECT_NE(murmur_hash2("a"), murmur_hash2("b"));
  EXPECT_EQ(murmur_hash2("127.0.0.1"), murmur_hash2(std::string("127.0.0.1")));
}

TEST(SplitClients, SharesComeOutAsWritten) {
  SplitClients table;
  std::vector<SplitClients::Part> parts(3);
  parts[0].percent = 1000;
  parts[0].value = ComplexValue(std::string("tenth"));
  parts[1].percent = 5000;
  parts[1].value = ComplexValue(std::string("half"));
  parts[2].value = ComplexValue(std::string("rest"));
  ASSERT_TRUE(table.set_parts(parts));
  std::map<std::string, int> counts;
  Regex::Captures captures;
  const Regex* regex = nullptr;
  for (int i = 0; i < 20000; ++i) ++counts[table.find("client-" + std::to_string(i), captures, regex)->source()];
  EXPECT_NEAR(counts["tenth"], 2000, 250);
  EXPECT_NEAR(counts["half"], 10000, 500);
  EXPECT_NEAR(counts["rest"], 8000, 500);
}

TEST(SplitClients, MoreThanAllIsRefused) {
  SplitClients table;
  std::vector<SplitClients::Part> parts(2);
  parts[0].percent = parts[1].percent = 6000;
  EXPECT_FALSE(table.set_parts(parts));
}

TEST(ExpiresText, Forms) {
  EXPECT_EQ(Expires::parse("epoch", false)->kind, Expires::Kind::epoch);
  EXPECT_EQ(Expires::parse("max", false)->kind, Expires::Kind::max);
  EXPECT_EQ(Expires::parse("off", false)->kind, Expires::Kind::off);
  EXPECT_EQ(Expires::parse("30d", false)->seconds, 30 * 86400);
  EXPECT_EQ(Expires::parse("-1h", false)->seconds, -3600);
  EXPECT_EQ(Expires::parse("@15h30m", false)->kind, Expires::Kind::daily);
  EXPECT_EQ(Expires::parse("+5", true)->kind, Expires::Kind::modified);
  EXPECT_FALSE(Expires::parse("@25h", false));
  EXPECT_FALSE(Expires::parse("max", true));
  EXPECT_FALSE(Expires::parse("soon", false));
}

}  // namespace
}  // namespace gatehouse::config
