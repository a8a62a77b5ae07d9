#include "proxy/config/regex.hpp"

#include <stdexcept>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace gatehouse::config {
namespace {

constexpr auto kUnset = static_cast<std::size_t>(-1);

TEST(Regex, MatchesAnywhereUnlessAnchored) {
  EXPECT_TRUE(Regex("b", false).matches("abc"));
  EXPECT_FALSE(Regex("^b", false).matches("abc"));
  EXPECT_FALSE(Regex("B", false).matches("abc"));
  EXPECT_TRUE(Regex("B", true).matches("abc"));
  EXPECT_TRUE(Regex("^$", false).matches(""));
}

TEST(Regex, CapturesAreOffsetsAndUnsetGroupsSaySo) {
  const Regex regex("(a)|(?<name>b)(c)?", false);
  Regex::Captures captures;
  ASSERT_TRUE(regex.match("xb", captures));
  EXPECT_EQ(captures.offsets, (std::vector<std::size_t>{1, 2, kUnset, kUnset, 1, 2, kUnset, kUnset}));
  ASSERT_EQ(regex.names().size(), 1u);
  EXPECT_EQ(regex.names()[0].first, "name");
  EXPECT_EQ(regex.names()[0].second, 2u);
  EXPECT_EQ(regex.group_count(), 3u);
}

TEST(Regex, CapturesStayWhenNothingMatches) {
  Regex::Captures captures{{7, 8}};
  EXPECT_FALSE(Regex("z", false).match("abc", captures));
  EXPECT_EQ(captures.offsets, (std::vector<std::size_t>{7, 8}));
}

TEST(Regex, ExpressionsWithFewerGroupsReuseTheThreadsMemory) {
  Regex::Captures captures;
  ASSERT_TRUE(Regex("(a)(b)(c)(d)", false).match("abcd", captures));
  ASSERT_TRUE(Regex("(b)?x", false).match("ax", captures));
  EXPECT_EQ(captures.offsets, (std::vector<std::size_t>{1, 2, kUnset, kUnset}));
}

TEST(Regex, ExplosiveExpressionsGiveUp) {
  const Regex regex("^(a+)+$", false);
  EXPECT_FALSE(regex.matches(std::string(200, 'a') + "!"));
}

TEST(Regex, BrokenPatternsSayWhere) {
  try {
    const Regex regex("a(b", false);
    FAIL() << "compiled";
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), "pcre2_compile() failed: missing closing parenthesis in \"a(b\"");
  }
  try {
    const Regex regex("a**b[", false);
    FAIL() << "compiled";
  } catch (const std::invalid_argument& error) {
    EXPECT_NE(std::string(error.what()).find("pcre2_compile() failed"), std::string::npos);
  }
}

TEST(Regex, ThreadsShareAnExpression) {
  const Regex regex("^/(\\d+)/(\\w+)$", false);
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (std::size_t id = 0; id < wrong.size(); ++id) {
    threads.emplace_back([&, id] {
      Regex::Captures captures;
      const auto subject = "/" + std::string(id + 1, '7') + "/abc";
      for (int i = 0; i < 1000; ++i) {
        if (!regex.match(subject, captures) || captures.offsets[3] != id + 2) ++wrong[id];
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

}  // namespace
}  // namespace gatehouse::config
