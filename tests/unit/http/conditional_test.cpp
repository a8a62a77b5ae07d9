#include "proxy/http/conditional.hpp"

#include <gtest/gtest.h>

namespace gatehouse::http {
namespace {

constexpr std::time_t kModified = 1600000000;  // Sun, 13 Sep 2020 12:26:40 GMT
constexpr std::string_view kSame = "Sun, 13 Sep 2020 12:26:40 GMT";
constexpr std::string_view kEarlier = "Sun, 13 Sep 2020 12:26:39 GMT";
constexpr std::string_view kLater = "Sun, 13 Sep 2020 12:26:41 GMT";

Precondition check(std::string_view name, std::string_view value, IfModifiedSince rule = IfModifiedSince::exact) {
  Fields fields;
  fields.add(name, value);
  return check_preconditions(fields, {kModified, "\"tag\""}, rule);
}

TEST(Preconditions, IfModifiedSinceIsExactUnlessToldOtherwise) {
  EXPECT_EQ(check("If-Modified-Since", kSame), Precondition::not_modified);
  EXPECT_EQ(check("If-Modified-Since", kLater), Precondition::proceed);
  EXPECT_EQ(check("If-Modified-Since", kLater, IfModifiedSince::before), Precondition::not_modified);
  EXPECT_EQ(check("If-Modified-Since", kEarlier, IfModifiedSince::before), Precondition::proceed);
  EXPECT_EQ(check("If-Modified-Since", kSame, IfModifiedSince::off), Precondition::proceed);
}

TEST(Preconditions, WhatIsNoDateCountsAsModified) {
  EXPECT_EQ(check("If-Modified-Since", "yesterday"), Precondition::proceed);
  EXPECT_EQ(check("If-Unmodified-Since", "yesterday"), Precondition::failed);
}

TEST(Preconditions, TagsCompareWeaklyForIfNoneMatchAndStronglyForIfMatch) {
  EXPECT_EQ(check("If-None-Match", "W/\"tag\""), Precondition::not_modified);
  EXPECT_EQ(check("If-None-Match", "\"other\", \"tag\""), Precondition::not_modified);
  EXPECT_EQ(check("If-None-Match", "\"tagged\""), Precondition::proceed);
  EXPECT_EQ(check("If-None-Match", "*"), Precondition::not_modified);
  EXPECT_EQ(check("If-Match", "\"tag\""), Precondition::proceed);
  EXPECT_EQ(check("If-Match", "W/\"tag\""), Precondition::failed);
}

TEST(Preconditions, AMatchingTagDoesNotOutweighADateThatDiffers) {
  Fields fields;
  fields.add("If-None-Match", "\"tag\"");
  fields.add("If-Modified-Since", kEarlier);
  EXPECT_EQ(check_preconditions(fields, {kModified, "\"tag\""}, IfModifiedSince::exact), Precondition::proceed);
}

TEST(Ranges, FormsOfOneRange) {
  const auto one = [](std::string_view value) {
    const auto plan = plan_ranges(value, 100, 10);
    return plan.kind == RangePlan::Kind::partial && plan.ranges.size() == 1
               ? std::pair{plan.ranges[0].first, plan.ranges[0].end}
               : std::pair<std::uint64_t, std::uint64_t>{7777, 7777};
  };
  EXPECT_EQ(one("bytes=0-9"), (std::pair<std::uint64_t, std::uint64_t>{0, 10}));
  EXPECT_EQ(one("bytes=90-"), (std::pair<std::uint64_t, std::uint64_t>{90, 100}));
  EXPECT_EQ(one("bytes=-5"), (std::pair<std::uint64_t, std::uint64_t>{95, 100}));
  EXPECT_EQ(one("bytes=-500"), (std::pair<std::uint64_t, std::uint64_t>{0, 100}));
  EXPECT_EQ(one("bytes=99-5000"), (std::pair<std::uint64_t, std::uint64_t>{99, 100}));
  EXPECT_EQ(one("BYTES=1-1"), (std::pair<std::uint64_t, std::uint64_t>{1, 2}));
}

TEST(Ranges, WhatIsOutsideOrUnreadableIsUnsatisfiable) {
  for (const std::string_view value :
       {"bytes=100-", "bytes=200-300", "bytes=a-b", "bytes=5", "bytes=1-2x", "bytes=-0"}) {
    EXPECT_EQ(plan_ranges(value, 100, 10).kind, RangePlan::Kind::unsatisfiable) << value;
  }
}

TEST(Ranges, TooManyOrTooMuchCountAsNone) {
  EXPECT_EQ(plan_ranges("bytes=0-1,2-3,4-5", 100, 2).kind, RangePlan::Kind::whole);
  EXPECT_EQ(plan_ranges("bytes=0-99,0-99", 100, 10).kind, RangePlan::Kind::whole);
  EXPECT_EQ(plan_ranges("lines=0-1", 100, 10).kind, RangePlan::Kind::whole);
  EXPECT_EQ(plan_ranges("bytes=0-1", 100, 0).kind, RangePlan::Kind::whole);
  EXPECT_EQ(plan_ranges("bytes=99999999999999999999-", 100, 10).kind, RangePlan::Kind::unsatisfiable);
}

TEST(Ranges, IfRangeNeedsTheSameTagOrTime) {
  const auto holds = [](std::string_view value) {
    Fields fields;
    fields.add("If-Range", value);
    return if_range_holds(fields, {kModified, "\"tag\""});
  };
  EXPECT_TRUE(holds("\"tag\""));
  EXPECT_FALSE(holds("W/\"tag\""));
  EXPECT_TRUE(holds(kSame));
  EXPECT_FALSE(holds(kLater));
}

TEST(Ranges, ContentRangeIsReadAsNginxReadsIt) {
  const auto range = parse_content_range("bytes 0-9/100");
  ASSERT_TRUE(range);
  EXPECT_EQ(range->bytes.first, 0u);
  EXPECT_EQ(range->bytes.end, 10u);
  EXPECT_EQ(range->total, 100u);
  const auto spaced = parse_content_range("bytes  5 - 5 / * ");
  ASSERT_TRUE(spaced);
  EXPECT_EQ(spaced->bytes.size(), 1u);
  EXPECT_FALSE(spaced->total);
}

TEST(Ranges, ContentRangeThatSaysNothingIsNone) {
  for (const std::string_view value :
       {"", "bytes", "bytes */100", "bytes 9-0/100", "bytes 0-9", "bytes 0-9/", "bytes 0-9/1x",
        "bytes 0-99999999999999999999/1", "items 0-9/100", "bytes -9/100"}) {
    EXPECT_FALSE(parse_content_range(value)) << value;
  }
}

TEST(FieldsEditing, RemoveAndSetKeepTheIndexOfKnownNames) {
  Fields fields;
  fields.add("ETag", "\"a\"");
  fields.add("X-One", "1");
  fields.add("Vary", "A");
  fields.add("Vary", "B");
  fields.set("Vary", "C", FieldId::vary);
  EXPECT_EQ(fields.count(FieldId::vary), 1u);
  EXPECT_EQ(fields.value(FieldId::vary), "C");
  fields.remove(FieldId::etag);
  EXPECT_FALSE(fields.contains(FieldId::etag));
  fields.remove("x-one");
  EXPECT_EQ(fields.size(), 1u);
}

}  // namespace
}  // namespace gatehouse::http
