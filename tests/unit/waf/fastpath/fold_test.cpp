#include "waf/fastpath/fold.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "loaded_rules.hpp"

namespace gatehouse::waf::fastpath {
namespace {

using testing::crs_rules;

[[nodiscard]] Plan fold_text(const std::string& text, const FoldOptions& options = {}) {
  const std::vector<RuleSource> sources{{"rules.conf", text}};
  const auto read = read_rules(sources);
  EXPECT_FALSE(read.misread) << read.misread->what;
  return fold(read.rules, options);
}

[[nodiscard]] bool live(const Plan& plan, std::int64_t id) {
  return std::ranges::any_of(plan.rules, [id](const LiveRule& rule) { return rule.id == id; });
}

[[nodiscard]] RuleClass class_of(const Plan& plan, std::int64_t id) {
  const auto found = std::ranges::find_if(plan.verdicts, [id](const Verdict& verdict) { return verdict.id == id; });
  EXPECT_NE(found, plan.verdicts.end());
  return found->rule_class;
}

TEST(Fold, SkipsWhatAConstantSkipsOver) {
  const auto plan = fold_text(
      "SecAction \"id:1,phase:1,pass,nolog,setvar:tx.level=1\"\n"
      "SecRule TX:LEVEL \"@lt 2\" \"id:2,phase:2,pass,nolog,skipAfter:END\"\n"
      "SecRule ARGS \"@rx a\" \"id:3,phase:2,deny\"\n"
      "SecMarker END\n"
      "SecRule ARGS \"@rx b\" \"id:4,phase:2,deny\"\n");
  EXPECT_EQ(plan.refusal, "");
  EXPECT_FALSE(live(plan, 3));
  EXPECT_TRUE(live(plan, 4));
}

TEST(Fold, KeepsWhatOnlySomeRequestsSkip) {
  const auto plan = fold_text(
      "SecRule REQUEST_METHOD \"@streq GET\" \"id:1,phase:2,pass,nolog,skipAfter:END\"\n"
      "SecAction \"id:2,phase:2,pass,nolog,setvar:tx.seen=1\"\n"
      "SecMarker END\n"
      "SecRule TX:seen \"@eq 1\" \"id:3,phase:2,deny,chain\"\n"
      "SecRule ARGS \"@rx b\"\n");
  EXPECT_EQ(plan.refusal, "");
  ASSERT_TRUE(live(plan, 3));
  EXPECT_NE(plan.rules.front().links.front().opaque, "") << "TX:seen is set on one of the two ways only";
}

TEST(Fold, UnderstandsTwoWaysThatBothSkip) {
  const auto plan = fold_text(
      "SecRule IP:x \"@eq 1\" \"id:1,phase:2,pass,nolog,skipAfter:A\"\n"
      "SecRule &TX:y \"@eq 0\" \"id:2,phase:2,pass,nolog,skipAfter:B\"\n"
      "SecAction \"id:3,phase:2,pass,nolog,setvar:ip.x=1\"\n"
      "SecMarker A\n"
      "SecMarker B\n");
  EXPECT_EQ(plan.refusal, "");
}

/// A score that is set up by a rule with the tag "all" and added to by one with the tag "attack".
const std::string kScore =
    "SecAction \"id:2,phase:1,pass,nolog,tag:'all',setvar:tx.score=0,setvar:tx.step=5\"\n"
    "SecRule ARGS \"@rx b\" \"id:3,phase:2,block,tag:'all',tag:'attack',setvar:tx.score=+%{tx.step}\"\n"
    "SecRule &TX:step \"@eq 1\" \"id:4,phase:2,pass,nolog,tag:'all',setvar:tx.sum=+%{tx.score}\"\n"
    "SecRule TX:sum \"@ge 5\" \"id:5,phase:2,deny,tag:'all'\"\n";

TEST(Fold, AsksTheLibraryWhereARuleTakesOutWhatOthersDependOn) {
  const auto plan =
      fold_text("SecRule REQUEST_LINE \"@streq GET /\" \"id:1,phase:1,pass,nolog,ctl:ruleRemoveByTag=all\"\n" + kScore);
  EXPECT_EQ(plan.refusal, "");
  EXPECT_EQ(class_of(plan, 1), RuleClass::alarm);
  EXPECT_FALSE(live(plan, 5)) << "the score is nothing where rule 1 does not match";
}

TEST(Fold, AsksTheLibraryWhereARuleLeavesAPhase) {
  for (const std::string effect : {"allow", "skipAfter:END"}) {
    const auto plan = fold_text("SecRule REMOTE_ADDR \"@ipMatch 10.0.0.0/8\" \"id:1,phase:2,pass,nolog," + effect +
                                "\"\n" + kScore + "SecMarker END\n");
    EXPECT_EQ(plan.refusal, "") << effect;
    EXPECT_EQ(class_of(plan, 1), RuleClass::alarm) << effect;
  }
}

TEST(Fold, ProvesRequestsForWhichRulesThatNothingDependsOnAreTakenOut) {
  const auto plan = fold_text(
      "SecRule REQUEST_URI \"@beginsWith /free\" \"id:1,phase:1,pass,nolog,ctl:ruleRemoveByTag=attack\"\n" + kScore);
  EXPECT_EQ(plan.refusal, "");
  EXPECT_EQ(class_of(plan, 1), RuleClass::benign);
}

TEST(Fold, SaysWhyWhenAskingTheLibraryDoesNotHelpEither) {
  const auto plan = fold_text(
      "SecRule REQUEST_URI \"@beginsWith /free\" \"id:1,phase:1,pass,nolog,ctl:ruleRemoveById=2\"\n"
      "SecRule REMOTE_ADDR \"@unconditionalMatch\" \"id:2,phase:2,pass,nolog\"\n"
      "SecAction \"id:3,phase:2,deny\"\n");
  EXPECT_EQ(plan.refusal, "rule 3: always deny");
}

TEST(Fold, TakesAScoreInTheHeadForAnAlarmOfTheHeadAlone) {
  const auto plan = fold_text(
      "SecRule ARGS \"@rx a\" \"id:1,phase:2,pass,nolog,setvar:tx.score=+5,chain\"\n"
      "SecRule ARGS \"@rx b\" \"t:none\"\n"
      "SecRule TX:score \"@ge 5\" \"id:2,phase:2,deny\"\n");
  ASSERT_TRUE(live(plan, 1));
  EXPECT_EQ(plan.rules.front().alarm_link, 0U);
  EXPECT_EQ(class_of(plan, 2), RuleClass::folded) << "on a clean request the score stays unset";
}

TEST(Fold, TakesACounterThatNoConditionReadsForBenign) {
  const auto plan = fold_text("SecRule ARGS \"@rx a\" \"id:1,phase:2,pass,nolog,setvar:tx.count=+1\"\n");
  EXPECT_EQ(class_of(plan, 1), RuleClass::benign);
}

TEST(Fold, NeedsEveryLinkOfAChainThatOnlyLogsAtItsEnd) {
  const auto plan = fold_text(
      "SecRule ARGS \"@rx a\" \"id:1,phase:2,deny,chain\"\n"
      "SecRule ARGS \"@rx b\" \"t:none,setvar:tx.score=+5\"\n");
  ASSERT_TRUE(live(plan, 1));
  EXPECT_EQ(plan.rules.front().alarm_link, 1U);
}

TEST(Fold, TakesARuleWithoutNologForAnAlarmAndOneWithNologForBenign) {
  const auto plan = fold_text(
      "SecRule ARGS \"@rx a\" \"id:1,phase:2,pass\"\n"
      "SecRule ARGS \"@rx a\" \"id:2,phase:2,pass,nolog\"\n"
      "SecRule ARGS \"@rx a\" \"id:3,phase:2,pass,nolog,auditlog\"\n"
      "SecRule ARGS \"@rx a\" \"id:4,phase:2,pass,nolog,multiMatch\"\n"
      "SecRule ARGS \"@rx a\" \"id:5,phase:2,pass,nolog,setvar:ip.x=1\"\n");
  EXPECT_EQ(class_of(plan, 1), RuleClass::alarm);
  EXPECT_EQ(class_of(plan, 2), RuleClass::benign);
  EXPECT_EQ(class_of(plan, 3), RuleClass::alarm);
  EXPECT_EQ(class_of(plan, 4), RuleClass::alarm);
  EXPECT_EQ(class_of(plan, 5), RuleClass::alarm);
}

TEST(Fold, RefusesASetWhereEveryRequestFires) {
  EXPECT_NE(fold_text("SecAction \"id:1,phase:1,log,msg:'x'\"\n").refusal, "");
  EXPECT_NE(fold_text("SecRule &TX:x \"@eq 0\" \"id:1,phase:1,deny\"\n").refusal, "");
  EXPECT_NE(fold_text("SecAction \"id:1,phase:5,nolog,setvar:ip.counter=+1\"\n").refusal, "");
}

TEST(Fold, DoesNotTakeForConstantWhatARuleMayWrite) {
  const auto plan = fold_text(
      "SecRule REQUEST_HEADERS:X \"@rx a\" \"id:1,phase:1,pass,nolog,setvar:tx.mode=2\"\n"
      "SecRule TX:mode \"@eq 2\" \"id:2,phase:2,deny\"\n");
  EXPECT_EQ(plan.refusal, "");
  ASSERT_TRUE(live(plan, 2));
  EXPECT_EQ(plan.rules.front().links.front().producers.size(), 1U);
  EXPECT_EQ(plan.producers.size(), 1U);
}

TEST(Fold, KnowsThatMatchedVarsAreStaleBehindARuleThatMayMatch) {
  const auto plan = fold_text(
      "SecRule ARGS \"@rx a\" \"id:1,phase:2,pass,nolog\"\n"
      "SecRule ARGS \"@rx b\" \"id:2,phase:2,deny,chain\"\n"
      "SecRule MATCHED_VARS \"@rx c\"\n"
      "SecRule ARGS \"@rx b\" \"id:3,phase:2,deny,chain\"\n"
      "SecRule MATCHED_VARS \"@rx c\"\n");
  ASSERT_EQ(plan.rules.size(), 2U);
  EXPECT_TRUE(plan.rules[0].stale_matched_vars);
  EXPECT_FALSE(plan.rules[1].stale_matched_vars);
}

TEST(Fold, LeavesRulesThatAreRemovedOrGatedByAPinnedLevel) {
  FoldOptions options;
  options.removed = [](const Rule& rule) { return rule.id == 1; };
  options.pinned = {{"level", "4"}};
  const auto plan = fold_text(
      "SecAction \"id:9,phase:1,nolog,setvar:tx.level=1\"\n"
      "SecRule ARGS \"@rx a\" \"id:1,phase:2,deny\"\n"
      "SecRule TX:LEVEL \"@lt 2\" \"id:2,phase:2,pass,nolog,skipAfter:END\"\n"
      "SecRule ARGS \"@rx a\" \"id:3,phase:2,deny\"\n"
      "SecMarker END\n",
      options);
  EXPECT_FALSE(live(plan, 1));
  EXPECT_TRUE(live(plan, 3));
}

TEST(Fold, MakesAPlanOfTheCoreRuleSetAtEveryParanoiaLevel) {
  const auto text = crs_rules();
  if (text.empty()) GTEST_SKIP() << "modsecurity-crs is not installed";
  std::size_t before = 0;
  for (const auto* level : {"1", "2", "3", "4"}) {
    FoldOptions options;
    options.pinned = {{"paranoia_level", level}, {"executing_paranoia_level", level}};
    const auto plan = fold_text(text, options);
    EXPECT_EQ(plan.refusal, "");
    EXPECT_GT(plan.rules.size(), before);
    EXPECT_EQ(std::ranges::count(plan.verdicts, RuleClass::refused, &Verdict::rule_class), 0);
    before = plan.rules.size();
  }
}

}  // namespace
}  // namespace gatehouse::waf::fastpath
