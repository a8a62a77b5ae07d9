#include "proxy/http/date.hpp"

#include <gtest/gtest.h>

namespace gatehouse::http {
namespace {

constexpr std::time_t kInstant = 1795172400;  // 2026-11-20T11:00:00Z

TEST(Date, FormatsAreNginxs) {
  EXPECT_EQ(view(format_imf_date(kInstant)), "Fri, 20 Nov 2026 11:00:00 GMT");
  EXPECT_EQ(view(format_clf_time(kInstant)), "20/Nov/2026:11:00:00 +0000");
  EXPECT_EQ(view(format_iso8601(kInstant)), "2026-11-20T11:00:00+00:00");
}

TEST(Date, LocalOffsetsShiftTheTimeAndAreNamed) {
  EXPECT_EQ(view(format_clf_time(kInstant, std::chrono::minutes(330))), "20/Nov/2026:16:30:00 +0530");
  EXPECT_EQ(view(format_iso8601(kInstant, std::chrono::minutes(-720))), "2026-11-19T23:00:00-12:00");
}

TEST(Date, EdgesOfTheCalendar) {
  EXPECT_EQ(view(format_imf_date(0)), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(view(format_imf_date(951782400)), "Tue, 29 Feb 2000 00:00:00 GMT");
  EXPECT_EQ(view(format_imf_date(-1)), "Wed, 31 Dec 1969 23:59:59 GMT");
  EXPECT_EQ(view(format_imf_date(INT64_MAX)), "Fri, 31 Dec 9999 23:59:59 GMT");
}

TEST(Date, AllThreeHttpDateFormsAreRead) {
  EXPECT_EQ(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
  EXPECT_EQ(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT"), 784111777);
  EXPECT_EQ(parse_http_date("Sun Nov  6 08:49:37 1994"), 784111777);
  EXPECT_EQ(parse_http_date(view(format_imf_date(kInstant))), kInstant);
}

TEST(Date, WhatIsNoDateIsNothing) {
  for (const char* text :
       {"", "0", "Sun, 06 Nov 1994 08:49:37", "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT "}) {
    EXPECT_EQ(parse_http_date(text), std::nullopt) << text;
  }
}

TEST(Date, TheCacheFollowsTheSecond) {
  DateCache cache;
  EXPECT_EQ(cache.imf(kInstant), "Fri, 20 Nov 2026 11:00:00 GMT");
  EXPECT_EQ(cache.imf(kInstant + 1), "Fri, 20 Nov 2026 11:00:01 GMT");
}

TEST(CookieDate, HasTwoDigitsOfTheYearUpTo2037) {
  EXPECT_EQ(format_cookie_date(2145916555), "Thu, 31-Dec-37 23:55:55 GMT");
  EXPECT_EQ(format_cookie_date(2145916800), "Fri, 01-Jan-2038 00:00:00 GMT");
}

}  // namespace
}  // namespace gatehouse::http
