// Layer 1: every pattern's RE2 text against PCRE2 run as the library runs it, on texts made to match.
#include "waf/fastpath/pattern_translation.hpp"

#include <array>
#include <optional>

#include <gtest/gtest.h>
#include <re2/re2.h>

#include "proxy/base/ascii.hpp"
#include "tests/unit/waf/fastpath/library.hpp"
#include "tests/unit/waf/fastpath/positives.hpp"
#include "waf/fastpath/exact_pattern.hpp"

namespace gatehouse::waf::fastpath {
namespace {

using testing::Inputs;
using testing::printable;

const std::vector<std::string>& fragments() {
  static const std::vector<std::string> list{"\v", "\n", "\f", "\r\n", " ",   "\xa0", "\x85", std::string(1, '\0'),
                                             "a",  "Z",  "_",  "1",    "\xe9"};
  return list;
}

/// The comparison: how often PCRE2 matched, and where RE2 was wrong.
struct Comparison {
  int matched = 0;
  std::optional<std::string> missed;  ///< PCRE2 matches, RE2 does not: unsound
  std::optional<std::string> excess;  ///< the other way round: only an inexact translation may
};

Comparison compare(const std::string& pattern, const std::string& re2_text, const pcre::Node& tree, Inputs& random,
                   int rounds) {
  re2::RE2::Options options;
  options.set_encoding(re2::RE2::Options::EncodingLatin1);
  options.set_log_errors(false);
  const re2::RE2 re2(re2_text, options);
  EXPECT_TRUE(re2.ok()) << re2_text;
  const ExactPattern exact(pattern);
  EXPECT_TRUE(exact.valid()) << pattern;
  ExactScratch scratch;
  Comparison result;
  for (int i = 0; i < rounds; ++i) {
    std::string text = testing::positive(tree, random);
    if (i % 2 == 1) text = random.mutate(text, fragments());
    if (i % 3 == 2) text = random.from(fragments(), 3) + text + random.from(fragments(), 2);
    const bool expected = exact.matches(text, scratch);
    const bool actual = re2::RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), re2);
    if (expected) ++result.matched;
    if (expected && !actual) result.missed = text;
    if (!expected && actual) result.excess = text;
  }
  return result;
}

TEST(PatternTranslation, LinkedPcre2IsTheOneModelled) { EXPECT_TRUE(models_linked_pcre2()); }

TEST(PatternTranslation, IsASupersetForEveryInstalledPattern) {
  const auto patterns = testing::installed_patterns();
  if (patterns.empty()) GTEST_SKIP() << "modsecurity-crs is not installed";
  ASSERT_GE(patterns.size(), 200u);
  Inputs random(7);
  int never_matched = 0;
  for (const std::string& pattern : patterns) {
    const Translation translation = translate(pattern);
    ASSERT_TRUE(translation.tree) << pattern << ": " << translation.refusal;
    const Comparison found = compare(pattern, translation.re2, *translation.tree, random, 240);
    EXPECT_FALSE(found.missed) << pattern << "\n misses " << printable(*found.missed) << "\n as " << translation.re2;
    if (translation.exact) {
      EXPECT_FALSE(found.excess) << pattern << "\n exceeds on " << printable(*found.excess);
    }
    if (found.matched == 0) ++never_matched;
  }
  EXPECT_LE(never_matched, 3) << "the generator must make texts that match";
}

/// A random pattern over the supported grammar; about half of them compile.
std::string random_pattern(Inputs& random, int depth) {
  static const std::vector<std::string> atoms{"a",
                                              "b",
                                              "Z",
                                              "1",
                                              " ",
                                              "\\s",
                                              "\\S",
                                              "\\d",
                                              "\\D",
                                              "\\w",
                                              "\\W",
                                              "\\h",
                                              "\\H",
                                              "\\v",
                                              "\\V",
                                              "\\R",
                                              "\\N",
                                              ".",
                                              "\\b",
                                              "\\B",
                                              "^",
                                              "$",
                                              "\\A",
                                              "\\z",
                                              "\\Z",
                                              "\\G",
                                              "[a-c]",
                                              "[^a-c]",
                                              "[\\s_]",
                                              "[^\\s_]",
                                              "[^\\S\\n]",
                                              "[[:alpha:]]",
                                              "[^[:punct:]]",
                                              "[[:^lower:]]",
                                              "[]a]",
                                              "[^]a]",
                                              "[a-]",
                                              "[\\d.-]",
                                              "[\\x41-\\x5a]",
                                              "\\x0b",
                                              "\\x{e9}",
                                              "\\012",
                                              "\\0",
                                              "\\o{13}",
                                              "\\cA",
                                              "\\e",
                                              "\\a",
                                              "\\t",
                                              "\\n",
                                              "\\Qa.b\\E",
                                              "\\.",
                                              "\\/",
                                              "(?#note)",
                                              "(?i)",
                                              "(?-i)",
                                              "(?s)",
                                              "(?-s)",
                                              "(?-m)",
                                              "(?x) a # c\n",
                                              "\\1",
                                              "(?i:aZ)",
                                              "(?<n>a)",
                                              "(?P<m>b)\\k<m>",
                                              "(?=a)",
                                              "(?!b)",
                                              "(?<=a)",
                                              "(?<!b)",
                                              "(?>a|ab)",
                                              "\\K",
                                              "\\C",
                                              "{",
                                              "}",
                                              "]",
                                              "{,2}",
                                              "a{2}",
                                              "b{1,3}",
                                              "[\\b]",
                                              "[\\1]",
                                              "\\12",
                                              "\\81",
                                              "(?i)[^a\\xe9]",
                                              "(?i)[[:upper:]]",
                                              "\xe9",
                                              "[\xe0-\xff]",
                                              "k",
                                              "S",
                                              "(?i)ks"};
  static const std::vector<std::string> suffixes{"",   "",   "",   "",    "*",   "+",     "?",    "*?",    "+?",
                                                 "++", "*+", "?+", "{0}", "{2}", "{1,2}", "{3,}", "{0,1}+"};
  std::string text;
  for (std::uint32_t n = 1 + random.below(4); n > 0; --n) {
    const std::uint32_t kind = random.below(10);
    if (depth > 0 && kind < 3) {
      static const std::array<std::string, 4> openings{"(", "(?:", "(?>", "(?i:"};
      text += openings[random.below(4)] + random_pattern(random, depth - 1) + ")";
    } else if (kind == 3) {
      text += "|";
      continue;
    } else {
      text += atoms[random.below(static_cast<std::uint32_t>(atoms.size()))];
    }
    text += suffixes[random.below(static_cast<std::uint32_t>(suffixes.size()))];
  }
  return text;
}

TEST(PatternTranslation, IsASupersetForRandomPatternsAndEqualWhereItSaysExact) {
  Inputs random(20261120);
  int translated = 0;
  int exact = 0;
  for (int i = 0; i < 12000; ++i) {
    const std::string pattern = random_pattern(random, 2);
    if (!ExactPattern(pattern).valid()) continue;
    const Translation translation = translate(pattern);
    if (!translation.tree) continue;
    ++translated;
    if (translation.exact) ++exact;
    const Comparison found = compare(pattern, translation.re2, *translation.tree, random, 24);
    ASSERT_FALSE(found.missed) << printable(pattern) << "\n misses " << printable(*found.missed) << "\n as "
                               << translation.re2;
    ASSERT_FALSE(translation.exact && found.excess)
        << printable(pattern) << "\n exceeds on " << printable(*found.excess) << "\n as " << translation.re2;
  }
  EXPECT_GE(translated, 4000);
  EXPECT_GE(exact, 1000);
}

TEST(PatternTranslation, ExpandsWhiteSpaceInsideAndOutsideClasses) {
  EXPECT_EQ(translate("\\s").re2, "[\\x09-\\x0d\\x20]");
  EXPECT_EQ(translate("[^\\s]").re2, "[\\x00-\\x08\\x0e-\\x1f\\x21-\\xff]");
  EXPECT_EQ(translate("(?i)k").re2, "[\\x4b\\x6b]");
}

TEST(PatternTranslation, RefusesWhatItDoesNotModel) {
  for (const char* pattern :
       {"(?R)", "(a)(?1)", "(?(1)a|b)", "\\p{L}", "(*ACCEPT)", "\\X", "(?|a|b)", "(?C1)", "(a)\\g<1>", "[[.a.]]"}) {
    const Translation translation = translate(pattern);
    EXPECT_FALSE(translation.tree) << pattern;
    EXPECT_NE(translation.refusal, "") << pattern;
  }
}

TEST(PatternTranslation, WidensCountsThatRe2DoesNotTake) {
  const Translation translation = translate("^(?:a{500}){500}b{2000}$");
  ASSERT_TRUE(translation.tree) << translation.refusal;
  EXPECT_FALSE(translation.exact);
}

TEST(PatternTranslation, ARawWhiteSpaceEscapeIsCaughtByTheComparison) {
  // The fault a naive version has: RE2's \s has no VT. The harness that guards the translation must see it.
  Inputs random(3);
  const std::string pattern = "union\\s+select";
  const Translation translation = translate(pattern);
  ASSERT_TRUE(translation.tree);
  EXPECT_FALSE(compare(pattern, translation.re2, *translation.tree, random, 2000).missed);
  EXPECT_TRUE(compare(pattern, pattern, *translation.tree, random, 2000).missed);
}

TEST(PatternTranslation, ALineStartUnderANegatedOperatorIsCaughtByTheComparison) {
  // "!@rx ^$" matches "\n" for the library. The superset says "the pattern may match", so its negation would be a false
  // proof of cleanliness: the reason why negated operators run PCRE2 itself.
  const ExactPattern exact("a\\n^$");
  ExactScratch scratch;
  const Translation translation = translate("a\\n^$");
  re2::RE2::Options options;
  options.set_encoding(re2::RE2::Options::EncodingLatin1);
  EXPECT_FALSE(exact.matches("a\n", scratch));
  EXPECT_TRUE(re2::RE2::PartialMatch("a\n", re2::RE2(translation.re2, options)));
  EXPECT_FALSE(translation.exact);
}

TEST(RestrictTo, ProvesThatNoTextOverTheAlphabetMatches) {
  pcre::ByteSet word;
  for (unsigned c = 'a'; c <= 'z'; ++c) word.set(c);
  const auto can = [&](const char* pattern) { return pcre::restrict_to(*translate(pattern).tree, word).has_value(); };
  EXPECT_FALSE(can("union\\s+select"));
  EXPECT_TRUE(can("union\\s*select"));
  EXPECT_FALSE(can("(?:a|b)[(]"));
  EXPECT_TRUE(can("a|[(]"));
  EXPECT_FALSE(can("(?=<)a"));
  EXPECT_TRUE(can("(?!<)a"));
}

TEST(RestrictTo, LosesNoMatchInTextsOverTheAlphabet) {
  // Short texts over a small alphabet match often, and the patterns use bytes outside of it too.
  pcre::ByteSet alphabet;
  for (const char c : std::string("abZ1 _")) alphabet.set(static_cast<unsigned char>(c));
  const std::vector<std::string> letters{"a", "b", "Z", "1", " ", "_"};
  re2::RE2::Options options;
  options.set_encoding(re2::RE2::Options::EncodingLatin1);
  Inputs random(17);
  ExactScratch scratch;
  int matched = 0;
  int impossible = 0;
  for (int i = 0; i < 6000; ++i) {
    const std::string pattern = random_pattern(random, 2);
    const ExactPattern exact(pattern);
    if (!exact.valid()) continue;
    const Translation translation = translate(pattern);
    if (!translation.tree) continue;
    const auto text = restricted_pattern(*translation.tree, alphabet);
    if (!text) ++impossible;
    const re2::RE2 restricted(text.value_or(""), options);
    for (int k = 0; k < 12; ++k) {
      const std::string value = random.from(letters, 5);
      if (!exact.matches(value, scratch)) continue;
      ++matched;
      ASSERT_TRUE(text && re2::RE2::PartialMatch(value, restricted))
          << printable(pattern) << " misses '" << value << "'";
    }
  }
  EXPECT_GE(matched, 3000);
  EXPECT_GE(impossible, 300);
}

TEST(BeforeLowercase, FindsInATextWhatThePatternFindsInItsLowerCase) {
  pcre::ByteSet every_byte;
  every_byte.set();
  re2::RE2::Options options;
  options.set_encoding(re2::RE2::Options::EncodingLatin1);
  options.set_log_errors(false);
  const std::vector<std::string> letters{"a", "A", "b", "B", "Z", "z", "1", " ", "_", "\n", "\xc4"};
  Inputs random(23);
  ExactScratch scratch;
  int matched = 0;
  int not_matched = 0;
  for (int i = 0; i < 6000; ++i) {
    const std::string pattern = random_pattern(random, 2);
    const ExactPattern exact(pattern);
    if (!exact.valid()) continue;
    const Translation translation = translate(pattern);
    if (!translation.tree) continue;
    const auto text = restricted_pattern(pcre::before_lowercase(*translation.tree), every_byte);
    const re2::RE2 before(text.value_or(""), options);
    for (int k = 0; k < 12; ++k) {
      const std::string value = random.from(letters, 5);
      const bool holds = exact.matches(lower_case(value), scratch);
      ++(holds ? matched : not_matched);
      const bool found = text && re2::RE2::PartialMatch(value, before);
      if (holds || translation.exact) {
        ASSERT_EQ(found, holds) << printable(pattern) << " as " << text.value_or("-") << " on '" << value << "'";
      }
    }
  }
  EXPECT_GE(matched, 3000);
  EXPECT_GE(not_matched, 3000);
}

}  // namespace
}  // namespace gatehouse::waf::fastpath
