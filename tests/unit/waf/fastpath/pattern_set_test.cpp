// Unions of patterns: no match is lost against each pattern alone, and running out of memory is never "clean".
#include "waf/fastpath/pattern_set.hpp"

#include <gtest/gtest.h>

#include "tests/unit/waf/fastpath/library.hpp"
#include "tests/unit/waf/fastpath/positives.hpp"
#include "waf/fastpath/exact_pattern.hpp"
#include "waf/fastpath/pattern_translation.hpp"

namespace gatehouse::waf::fastpath {
namespace {

using testing::Inputs;
using testing::printable;

TEST(PatternSet, NamesEveryPatternThatMatches) {
  PatternSet set;
  for (const auto& [id, pattern] :
       std::vector<std::pair<CheckId, std::string>>{{1, "a+b"}, {2, "b"}, {3, "<script"}, {4, "\\d{3}"}}) {
    const Translation translation = translate(pattern);
    set.add(id, translation.re2, &*translation.tree);
  }
  const Scanner scanner(set);
  std::vector<CheckId> checks;
  EXPECT_EQ(scanner.scan("xxaab", classify("xxaab"), checks), ScanResult::found);
  EXPECT_EQ(checks, (std::vector<CheckId>{1, 2}));
  EXPECT_EQ(scanner.scan("zzz", classify("zzz"), checks), ScanResult::clean);
  EXPECT_EQ(scanner.scan("", classify(""), checks), ScanResult::clean);
  EXPECT_EQ(scanner.scan("<script>123", classify("<script>123"), checks), ScanResult::found);
  EXPECT_EQ(checks, (std::vector<CheckId>{3, 4}));
}

TEST(PatternSet, LooksInAWordOnlyForPatternsThatAWordCanMatch) {
  PatternSet set;
  for (const char* pattern : {"<script", "union\\s+select", "\\bselect\\b"}) {
    const Translation translation = translate(pattern);
    set.add(1, translation.re2, &*translation.tree);
  }
  const Scanner scanner(set);
  EXPECT_EQ(scanner.patterns_for(classify("hello-1.2_x")), 1u);
  EXPECT_EQ(scanner.patterns_for(classify("hello world")), 2u);
  EXPECT_EQ(scanner.patterns_for(classify("a<b")), 3u);
}

TEST(PatternSet, AnEmptySetIsAlwaysClean) {
  const PatternSet set;
  const Scanner scanner(set);
  EXPECT_FALSE(scanner.may_match("anything <", classify("anything <")));
}

// RE2 keeps room for the states that a scan needs, so that no memory limit brings this about at will.
TEST(PatternSet, AnAutomatonThatGaveUpSaysNothingOfTheValue) {
  EXPECT_EQ(scan_result(false, true), ScanResult::unknown);
  EXPECT_EQ(scan_result(false, false), ScanResult::clean);
  EXPECT_EQ(scan_result(true, false), ScanResult::found);
}

TEST(PatternSet, NeverCallsAValueCleanWhenItRunsOutOfMemory) {
  // RE2 has no answer then, which a naive version takes for "no match". The 2022 release finds out while it compiles a set;
  // others only while scanning. Whichever it is, what matches with enough memory is never clean with less.
  std::string value = "x<";
  for (int i = 0; i < 60; ++i) value += "xay" + std::to_string(i * 7 % 31) + "-";
  value += "x....y..29q";
  int refused = 0;
  int enough = 0;
  for (std::size_t memory = 16000; memory < 16000000; memory += memory / 4) {
    PatternSet set(memory);
    for (int i = 0; i < 30; ++i) {
      const Translation translation = translate("(?:x.{1,30}y.{1,20}" + std::to_string(i) + ")+q");
      set.add(static_cast<CheckId>(i), translation.re2, &*translation.tree);
    }
    const Scanner scanner(set);
    std::vector<CheckId> checks;
    EXPECT_TRUE(scanner.may_match(value, classify(value)));
    const ScanResult result = scanner.scan(value, classify(value), checks);
    EXPECT_NE(result, ScanResult::clean);
    ++(result == ScanResult::unknown ? refused : enough);
  }
  EXPECT_GT(refused, 0);
  EXPECT_GT(enough, 0);
}

TEST(PatternSet, LosesNoMatchOfTheInstalledPatterns) {
  const auto patterns = testing::installed_patterns();
  if (patterns.empty()) GTEST_SKIP() << "modsecurity-crs is not installed";
  PatternSet set(std::size_t{64} * 1024 * 1024);
  std::vector<Translation> translations;
  std::vector<ExactPattern> exact;
  for (const std::string& pattern : patterns) {
    translations.push_back(translate(pattern));
    exact.emplace_back(pattern);
    set.add(static_cast<CheckId>(translations.size() - 1), translations.back().re2, &*translations.back().tree);
  }
  const Scanner scanner(set);
  ASSERT_TRUE(scanner.usable());
  Inputs random(5);
  ExactScratch scratch;
  std::vector<CheckId> checks;
  const std::vector<std::string> fragments{"\v", "a", " ", "<", "'", "\n"};
  for (std::size_t i = 0; i < translations.size(); ++i) {
    for (int round = 0; round < 6; ++round) {
      const std::string text = random.mutate(testing::positive(*translations[i].tree, random), fragments);
      const bool expected = exact[i].matches(text, scratch);
      if (!expected) continue;
      const ScanResult result = scanner.scan(text, classify(text), checks);
      const bool named = std::find(checks.begin(), checks.end(), static_cast<CheckId>(i)) != checks.end();
      EXPECT_TRUE(result == ScanResult::unknown || named) << patterns[i] << " lost on " << printable(text);
    }
  }
}

}  // namespace
}  // namespace gatehouse::waf::fastpath
