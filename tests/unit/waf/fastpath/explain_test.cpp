#include "waf/fastpath/explain.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../../../support/waf_oracle.hpp"

namespace gatehouse::waf::fastpath {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

[[nodiscard]] std::string explained(const std::string& rules, Detail detail) {
  static test::Oracle oracle;
  const auto pair = test::load_pair(oracle, "SecRuleEngine On\nSecRequestBodyAccess On\n" + rules, "./rules.conf");
  return explain(pair.understood, pair.built, detail);
}

TEST(Explain, CountsTheClassesAndNamesWhatIsSlow) {
  const auto text = explained(
      "SecAction \"id:1,phase:1,pass,nolog,setvar:tx.a=1\"\n"
      "SecRule ARGS \"@rx a\" \"id:2,phase:2,deny\"\n"
      "SecRule ARGS \"@rx a\" \"id:3,phase:2,pass,nolog\"\n"
      "SecRule ARGS \"!@pm a\" \"id:4,phase:2,deny,chain\"\n"
      "SecRule ARGS \"@rx z\"\n",
      Detail::summary);
  EXPECT_THAT(text, HasSubstr("rules: 4\n"));
  EXPECT_THAT(text, HasSubstr("folded       1"));
  EXPECT_THAT(text, HasSubstr("benign       1"));
  EXPECT_THAT(text, HasSubstr("alarm        2"));
  EXPECT_THAT(text, HasSubstr("4: a negated @pm"));
  EXPECT_THAT(text, Not(HasSubstr("rule 2 ")));
}

TEST(Explain, SaysWhyThereIsNoFastPath) {
  EXPECT_THAT(explained("SecAction \"id:1,phase:1,log,msg:'x'\"\n", Detail::summary),
              HasSubstr("reason: rule 1: always logs"));
  EXPECT_THAT(explained("SecAuditEngine On\n", Detail::summary), HasSubstr("SecAuditEngine On"));
}

TEST(Explain, UnderstandsARuleSetAsTheEngineCompiledIt) {
  RuleSetCache cache;
  RuleSetSource source;
  source.levels.push_back({{RuleText{"SecRule ARGS \"@rx a\" \"id:1,phase:2,deny\"\n", {"outer.conf", 1}}}});
  source.levels.push_back(
      {{RuleText{"SecRuleEngine On\nSecRequestBodyAccess On\nSecRequestBodyLimit 1000\n"
                 "SecRule ARGS \"@rx b\" \"id:2,phase:2,deny\"\n",
                 {"inner.conf", 1}}}});
  const auto set = cache.compile(source);
  test::Oracle oracle;
  const auto understood = understand(*set, oracle.engine());
  ASSERT_EQ(understood.refusal, "");
  EXPECT_EQ(understood.rules.rules.size(), 2U);
  EXPECT_EQ(understood.settings.request_body_limit, 1000U);
  EXPECT_TRUE(build(understood).fast_path);
}

TEST(Explain, ListsEachRuleOnDemand) {
  EXPECT_THAT(explained("SecRule ARGS \"@rx a\" \"id:2,phase:2,deny\"\n", Detail::each_rule),
              HasSubstr("./rules.conf:3 rule 2 phase 2: alarm (logs)"));
}

}  // namespace
}  // namespace gatehouse::waf::fastpath
