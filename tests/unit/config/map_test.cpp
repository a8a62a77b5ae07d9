#include "proxy/config/map.hpp"

#include <gtest/gtest.h>

namespace gatehouse::config {
namespace {

std::string look(const VariableMap& map, std::string_view key) {
  Regex::Captures captures;
  const Regex* regex = nullptr;
  const auto* value = map.find(key, captures, regex);
  return value == nullptr ? "(nothing)" : std::string(value->constant());
}

VariableMap hosts() {
  VariableMap map;
  map.hostnames = true;
  EXPECT_TRUE(map.add("a.test", ComplexValue("exact")));
  EXPECT_TRUE(map.add("*.a.test", ComplexValue("star")));
  EXPECT_TRUE(map.add("*.b.a.test", ComplexValue("longer star")));
  EXPECT_TRUE(map.add(".dot.test", ComplexValue("dot")));
  EXPECT_TRUE(map.add("www.*", ComplexValue("tail")));
  EXPECT_TRUE(map.add("www.x.*", ComplexValue("longer tail")));
  map.add_regex(std::make_shared<const Regex>("^u\\d", false), ComplexValue("first"));
  map.add_regex(std::make_shared<const Regex>("^u1", false), ComplexValue("second"));
  EXPECT_TRUE(map.set_default(ComplexValue("default")));
  return map;
}

TEST(VariableMap, ExactGoesBeforeWildcardsBeforeExpressionsBeforeDefault) {
  const auto map = hosts();
  EXPECT_EQ(look(map, "A.Test"), "exact");
  EXPECT_EQ(look(map, "a.test."), "exact");
  EXPECT_EQ(look(map, "x.a.test"), "star");
  EXPECT_EQ(look(map, "x.b.a.test"), "longer star");
  EXPECT_EQ(look(map, "dot.test"), "dot");
  EXPECT_EQ(look(map, "x.dot.test"), "dot");
  EXPECT_EQ(look(map, "www.y"), "tail");
  EXPECT_EQ(look(map, "www.x.y"), "longer tail");
  EXPECT_EQ(look(map, "u1"), "first");
  EXPECT_EQ(look(map, "other"), "default");
  EXPECT_EQ(look(map, std::string(1000, 'x')), "default");
}

TEST(VariableMap, WithoutHostnamesStarsAndDotsAreText) {
  VariableMap map;
  ASSERT_TRUE(map.add("*.a", ComplexValue("star")));
  EXPECT_EQ(look(map, "*.a"), "star");
  EXPECT_EQ(look(map, "x.a"), "(nothing)");
  EXPECT_EQ(look(map, "*.a."), "(nothing)");
}

TEST(VariableMap, EmptyStringIsAKeyAndMeetsNoExpression) {
  VariableMap map;
  map.add_regex(std::make_shared<const Regex>(".*", false), ComplexValue("any"));
  EXPECT_EQ(look(map, ""), "(nothing)");
  ASSERT_TRUE(map.add("", ComplexValue("empty")));
  EXPECT_EQ(look(map, ""), "empty");
  EXPECT_EQ(look(map, "x"), "any");
}

TEST(VariableMap, KeysDifferByMoreThanCase) {
  VariableMap map;
  EXPECT_TRUE(map.add("a", ComplexValue("1")));
  EXPECT_FALSE(map.add("A", ComplexValue("2")));
  EXPECT_TRUE(map.set_default(ComplexValue("")));
  EXPECT_FALSE(map.set_default(ComplexValue("")));
}

}  // namespace
}  // namespace gatehouse::config
