#include "waf/fastpath/cross_check.hpp"

#include <gtest/gtest.h>

#include "loaded_rules.hpp"

namespace gatehouse::waf::fastpath {
namespace {

using testing::crs_rules;
using testing::load;
using testing::test_engine;

TEST(CrossCheck, FindsNoDifferenceInTheWholeCoreRuleSet) {
  const auto text = crs_rules();
  if (text.empty()) GTEST_SKIP() << "modsecurity-crs is not installed";
  auto loaded = load(text);
  ASSERT_EQ(loaded.error, "");
  const auto read = read_rules(loaded.sources);
  ASSERT_FALSE(read.misread) << read.misread->where.file << ":" << read.misread->where.line << " "
                             << read.misread->what;
  const auto check = cross_check(read.rules, *loaded.set, test_engine());
  ASSERT_FALSE(check.mismatch) << check.mismatch->where.file << ":" << check.mismatch->where.line << " "
                               << check.mismatch->what;
  EXPECT_EQ(check.compared, 795U);
  EXPECT_EQ(check.not_run, 2U);
  EXPECT_LE(check.without_values, 17U);
}

TEST(CrossCheck, SeesADifferentTransformation) {
  auto loaded = load("SecRule ARGS \"@rx a\" \"id:1,phase:2,t:none,t:lowercase,deny\"\n");
  auto read = read_rules(loaded.sources);
  ASSERT_FALSE(read.misread);
  EXPECT_FALSE(cross_check(read.rules, *loaded.set, test_engine()).mismatch);
  read.rules.rules[0].transformations = {Transformation::uppercase};
  ASSERT_TRUE(cross_check(read.rules, *loaded.set, test_engine()).mismatch);
  EXPECT_EQ(cross_check(read.rules, *loaded.set, test_engine()).mismatch->what, "transformations");
}

TEST(CrossCheck, SeesADifferentParameterTargetOperatorAndChain) {
  auto loaded = load(
      "SecRule ARGS:a|REQUEST_URI \"@rx x%{tx.y}z\" \"id:1,phase:2,deny,chain\"\n"
      "SecRule ARGS \"@contains b\" \"t:none\"\n");
  const auto read = read_rules(loaded.sources);
  ASSERT_FALSE(read.misread);
  const auto differs = [&](auto change) {
    auto rules = read.rules;
    change(rules.rules[0]);
    return cross_check(rules, *loaded.set, test_engine()).mismatch.has_value();
  };
  EXPECT_FALSE(differs([](Rule&) {}));
  EXPECT_TRUE(differs([](Rule& rule) { rule.op->parameter = "x%{tx.y}"; }));
  EXPECT_TRUE(differs([](Rule& rule) { rule.variables[0].text = "b"; }));
  EXPECT_TRUE(differs([](Rule& rule) { rule.chain[0].op->kind = OperatorKind::str_eq; }));
  EXPECT_TRUE(differs([](Rule& rule) { rule.chain.clear(); }));
  EXPECT_TRUE(differs([](Rule& rule) { rule.capture = true; }));
  EXPECT_TRUE(differs([](Rule& rule) { rule.id = 2; }));
}

TEST(CrossCheck, ReadsDefaultTransformationsAsTheLibraryAppliesThem) {
  auto loaded = load(
      "SecRule ARGS \"@rx a\" \"id:1,phase:2,t:lowercase,deny\"\n"
      "SecRule ARGS \"@rx a\" \"id:2,phase:2,t:trim,t:none,t:lowercase,deny\"\n"
      "SecDefaultAction \"phase:2,log,pass,t:urlDecodeUni\"\n");
  const auto read = read_rules(loaded.sources);
  ASSERT_FALSE(read.misread);
  EXPECT_EQ(read.rules.rules[0].transformations,
            (std::vector{Transformation::url_decode_uni, Transformation::lowercase}));
  EXPECT_EQ(read.rules.rules[1].transformations, (std::vector{Transformation::lowercase}));
  EXPECT_FALSE(cross_check(read.rules, *loaded.set, test_engine()).mismatch);
}

}  // namespace
}  // namespace gatehouse::waf::fastpath
