#include "proxy/config/parse_value.hpp"

#include <gtest/gtest.h>

namespace gatehouse::config {
namespace {

using std::chrono::milliseconds;

TEST(ParseTime, UnitsAddUpAndOnlyGetSmaller) {
  EXPECT_EQ(parse_time("0"), milliseconds(0));
  EXPECT_EQ(parse_time("30"), milliseconds(30000));
  EXPECT_EQ(parse_time("1h30m"), milliseconds(5400000));
  EXPECT_EQ(parse_time("1h 30m"), milliseconds(5400000));
  EXPECT_EQ(parse_time("500ms"), milliseconds(500));
  EXPECT_EQ(parse_time("1s500ms"), milliseconds(1500));
  EXPECT_EQ(parse_time("1d12"), milliseconds(86412000));
  EXPECT_EQ(parse_time("1y2M3w4d5h6m7s8ms"), milliseconds(31536000000 + 2 * 2592000000 + 3 * 604800000 +
                                                          4 * 86400000LL + 5 * 3600000 + 6 * 60000 + 7008));
}

TEST(ParseTime, RefusesWhatNginxRefuses) {
  for (const auto* text :
       {"", " ", "s", "-1", "1x", "30m1h", "1h1h", "5s s", "1.5s", "1 2", "99999999999999999999", "300000000000y"}) {
    EXPECT_EQ(parse_time(text), std::nullopt) << text;
  }
  EXPECT_EQ(parse_time("500ms", TimeUnit::seconds), std::nullopt);
}

TEST(ParseSize, TakesSuffixesInBothCases) {
  EXPECT_EQ(parse_size("0"), 0u);
  EXPECT_EQ(parse_size("1024"), 1024u);
  EXPECT_EQ(parse_size("8k"), 8192u);
  EXPECT_EQ(parse_size("8K"), 8192u);
  EXPECT_EQ(parse_size("1M"), 1048576u);
  EXPECT_EQ(parse_size("2g"), std::nullopt);
  EXPECT_EQ(parse_size("2g", Gigabytes::accepted), 2147483648u);
  for (const auto* text : {"", "k", "-1", "1kb", "0x10", "1 k", "9223372036854775807k", "18446744073709551616"}) {
    EXPECT_EQ(parse_size(text), std::nullopt) << text;
  }
}

TEST(ParseRate, CountsThousandths) {
  EXPECT_EQ(parse_request_rate("5r/s"), 5000u);
  EXPECT_EQ(parse_request_rate("30r/m"), 500u);
  for (const auto* text : {"", "r/s", "0r/s", "5", "5r/h", "-5r/s"})
    EXPECT_EQ(parse_request_rate(text), std::nullopt) << text;
}

TEST(Format, WritesWhatTheGrammarsRead) {
  for (const auto value : {0, 1, 999, 1000, 1500, 90000, 3600000, 90061001}) {
    EXPECT_EQ(parse_time(format_time(milliseconds(value))), milliseconds(value));
  }
  for (const auto value : {0u, 1u, 1023u, 1024u, 8192u, 1048576u, 1048577u})
    EXPECT_EQ(parse_size(format_size(value)), value);
}

}  // namespace
}  // namespace gatehouse::config
