// Layer 3: every operator against the library's own, on official vectors and random values.
#include "waf/fastpath/operators.hpp"

#include <array>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <re2/re2.h>

#include "tests/unit/waf/fastpath/library.hpp"
#include "waf/fastpath/pattern_set.hpp"

extern "C" {
int libinjection_sqli(const char* text, std::size_t length, char fingerprint[]);
int libinjection_xss(const char* text, std::size_t length);
}

namespace gatehouse::waf::fastpath {
namespace {

using testing::Inputs;
using testing::LibraryOperator;
using testing::printable;

std::optional<ExactOperator> compiled(OperatorKind kind, const std::string& parameter, bool negated = false) {
  std::string refusal;
  return ExactOperator::compile({kind, negated, parameter, false}, refusal);
}

struct Case {
  OperatorKind kind;
  std::vector<std::string> parameters;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> list{
      {OperatorKind::begins_with, {"", "a", "ab", "/admin"}},
      {OperatorKind::contains, {"", "a", "ab", "b c"}},
      {OperatorKind::contains_word, {"", "a", "ab", "b", "1", "a b"}},
      {OperatorKind::ends_with, {"", "a", "ab", ".php"}},
      {OperatorKind::eq, {"0", "1", "-1", " 12x", "", "99999999999", "2147483647"}},
      {OperatorKind::ge, {"0", "10", "-3", "x", "99999999999999999999"}},
      {OperatorKind::gt, {"0", "10", "-3", "x", "-99999999999999999999"}},
      {OperatorKind::le, {"0", "10", "-3", "x", "9223372036854775807"}},
      {OperatorKind::lt, {"0", "10", "-3", "x", "-9223372036854775808"}},
      {OperatorKind::str_eq, {"", "a", "ab", "a b"}},
      {OperatorKind::str_match, {"", "a", "ab", "b c"}},
      {OperatorKind::unconditional_match, {""}},
      {OperatorKind::validate_byte_range,
       {"1-255", "32-126,10,13", "38,44-46,48-58,61,65-90,95,97-122", "x,5", "9-1,40", "0-300,7"}},
      {OperatorKind::validate_url_encoding, {""}},
      {OperatorKind::validate_utf8_encoding, {""}},
      {OperatorKind::within, {"", "GET POST", "a", "abc ab"}},
      {OperatorKind::rx, {"", "a+b", "^$", "(a|b)\\1", "(?<!x)a", "\\s", "(", "a{2,3}+", "[^\\n]\\z"}},
      {OperatorKind::detect_sqli, {""}},
      {OperatorKind::detect_xss, {""}},
      {OperatorKind::ip_match, {"10.0.0.0/8,192.168.1.1", "::1,fe80::/10,127.0.0.1"}},
  };
  return list;
}

const std::vector<std::string>& fragments() {
  static const std::vector<std::string> list{"a",
                                             "b",
                                             "c",
                                             "ab",
                                             "x",
                                             " ",
                                             "1",
                                             "12",
                                             "-",
                                             "+",
                                             "0",
                                             "9223372036854775807",
                                             "99999999999",
                                             "%",
                                             "%41",
                                             "%4",
                                             "%zz",
                                             ".php",
                                             "/admin",
                                             "GET",
                                             "\n",
                                             "\t",
                                             "\xc3\xa9",
                                             "\xe2\x82\xac",
                                             "\xf0\x9f\x98\x80",
                                             "\xc0\x80",
                                             "\xed\xa0\x80",
                                             "\xf4\x90\x80\x80",
                                             "\xf5",
                                             "\xc3",
                                             "\x80",
                                             "'",
                                             "\"",
                                             "<",
                                             ">",
                                             "=",
                                             "script",
                                             "onload",
                                             "union",
                                             "select",
                                             "--",
                                             "#",
                                             "/*",
                                             "or",
                                             "(",
                                             ")",
                                             "10.1.2.3",
                                             "192.168.1.1",
                                             "::1",
                                             "fe80::1",
                                             "127.0.0.1",
                                             ".",
                                             ":",
                                             std::string(1, '\0')};
  return list;
}

TEST(Operators, EqualTheLibrarysOnRandomValues) {
  Inputs random(11);
  ExactScratch scratch;
  for (const Case& test : cases()) {
    for (const std::string& parameter : test.parameters) {
      const auto native = compiled(test.kind, parameter);
      const auto negated = compiled(test.kind, parameter, true);
      const LibraryOperator library(test.kind, parameter);
      ASSERT_TRUE(library.valid());
      ASSERT_TRUE(native) << name(test.kind) << " " << parameter;
      for (int i = 0; i < 3000; ++i) {
        const std::string value =
            i % 4 == 0 ? random.bytes(6) : random.mutate(random.from(fragments(), 5), fragments());
        const bool expected = library.matches(value);
        const ByteClasses classes = classify(value);
        ASSERT_EQ(native->matches(value, classes, scratch), expected)
            << name(test.kind) << " " << parameter << " of " << printable(value);
        ASSERT_EQ(negated->matches(value, classes, scratch), !expected);
      }
    }
  }
}

TEST(Operators, EqualTheLibrarysOnOfficialVectors) {
  const auto vectors = testing::official_vectors("operators");
  if (vectors.empty()) GTEST_SKIP() << "the library's source package could not be fetched";
  ExactScratch scratch;
  int compared = 0;
  for (const auto& vector : vectors) {
    for (std::size_t i = 0; i < operator_kind_count; ++i) {
      const auto kind = static_cast<OperatorKind>(i);
      if (name(kind) != vector.name) continue;
      const auto native = compiled(kind, vector.parameter);
      if (!native) continue;
      const LibraryOperator library(kind, vector.parameter);
      ASSERT_EQ(native->matches(vector.input, classify(vector.input), scratch), library.matches(vector.input))
          << vector.name << " " << vector.parameter << " of " << printable(vector.input);
      ++compared;
    }
  }
  EXPECT_GE(compared, 400);
}

TEST(Operators, RefuseWhatHasNoExactForm) {
  for (const OperatorKind kind :
       {OperatorKind::pm, OperatorKind::geo_lookup, OperatorKind::rbl, OperatorKind::verify_cc}) {
    std::string refusal;
    EXPECT_FALSE(ExactOperator::compile({kind, false, "x", false}, refusal));
    EXPECT_NE(refusal, "");
  }
  EXPECT_FALSE(compiled(OperatorKind::validate_byte_range, "300"));
  EXPECT_FALSE(compiled(OperatorKind::ip_match, "not-an-address"));
}

/// The union text of an operator, as a matcher.
bool found_by_union(const std::string& re2_text, const std::string& value) {
  re2::RE2::Options options;
  options.set_encoding(re2::RE2::Options::EncodingLatin1);
  return re2::RE2::PartialMatch(re2::StringPiece(value.data(), value.size()), re2::RE2(re2_text, options));
}

TEST(UnionPattern, CoversEveryValueTheLibrarysOperatorMatches) {
  Inputs random(12);
  const std::vector<Case> searching{
      {OperatorKind::pm, {"nessus Nikto .git/", "a|20|b c", "\\\\x union select", "\"quoted words\""}},
      {OperatorKind::contains, {"ab", "(a)"}},
      {OperatorKind::contains_word, {"ab"}},
      {OperatorKind::begins_with, {"ab"}},
      {OperatorKind::ends_with, {".b"}},
      {OperatorKind::str_match, {"ab"}},
      {OperatorKind::str_eq, {"ab", ""}},
  };
  const std::vector<std::string> pieces{"nessus", "NIKTO", "nik", "to", ".git", "/",     "a",     "b",   "c",
                                        " ",      "ab",    ".b",  "\\", "x",    "union", "words", "(a)", "\xe9"};
  int matched = 0;
  for (const Case& test : searching) {
    for (const std::string& parameter : test.parameters) {
      const auto phrases = test.kind == OperatorKind::pm ? pm_phrases(parameter) : std::vector<std::string>();
      const auto text = union_pattern({test.kind, false, parameter, false}, phrases);
      ASSERT_TRUE(text) << parameter;
      const LibraryOperator library(test.kind, parameter);
      PatternSet set;
      const auto tree = union_tree({test.kind, false, parameter, false}, phrases);
      ASSERT_TRUE(tree) << parameter;
      set.add(1, *text, &*tree);
      const Scanner scanner(set);
      for (int i = 0; i < 400; ++i) {
        const std::string value = random.from(pieces, 4);
        if (!library.matches(value)) continue;
        ++matched;
        ASSERT_TRUE(scanner.may_match(value, classify(value))) << "by tier: " << printable(value);
        ASSERT_TRUE(found_by_union(*text, value)) << name(test.kind) << " " << parameter << " of " << printable(value);
      }
    }
  }
  EXPECT_GE(matched, 500);
}

TEST(UnionPattern, ReadsPhraseFilesAsTheLibraryDoes) {
  EXPECT_EQ(pm_file_phrases("# comment\n\nfoo\n  # indented\nbar # kept\nlast"),
            (std::vector<std::string>{"foo", "bar # kept", "last"}));
}

TEST(Libinjection, CallsNoSingleWordOrNumberAnAttack) {
  // The proof's premise, over every word libinjection knows and random ones: one token, no fingerprint on the list.
  std::vector<std::string> words{"0", "1", "12.5", "7.", "00000000000000000000", "x", "_", "n1", "u",
                                 "q", "b", "e",    "N"};
  const std::string source = testing::library_source();
  std::ifstream file(std::filesystem::path(source) / "others/libinjection/src/sqlparse_data.json");
  const nlohmann::json known = nlohmann::json::parse(file, nullptr, false);
  if (known.is_object()) {
    for (const auto& [word, type] : known.at("keywords").items()) words.push_back(word);
    EXPECT_GE(words.size(), 600u);
  }
  Inputs random(13);
  const std::vector<std::string> letters{"a", "B", "x", "X", "u", "n",      "q",     "e",
                                         "b", "_", "0", "1", "9", "select", "UNION", "sp_password"};
  for (int i = 0; i < 200000; ++i) words.push_back(random.from(letters, 9));
  const std::vector<std::string> digits{"0", "1", "99", "."};
  for (int i = 0; i < 20000; ++i) words.push_back(random.from(digits, 12));
  int proven = 0;
  for (const std::string& word : words) {
    if (!proven_not_sqli(word, classify(word))) continue;
    ++proven;
    std::array<char, 16> fingerprint{};
    ASSERT_EQ(libinjection_sqli(word.data(), word.size(), fingerprint.data()), 0) << word;
  }
  EXPECT_GE(proven, 100000);
}

TEST(Libinjection, CallsNothingWithoutAngleAndEqualsCrossSiteScripting) {
  Inputs random(14);
  const std::vector<std::string> pieces{
      "a",   "onload", "on",      "style", "xmlns", "href", "javascript:", ">",      "/",      "!",
      "?",   "%",      "--",      "'",     "\"",    "`",    " ",           "\t",     "\n",     "\v",
      "-",   "script", "doctype", "[",     "]",     "[if",  "xml",         "import", "&#x3c;", std::string(1, '\0'),
      "\xe9"};
  for (int i = 0; i < 300000; ++i) {
    const std::string value = i % 2 == 0 ? random.from(pieces, 8) : random.mutate(random.from(pieces, 5), pieces);
    if (!proven_not_xss(value, classify(value))) continue;
    ASSERT_EQ(libinjection_xss(value.data(), value.size()), 0) << printable(value);
  }
  // Exhaustively over every kind of byte the tokenizer tells apart, but for the two.
  const std::string alphabet("a>/!'\"` \0?%", 11);
  std::vector<std::string> texts{""};
  for (int length = 0; length < 5; ++length) {
    std::vector<std::string> longer;
    for (const std::string& text : texts) {
      for (const char c : alphabet) longer.push_back(text + c);
    }
    for (const std::string& text : longer) ASSERT_EQ(libinjection_xss(text.data(), text.size()), 0) << printable(text);
    texts = std::move(longer);
  }
}

}  // namespace
}  // namespace gatehouse::waf::fastpath
