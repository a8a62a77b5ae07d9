#include "proxy/cache/freshness.hpp"

#include <initializer_list>
#include <string>
#include <utility>

#include <gtest/gtest.h>

namespace gatehouse::cache {
namespace {

constexpr Seconds kNow = 1'800'000'000;

using Lines = std::initializer_list<std::pair<std::string_view, std::string_view>>;

Freshness judged(Lines lines, IgnoredFields ignored = {}) {
  http::Fields fields;
  for (const auto& [name, value] : lines) fields.add(name, value);
  return judge(fields, ignored, kNow);
}

TEST(Freshness, SaysNothingWithoutFields) {
  const Freshness result = judged({});
  EXPECT_TRUE(result.storable);
  EXPECT_EQ(result.valid_until, 0);
}

TEST(Freshness, CacheControlForbidsStoring) {
  for (const auto value : {"no-cache", "No-Store", "private", "max-age=0", "s-maxage=0, max-age=9", "max-age=x"}) {
    EXPECT_FALSE(judged({{"Cache-Control", value}}).storable) << value;
  }
}

TEST(Freshness, SharedAgeGoesBeforeAge) {
  EXPECT_EQ(judged({{"Cache-Control", "max-age=60"}}).valid_until, kNow + 60);
  EXPECT_EQ(judged({{"Cache-Control", "max-age=60, s-maxage=5"}}).valid_until, kNow + 5);
}

TEST(Freshness, AHugeAgeDoesNotOverflow) {
  EXPECT_GT(judged({{"Cache-Control", "max-age=99999999999999999999999999"}}).valid_until, kNow);
}

TEST(Freshness, StaleWhileRevalidateCountsForErrorsUnlessTheyHaveTheirOwn) {
  const Freshness both = judged({{"Cache-Control", "max-age=1, stale-while-revalidate=10"}});
  EXPECT_EQ(both.stale_while_updating, 10);
  EXPECT_EQ(both.stale_if_error, 10);
  const Freshness own = judged({{"Cache-Control", "max-age=1, stale-while-revalidate=10, stale-if-error=20"}});
  EXPECT_EQ(own.stale_while_updating, 10);
  EXPECT_EQ(own.stale_if_error, 20);
}

TEST(Freshness, AccelExpiresOverrulesWhatTheOthersSay) {
  const Freshness result = judged({{"Cache-Control", "no-store"}, {"X-Accel-Expires", "30"}});
  EXPECT_TRUE(result.storable);
  EXPECT_EQ(result.valid_until, kNow + 30);
  EXPECT_EQ(judged({{"X-Accel-Expires", "@1900000000"}}).valid_until, 1'900'000'000);
  EXPECT_FALSE(judged({{"X-Accel-Expires", "0"}}).storable);
  EXPECT_TRUE(judged({{"X-Accel-Expires", "soon"}}).storable);
}

TEST(Freshness, ExpiresCountsWhereNothingElseSaysAnything) {
  EXPECT_FALSE(judged({{"Expires", "Thu, 01 Jan 1970 00:00:01 GMT"}}).storable);
  EXPECT_FALSE(judged({{"Expires", "0"}}).storable);
  EXPECT_EQ(judged({{"Expires", "Fri, 01 Jan 2100 00:00:00 GMT"}}).valid_until, 4'102'444'800);
  EXPECT_EQ(judged({{"Expires", "0"}, {"Cache-Control", "max-age=5"}}).valid_until, kNow + 5);
}

TEST(Freshness, CookiesAndAVaryOfEverythingAreNotStored) {
  EXPECT_FALSE(judged({{"Set-Cookie", "a=b"}}).storable);
  EXPECT_FALSE(judged({{"Vary", "*"}}).storable);
  EXPECT_FALSE(judged({{"Vary", "Accept, *"}}).storable);
  EXPECT_FALSE(judged({{"Vary", std::string(kLongestVary + 1, 'a')}}).storable);
  EXPECT_TRUE(judged({{"Vary", "Accept-Language"}}).storable);
}

TEST(Freshness, IgnoredFieldsHaveNoSay) {
  const IgnoredFields all{true, true, true, true, true};
  const Freshness result = judged(
      {{"X-Accel-Expires", "0"}, {"Cache-Control", "private"}, {"Expires", "0"}, {"Set-Cookie", "a=b"}, {"Vary", "*"}},
      all);
  EXPECT_TRUE(result.storable);
  EXPECT_EQ(result.valid_until, 0);
}

TEST(Freshness, TheFirstValidRuleThatFitsDecides) {
  const ValidRule rules[] = {{200, 60}, {404, 0}, {0, 5}};
  EXPECT_EQ(valid_seconds(rules, 200), 60);
  EXPECT_EQ(valid_seconds(rules, 404), 0);
  EXPECT_EQ(valid_seconds(rules, 500), 5);
  EXPECT_EQ(valid_seconds({}, 200), 0);
}

}  // namespace
}  // namespace gatehouse::cache
