#include "waf/fastpath/separable.hpp"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

#include "../../../support/waf_oracle.hpp"
#include "waf/narrowed_rules.hpp"

namespace gatehouse::waf::fastpath {
namespace {

[[nodiscard]] test::Oracle& oracle() {
  static test::Oracle instance;
  return instance;
}

[[nodiscard]] test::LoadedPair load(const std::string& rules) {
  return test::load_pair(oracle(), "SecRuleEngine On\nSecRequestBodyAccess On\n" + rules, "./rules.conf");
}

[[nodiscard]] LiveRule rule(const test::LoadedPair& pair, std::int64_t id) {
  const auto found = std::ranges::find(pair.built.plan->rules, id, &LiveRule::id);
  EXPECT_NE(found, pair.built.plan->rules.end()) << id << " is not in the plan " << pair.built.refusal;
  return found == pair.built.plan->rules.end() ? LiveRule{} : *found;
}

[[nodiscard]] bool separable(const std::string& rules) { return rule(load(rules), 5).separable; }

TEST(Separable, AConditionOnTheMessageIs) {
  EXPECT_TRUE(separable("SecRule ARGS \"@rx attack\" \"id:5,phase:2,deny\""));
  EXPECT_TRUE(separable("SecRule REQUEST_COOKIES|ARGS|XML:/* \"@detectSQLi\" \"id:5,phase:2,deny,capture\""));
  EXPECT_TRUE(separable(
      "SecRule ARGS \"@rx a\" \"id:5,phase:2,deny,chain\"\nSecRule REQUEST_METHOD \"@streq POST\" \"t:none\""));
}

TEST(Separable, AConditionOnWhatOthersWriteIsNot) {
  const std::string writer = "SecRule ARGS:w \"@rx .\" \"id:4,phase:1,pass,nolog,setvar:tx.x=%{MATCHED_VAR}\"\n";
  EXPECT_FALSE(separable(writer + "SecRule TX:x \"@streq b\" \"id:5,phase:2,deny\""));
  EXPECT_FALSE(separable(writer + "SecRule TX:/^x/|ARGS:a \"@streq b\" \"id:5,phase:2,deny\""));
}

TEST(Separable, ACountIsNotBecauseCtlTakesValuesAway) {
  EXPECT_FALSE(separable("SecRule &ARGS \"@gt 5\" \"id:5,phase:2,deny\""));
}

TEST(Separable, AFailureThatWritesGroupsIsNot) {
  EXPECT_FALSE(separable("SecRule ARGS:a \"!@rx ^(b+)$\" \"id:5,phase:2,deny,capture\""));
}

TEST(Separable, ARuleThatAnotherMayRemoveIsNot) {
  EXPECT_FALSE(
      separable("SecRule REQUEST_URI \"@beginsWith /free\" \"id:4,phase:1,pass,nolog,ctl:ruleRemoveById=5\"\n"
                "SecRule ARGS:a \"@rx b\" \"id:5,phase:2,deny\""));
}

TEST(Separable, AnAlarmThatSteersIsMarked) {
  const auto pair = load(
      "SecRule ARGS:a \"@rx b\" \"id:5,phase:1,pass,log,ctl:ruleRemoveById=6\"\nSecRule ARGS:c \"@rx d\" "
      "\"id:6,phase:2,deny\"");
  EXPECT_TRUE(rule(pair, 5).steers);
  EXPECT_FALSE(rule(pair, 6).steers);
}

TEST(Separable, NothingIsLeftOutWhereAnAlarmDecidesHowTheBodyIsParsed) {
  const auto pair = load(
      "SecAction \"id:3,phase:1,pass,nolog,setvar:tx.x=0\"\n"
      "SecRule ARGS:a \"@rx b\" \"id:5,phase:1,pass,log,setvar:tx.x=1\"\n"
      "SecRule TX:x \"@eq 1\" \"id:6,phase:1,pass,nolog,ctl:requestBodyProcessor=JSON\"");
  EXPECT_NE(pair.built.plan->not_narrowable, "");
}

TEST(Separable, WhatNoAlarmCanChangeDoesNotStopIt) {
  const auto pair = load(
      "SecAction \"id:3,phase:1,pass,nolog,setvar:tx.x=0\"\n"
      "SecRule ARGS:a \"@rx b\" \"id:5,phase:1,pass,log,setvar:tx.y=1\"\n"
      "SecRule TX:x \"@eq 1\" \"id:6,phase:1,pass,nolog,ctl:requestBodyProcessor=JSON\"");
  EXPECT_EQ(pair.built.plan->not_narrowable, "");
}

TEST(Separable, AnAlarmThatEndsItsPhaseIsMarked) {
  EXPECT_TRUE(rule(load("SecRule ARGS:a \"@rx b\" \"id:5,phase:1,log,allow:request\""), 5).steers);
}

TEST(Separable, ARuleThatIsNeverReachedSteersNothing) {
  const std::string alarm = "SecRule ARGS:a \"@rx b\" \"id:5,phase:1,pass,log,capture\"\n";
  const std::string steering = "SecRule TX:0 \"@streq b\" \"id:7,phase:1,pass,nolog,ctl:ruleRemoveByTag=x\"\n";
  const std::string gate = "SecAction \"id:6,phase:1,pass,nolog,skipAfter:END\"\n";
  EXPECT_NE(load(alarm + steering + "SecMarker END\n").built.plan->not_narrowable, "");
  EXPECT_EQ(load(alarm + gate + steering + "SecMarker END\n").built.plan->not_narrowable, "");
}

TEST(Separable, ASkipThatAnAlarmJumpsOverIsNotCertain) {
  const std::string gate = "SecAction \"id:6,phase:2,pass,nolog,skipAfter:END\"\n";
  const std::string skipped = "SecRule ARGS:a \"@rx c\" \"id:7,phase:2,deny\"\nSecMarker END\n";
  const auto alarm = [](const std::string& marker) {
    return "SecRule ARGS:a \"@rx b\" \"id:5,phase:2,pass,log,skipAfter:" + marker + "\"\n";
  };
  const auto skips = [](const std::string& rules) { return load(rules).built.plan->skipped.size(); };
  EXPECT_EQ(skips(alarm("BEFORE") + "SecMarker BEFORE\n" + gate + skipped), 1u);
  EXPECT_EQ(skips(alarm("BETWEEN") + gate + "SecMarker BETWEEN\n" + skipped), 0u);
}

TEST(Separable, WhatAnAlarmJumpsOverMayNotHaveBeenSetUp) {
  const std::string alarm = "SecRule ARGS:a \"@rx b\" \"id:5,phase:2,pass,log,skipAfter:SET\"\n";
  const std::string set_up = "SecAction \"id:6,phase:2,pass,nolog,setvar:tx.level=3\"\nSecMarker SET\n";
  const std::string failing = "SecRule TX:level \"!@eq 3\" \"id:7,phase:2,deny\"\n";
  EXPECT_EQ(load(set_up + alarm + failing).built.plan->constant_failures.size(), 1u);
  EXPECT_EQ(load(alarm + set_up + failing).built.plan->constant_failures.size(), 0u);
}

/// How many rules the library runs in phase 2 for a request of which only `kept` may match.
[[nodiscard]] std::size_t left(const test::LoadedPair& pair, std::initializer_list<std::int64_t> kept) {
  Candidates candidates;
  for (const auto& live : pair.built.plan->rules) candidates.push_back(std::ranges::find(kept, live.id) != kept.end());
  const NarrowedRules narrowed(pair.rules, *pair.built.plan);
  return narrowed.narrow(candidates)->m_rulesSetPhases.at(modsecurity::Phases::RequestBodyPhase)->m_rules.size();
}

TEST(NarrowedRules, OneFailureStandsForARowOfThem) {
  const auto pair = load(
      "SecRule ARGS:a \"@rx b\" \"id:5,phase:2,deny\"\nSecRule ARGS:a \"@rx c\" \"id:6,phase:2,deny\"\n"
      "SecRule ARGS:a \"@rx d\" \"id:7,phase:2,deny\"\n");
  EXPECT_EQ(left(pair, {}), 1u);
  EXPECT_EQ(left(pair, {5}), 2u);
  EXPECT_EQ(left(pair, {6}), 3u);
  EXPECT_EQ(left(pair, {5, 6, 7}), 3u);
}

TEST(NarrowedRules, RulesThatAConstantGateSkipsAreGone) {
  const auto pair = load(
      "SecAction \"id:3,phase:1,pass,nolog,setvar:tx.level=1\"\n"
      "SecRule ARGS:a \"@rx b\" \"id:5,phase:2,deny\"\n"
      "SecRule TX:level \"@lt 1\" \"id:6,phase:2,pass,nolog,skipAfter:END\"\n"
      "SecRule TX:level \"@lt 2\" \"id:7,phase:2,pass,nolog,skipAfter:END\"\n"
      "SecRule ARGS:a \"@rx c\" \"id:8,phase:2,deny\"\nSecMarker END\n");
  // The first gate fails for every request and goes with rule 5; what the second one skips is gone, and with it the gate and its marker.
  EXPECT_EQ(left(pair, {}), 0u);
  EXPECT_EQ(left(pair, {5}), 1u);
}

TEST(NarrowedRules, AGateStaysWhereWhatItSkipsIsNotKnownToBe) {
  const auto pair = load(
      "SecRule ARGS:a \"@rx b\" \"id:5,phase:2,pass,log,skipAfter:BETWEEN\"\n"
      "SecAction \"id:6,phase:2,pass,nolog,skipAfter:END\"\nSecMarker BETWEEN\n"
      "SecRule ARGS:a \"@rx c\" \"id:7,phase:2,deny\"\nSecMarker END\n");
  EXPECT_EQ(left(pair, {5}), 5u) << "rule 5, its marker, the gate, rule 7 and the gate's marker";
}

const std::string kSetUp =
    "SecAction \"id:2,phase:2,pass,nolog,setvar:tx.a=1,setvar:'tx.b=two words'\"\n"
    "SecRule &TX:c \"@eq 0\" \"id:3,phase:2,pass,nolog,setvar:tx.c=%{tx.a}\"\n"
    "SecRule TX:a \"@eq 1\" \"id:4,phase:2,pass,nolog,setvar:tx.d=4\"\n";

/// Compares all that can be seen of the request with every rule and with those that are left.
void expect_same(const std::string& rules, const std::string& uri) {
  const auto pair = load(rules);
  FastPath::Worker worker(pair.built.fast_path, 1);
  test::WafRequest request;
  request.uri = uri;
  const test::RequestViews views(request);
  EXPECT_FALSE(worker.check_request(views.input()).clean());
  ASSERT_NE(worker.candidates(), nullptr);
  const NarrowedRules narrowed(pair.rules, *pair.built.plan);
  const auto few = narrowed.narrow(*worker.candidates());
  EXPECT_EQ(oracle().run(*few, views.input()).trace, oracle().run(*pair.rules, views.input()).trace);
}

TEST(NarrowedRules, ConstantsAreWrittenByOneRule) {
  const std::string attack = "SecRule ARGS:a \"@rx b\" \"id:5,phase:2,deny,msg:'%{tx.a}%{tx.b}%{tx.c}%{tx.d}'\"\n";
  EXPECT_EQ(left(load(kSetUp + attack), {5}), 2u);
  expect_same(kSetUp + attack, "/?a=b");
}

TEST(NarrowedRules, ConstantsRunWhereWhatTheyLeaveInMatchedVarsIsSeen) {
  const std::string attack =
      "SecRule ARGS:a \"@rx b\" \"id:5,phase:2,deny,chain\"\nSecRule MATCHED_VARS \"@streq 0\" \"t:none\"\n";
  EXPECT_EQ(left(load(kSetUp + attack), {5}), 4u);
  expect_same(kSetUp + attack, "/?a=b");
  const std::string failing = "SecRule ARGS:a \"@rx c\" \"id:6,phase:2,deny\"\n";
  EXPECT_EQ(left(load(kSetUp + failing + attack), {5}), 3u) << "a failure in between empties them";
}

TEST(NarrowedRules, WhatAnAlarmDecidesIsNoConstant) {
  const std::string alarm = "SecRule ARGS:a \"@rx b\" \"id:5,phase:2,pass,log,setvar:tx.a=2\"\n";
  const std::string before = "SecAction \"id:6,phase:2,pass,nolog,setvar:tx.a=1\"\n";
  const std::string reader = "SecAction \"id:7,phase:2,pass,nolog,setvar:tx.e=%{tx.a}\"\n";
  EXPECT_EQ(load(before + alarm + reader).built.plan->constants.size(), 1u);
  expect_same(before + alarm + reader, "/?a=b");
}

}  // namespace
}  // namespace gatehouse::waf::fastpath
