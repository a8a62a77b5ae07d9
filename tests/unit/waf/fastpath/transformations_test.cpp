// Layer 2: every transformation against the library's own, on official vectors, random bytes and meaningful fragments.
#include "waf/fastpath/transformations.hpp"

#include <array>
#include <string>

#include <gtest/gtest.h>
#include <modsecurity/modsecurity.h>
#include <modsecurity/rules_set.h>
#include <modsecurity/transaction.h>

#include "tests/unit/waf/fastpath/library.hpp"

namespace gatehouse::waf::fastpath {
namespace {

using testing::Inputs;
using testing::LibraryTransformation;
using testing::printable;

const std::vector<std::string>& fragments() {
  static const std::vector<std::string> list{"a",
                                             "B",
                                             "z9",
                                             "0",
                                             "7",
                                             "f",
                                             "F",
                                             "x",
                                             "u",
                                             " ",
                                             "  ",
                                             "\t",
                                             "\n",
                                             "\r\n",
                                             "\v",
                                             "\f",
                                             ".",
                                             "..",
                                             "/",
                                             "//",
                                             "/./",
                                             "/../",
                                             "../",
                                             "./",
                                             "%",
                                             "%2",
                                             "%41",
                                             "%zz",
                                             "%u0041",
                                             "%uff21",
                                             "%uFF5e",
                                             "%u12",
                                             "+",
                                             "&",
                                             "&#",
                                             "&#x",
                                             "&#65;",
                                             "&#x41",
                                             "&lt;",
                                             "&AMP",
                                             "&nbsp;",
                                             "&foo;",
                                             "&#99999999999999999999;",
                                             "&#x1ffffffffffffffff;",
                                             "\\",
                                             "\\n",
                                             "\\x41",
                                             "\\x4",
                                             "\\u0041",
                                             "\\uff21",
                                             "\\101",
                                             "\\777",
                                             "\\08",
                                             "\\ff01 ",
                                             "\\0ff41",
                                             "\\00ff21 ",
                                             "\\41\n",
                                             "\\\n",
                                             "#",
                                             "--",
                                             "-->",
                                             "<!--",
                                             "/*",
                                             "*/",
                                             "*",
                                             "-",
                                             "'",
                                             "\"",
                                             "^",
                                             ",",
                                             ";",
                                             "(",
                                             "=",
                                             "==",
                                             "QUFB",
                                             "QQ",
                                             "9",
                                             "0x41",
                                             "0X4a4b",
                                             "0x4",
                                             "\xc3\xa9",
                                             "\xe2\x82\xac",
                                             "\xf0\x9f\x98\x80",
                                             "\xc0\x80",
                                             "\xed\xa0\x80",
                                             "\xf5\x80\x80\x80",
                                             "\xc3",
                                             "\xe2\x82",
                                             "\xa0",
                                             "\xc2",
                                             "\x80",
                                             "\xff",
                                             std::string(1, '\0'),
                                             "_",
                                             "~",
                                             "!",
                                             "select",
                                             "SELECT"};
  return list;
}

std::vector<Transformation> all_supported() {
  std::vector<Transformation> steps;
  for (std::size_t i = 0; i < transformation_count; ++i) {
    const auto step = static_cast<Transformation>(i);
    if (is_supported(step)) steps.push_back(step);
  }
  return steps;
}

class EveryTransformation : public ::testing::TestWithParam<Transformation> {
 protected:
  EveryTransformation() : library_(GetParam()) {}

  void compare(const std::string& input) {
    scratch_.reset();
    const std::string expected = library_.run(input);
    const std::string_view actual = apply(GetParam(), input, {}, scratch_);
    ASSERT_EQ(printable(actual), printable(expected)) << name(GetParam()) << " of " << printable(input);
    const bool may_change = intersects(classify(input), blockers(GetParam()));
    ASSERT_TRUE(may_change || expected == input)
        << name(GetParam()) << " was called an identity on " << printable(input);
  }

 private:
  LibraryTransformation library_;
  Scratch scratch_;
};

TEST_P(EveryTransformation, EqualsTheLibrarysOnShortInputsExhaustively) {
  compare("");
  for (int a = 0; a < 256; ++a) {
    compare(std::string(1, static_cast<char>(a)));
    for (int b = 0; b < 256; b += 1) compare({static_cast<char>(a), static_cast<char>(b)});
  }
}

TEST_P(EveryTransformation, EqualsTheLibrarysOnRandomInputs) {
  Inputs inputs(static_cast<std::uint32_t>(GetParam()) + 1);
  for (int i = 0; i < 6000; ++i) {
    compare(inputs.bytes(24));
    compare(inputs.from(fragments(), 8));
    compare(inputs.mutate(inputs.from(fragments(), 6), fragments()));
  }
  for (int i = 0; i < 50; ++i) compare(inputs.from(fragments(), 3000));
}

TEST_P(EveryTransformation, EqualsTheLibrarysOnOfficialVectors) {
  const auto vectors = testing::official_vectors("transformations");
  if (vectors.empty()) GTEST_SKIP() << "the library's source package could not be fetched";
  ASSERT_GE(vectors.size(), 300u);
  for (const auto& vector : vectors) compare(vector.input);
}

INSTANTIATE_TEST_SUITE_P(Library, EveryTransformation, ::testing::ValuesIn(all_supported()),
                         [](const auto& step) { return std::string(name(step.param)); });

TEST(UrlDecodeUni, UsesTheUnicodeMapAsTheLibraryDoes) {
  modsecurity::ModSecurity engine;
  modsecurity::RulesSet rules;
  auto holder = std::make_shared<modsecurity::UnicodeMapHolder>();
  for (int i = 0; i < 65536; i += 3) holder->change(i, (i * 7) & 0xff);
  rules.m_unicodeMapTable.m_set = true;
  rules.m_unicodeMapTable.m_unicodeMapTable = holder;
  rules.m_unicodeMapTable.m_unicodeCodePage = 20127;
  modsecurity::Transaction transaction(&engine, &rules, nullptr);

  LibraryTransformation library(Transformation::url_decode_uni);
  Scratch scratch;
  for (int code = 0; code < 65536; code += 7) {
    std::array<char, 8> text{};
    std::snprintf(text.data(), text.size(), code % 2 == 0 ? "%%u%04x" : "%%U%04X", static_cast<unsigned>(code));
    const std::string input = "a" + std::string(text.data()) + "b%u12";
    scratch.reset();
    ASSERT_EQ(printable(apply(Transformation::url_decode_uni, input, UnicodeMap(holder->m_data), scratch)),
              printable(library.run(input, &transaction)));
  }
}

TEST(Transformations, RefuseWhatHasNoNativeForm) {
  EXPECT_FALSE(is_supported(Transformation::md5));
  EXPECT_FALSE(is_supported(Transformation::sha1));
  ChainTree tree;
  const std::array<Transformation, 1> steps{Transformation::sha1};
  EXPECT_THROW(tree.add(steps), std::invalid_argument);
}

TEST(ChainTree, SharesEqualChainsAndCommonBeginnings) {
  using enum Transformation;
  ChainTree tree;
  const std::array<Transformation, 2> first{url_decode_uni, lowercase};
  const std::array<Transformation, 2> second{url_decode_uni, html_entity_decode};
  const auto a = tree.add(first);
  const auto b = tree.add(second);
  EXPECT_EQ(tree.add(first), a);
  EXPECT_NE(a, b);
  EXPECT_EQ(tree.size(), 4u);
  EXPECT_EQ(tree.add({}), ChainTree::root);
}

TEST(ChainTexts, GivesAPlainValueOneTextForEveryChain) {
  using enum Transformation;
  ChainTree tree;
  const std::array<Transformation, 6> crs{utf8_to_unicode, url_decode_uni, html_entity_decode,
                                          js_decode,       css_decode,     remove_nulls};
  const std::array<Transformation, 2> lower{url_decode_uni, lowercase};
  const auto a = tree.add(crs);
  const auto b = tree.add(lower);
  Scratch scratch;
  ChainTexts texts(tree, {}, scratch);
  texts.begin("hello_world-1.2");
  EXPECT_EQ(texts.at(a), 0);
  EXPECT_EQ(texts.at(b), 0);
  EXPECT_EQ(texts.size(), 1u);
  texts.begin("Hello%20World");
  EXPECT_EQ(texts.bytes(texts.at(a)), "Hello World");
  EXPECT_EQ(texts.bytes(texts.at(b)), "hello world");
  EXPECT_EQ(texts.size(), 3u);
}

/// What the library does with a chain: each step in turn, every changed text kept under multiMatch.
std::vector<std::string> library_texts(const std::vector<Transformation>& chain, const std::string& input) {
  std::vector<std::string> texts{input};
  for (const Transformation step : chain) {
    std::string next = LibraryTransformation(step).run(texts.back());
    if (next != texts.back()) texts.push_back(std::move(next));
  }
  return texts;
}

TEST(ChainTexts, EqualsTheLibrarysChainsAndIntermediateTextsOnRandomInputs) {
  Inputs inputs(99);
  const auto supported = all_supported();
  for (int round = 0; round < 60; ++round) {
    ChainTree tree;
    std::vector<std::vector<Transformation>> chains(8);
    std::vector<ChainTree::Node> ends;
    for (auto& chain : chains) {
      for (std::uint32_t n = inputs.below(6); n > 0; --n) {
        chain.push_back(supported[inputs.below(static_cast<std::uint32_t>(supported.size()))]);
      }
      ends.push_back(tree.add(chain));
    }
    Scratch scratch;
    ChainTexts texts(tree, {}, scratch);
    std::vector<ChainTexts::TextId> ids;
    for (int i = 0; i < 60; ++i) {
      const std::string input = inputs.from(fragments(), 6);
      scratch.reset();
      texts.begin(input);
      for (std::size_t c = 0; c < chains.size(); ++c) {
        const auto expected = library_texts(chains[c], input);
        ASSERT_EQ(printable(texts.bytes(texts.at(ends[c]))), printable(expected.back()));
        texts.intermediate(ends[c], ids);
        ASSERT_EQ(ids.size(), expected.size()) << printable(input);
        for (std::size_t k = 0; k < ids.size(); ++k) ASSERT_EQ(printable(texts.bytes(ids[k])), printable(expected[k]));
      }
    }
  }
}

TEST(ChainTexts, AMissingMultiMatchStepIsCaughtByTheComparison) {
  // The harness must be able to fail: looking only at the last text misses what multiMatch sees in between.
  using enum Transformation;
  const auto expected = library_texts({url_decode, hex_encode}, "%27 or 1=1");
  ASSERT_EQ(expected.size(), 3u);
  EXPECT_EQ(expected[1], "' or 1=1");
  ChainTree tree;
  const std::array<Transformation, 2> chain{url_decode, hex_encode};
  Scratch scratch;
  const auto end = tree.add(chain);
  ChainTexts right(tree, {}, scratch);
  const std::string input = "%27 or 1=1";
  right.begin(input);
  std::vector<ChainTexts::TextId> ids;
  right.intermediate(end, ids);
  ASSERT_EQ(ids.size(), 3u);
  std::vector<std::string> faulty{std::string(right.bytes(ids.front())), std::string(right.bytes(ids.back()))};
  EXPECT_NE(faulty, expected);
}

TEST(ByteClasses, NameEveryFactOfItsText) {
  using enum ByteClasses;
  EXPECT_EQ(classify(""), always);
  EXPECT_EQ(classify("ab1"), always | non_empty | lower | digit);
  EXPECT_TRUE(contains(classify("a  b"), blank_run));
  EXPECT_TRUE(contains(classify("a /b"), blank_before_open));
  EXPECT_TRUE(contains(classify("a/./b"), dot_ends_segment));
  EXPECT_TRUE(contains(classify("end."), dot_ends_segment));
  EXPECT_TRUE(contains(classify("\tx"), edge_blank));
  EXPECT_FALSE(intersects(classify("a b"), blank_run | edge_blank));
  EXPECT_TRUE(contains(classify("*/"), comment_close));
}

}  // namespace
}  // namespace gatehouse::waf::fastpath
