#include <set>
#include <string>

#include "tests/unit/waf/waf_fixture.hpp"

namespace gatehouse::waf::test {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

class Verdicts : public WafTest {
 protected:
  void expect_blocked(const WafRequest& request, std::int64_t rule) {
    const Verdict verdict = evaluate(core_rule_set(), request);
    EXPECT_THAT(ids(verdict), Contains(rule));
    ASSERT_TRUE(verdict.intervention.has_value());
    EXPECT_EQ(verdict.intervention->status, 403);
    EXPECT_EQ(verdict.intervention->answer, Answer::deny);
  }
};

TEST_F(Verdicts, CleanRequestHasNoMatch) {
  const Verdict verdict = evaluate(core_rule_set(), get("/shop?page=2&sort=price"));
  EXPECT_FALSE(verdict.intervention);
  EXPECT_THAT(verdict.matches, IsEmpty());
}

TEST_F(Verdicts, SqlInjectionInTheQueryIsBlocked) { expect_blocked(get("/?q=1'%20or%20'1'='1"), 942100); }

TEST_F(Verdicts, SqlInjectionInAFormIsBlocked) {
  expect_blocked(post("application/x-www-form-urlencoded", "q=1'+or+'1'%3D'1"), 942100);
}

TEST_F(Verdicts, SqlInjectionInJsonIsBlocked) {
  expect_blocked(post("application/json", R"({"q":"1' or '1'='1"})"), 942100);
}

TEST_F(Verdicts, SqlInjectionInAStructuredJsonTypeIsParsed) {
  // 920420 refuses the type at phase 1 already: look at what was parsed by taking that rule away.
  auto overlay = std::make_shared<Overlay>();
  overlay->removed_rules = {{920420, 920420}};
  const Verdict verdict =
      evaluate(core_rule_set(), post("application/problem+json", R"({"q":"1' or '1'='1"})"), std::move(overlay));
  EXPECT_THAT(ids(verdict), Contains(942100));
  EXPECT_THAT(log_lines(verdict), HasSubstr("ARGS:json.q"));
}

TEST_F(Verdicts, SqlInjectionInMultipartIsBlocked) {
  expect_blocked(post("multipart/form-data; boundary=b",
                      "--b\r\nContent-Disposition: form-data; name=\"q\"\r\n\r\n1' or '1'='1\r\n--b--\r\n"),
                 942100);
}

TEST_F(Verdicts, BodyThatDoesNotParseIsRefused) {
  const Verdict verdict = evaluate(core_rule_set(), post("application/json", "{\"q\":"));
  ASSERT_TRUE(verdict.intervention);
  EXPECT_EQ(verdict.intervention->status, 400);
  EXPECT_THAT(ids(verdict), Contains(200002));
}

TEST_F(Verdicts, TooManyArgumentsAreRefused) {
  std::string body = "a=1";
  for (int i = 0; i < 1000; ++i) body += "&a=1";
  EXPECT_THAT(ids(evaluate(core_rule_set(), post("application/x-www-form-urlencoded", body))), Contains(200007));
}

TEST_F(Verdicts, MatchLineHasModSecuritysFormat) {
  WafRequest request = get("/p?q=1'%20or%20'1'='1");
  const Verdict verdict = evaluate(core_rule_set(), request);
  const auto found = std::find_if(verdict.matches.begin(), verdict.matches.end(),
                                  [](const RuleMatch& match) { return match.rule_id == 942100; });
  ASSERT_NE(found, verdict.matches.end());
  EXPECT_THAT(found->text, StartsWith("ModSecurity: Warning. detected SQLi using libinjection."));
  for (const char* part :
       {"[file \"/usr/share/modsecurity-crs/rules/REQUEST-942-APPLICATION-ATTACK-SQLI.conf\"] [line \"",
        "] [id \"942100\"] [rev \"", "[severity \"2\"]", "[hostname \"127.0.0.1\"]", "[uri \"/p\"]", "[unique_id \""})
    EXPECT_THAT(found->text, HasSubstr(part));
  EXPECT_EQ(found->phase, Phase::request_body);
  EXPECT_EQ(found->severity, 2);
  EXPECT_FALSE(found->denied);
}

TEST_F(Verdicts, MatchHasTheRulesTags) {
  const Verdict verdict = evaluate(core_rule_set(), get("/.git/config"));
  ASSERT_FALSE(verdict.matches.empty());
  EXPECT_EQ(verdict.matches[0].rule_id, 930130);
  EXPECT_THAT(verdict.matches[0].tags, Contains("attack-lfi"));
  EXPECT_THAT(verdict.matches[0].text, HasSubstr("[tag \"attack-lfi\"]"));
}

TEST_F(Verdicts, DenialLineNamesClientStatusAndPhase) {
  const Verdict verdict = evaluate(core_rule_set(), get("/?q=1'%20or%20'1'='1"));
  ASSERT_TRUE(verdict.intervention);
  EXPECT_THAT(verdict.intervention->log,
              StartsWith("[client 127.0.0.1] ModSecurity: Access denied with code 403 (phase 2). "));
  EXPECT_THAT(verdict.intervention->log, HasSubstr("[id \"949110\"]"));
  const RuleMatch& last = verdict.matches.back();
  EXPECT_TRUE(last.denied);
  EXPECT_EQ(last.rule_id, 949110);
  EXPECT_THAT(last.text, StartsWith("ModSecurity: Access denied with code 403 (phase 2). "));
}

TEST_F(Verdicts, LineBreaksInMatchedDataCannotForgeALogLine) {
  const auto rules =
      compile("SecRule ARGS:a \"@contains x\" \"id:1,phase:1,pass,log,logdata:'%{ARGS.a}',msg:'m %{ARGS.a}'\"");
  const Verdict verdict = evaluate(rules, get("/?a=x%0aModSecurity:%20forged"));
  ASSERT_THAT(ids(verdict), ElementsAre(1));
  EXPECT_EQ(verdict.matches[0].text.find('\n'), std::string::npos);
}

TEST_F(Verdicts, DenyWithItsOwnStatus) {
  const Verdict verdict =
      evaluate(compile("SecRuleEngine On\nSecAction \"id:1,phase:1,deny,status:451,log,msg:'m'\""), get("/"));
  ASSERT_TRUE(verdict.intervention);
  EXPECT_EQ(verdict.intervention->status, 451);
  EXPECT_EQ(verdict.intervention->answer, Answer::deny);
}

TEST_F(Verdicts, DenyWithoutLogStillBlocks) {
  const Verdict verdict =
      evaluate(compile("SecRuleEngine On\nSecAction \"id:1,phase:1,deny,status:403,nolog\""), get("/"));
  EXPECT_TRUE(verdict.intervention);
  EXPECT_THAT(verdict.matches, IsEmpty());
}

TEST_F(Verdicts, RedirectHasUrlAndStatus) {
  const Verdict verdict = evaluate(
      compile(
          "SecRuleEngine On\nSecAction \"id:1,phase:1,redirect:'https://example.org/%{REQUEST_METHOD}',log,msg:'m'\""),
      get("/"));
  ASSERT_TRUE(verdict.intervention);
  EXPECT_EQ(verdict.intervention->answer, Answer::redirect);
  EXPECT_EQ(verdict.intervention->status, 302);
  EXPECT_EQ(verdict.intervention->url, "https://example.org/GET");
}

TEST_F(Verdicts, DropIsToldFromDeny) {
  const std::string rules =
      "SecRuleEngine On\nSecRule ARGS:a \"@streq drop\" \"id:1,phase:1,drop,log,msg:'m'\"\n"
      "SecRule ARGS:a \"@streq deny\" \"id:2,phase:1,deny,log,msg:'m'\"\n"
      "SecRule ARGS:a \"@streq quiet\" \"id:3,phase:1,drop,nolog\"\n";
  const auto set = compile(rules);
  EXPECT_EQ(evaluate(set, get("/?a=drop")).intervention->answer, Answer::drop);
  EXPECT_EQ(evaluate(set, get("/?a=deny")).intervention->answer, Answer::deny);
  EXPECT_EQ(evaluate(set, get("/?a=quiet")).intervention->answer, Answer::drop);
}

TEST_F(Verdicts, BlockWithDropAsDefaultActionDrops) {
  const auto set = compile(
      "SecRuleEngine On\nSecDefaultAction \"phase:1,log,drop\"\nSecRule ARGS:a \"@streq 1\" \"id:1,phase:1,block\"");
  const Verdict verdict = evaluate(set, get("/?a=1"));
  ASSERT_TRUE(verdict.intervention);
  EXPECT_EQ(verdict.intervention->answer, Answer::drop);
}

TEST_F(Verdicts, DetectionOnlyLogsAndDoesNotIntervene) {
  const auto set = compile("SecRuleEngine DetectionOnly\nSecAction \"id:1,phase:1,deny,log,msg:'m'\"");
  const Verdict verdict = evaluate(set, get("/"));
  EXPECT_FALSE(verdict.intervention);
  EXPECT_THAT(ids(verdict), ElementsAre(1));
  EXPECT_THAT(verdict.matches[0].text, StartsWith("ModSecurity: Warning. "));
}

TEST_F(Verdicts, EngineOffDoesNothing) {
  const auto set = compile("SecRuleEngine Off\nSecAction \"id:1,phase:1,deny,log,msg:'m'\"");
  EXPECT_THAT(evaluate(set, get("/")).matches, IsEmpty());
}

TEST_F(Verdicts, LaterPhasesAreNotEvaluatedAfterAnIntervention) {
  const auto set = compile(
      "SecRuleEngine On\nSecAction \"id:1,phase:1,deny,log,msg:'m'\"\nSecAction \"id:2,phase:3,deny,log,msg:'m'\"");
  Evaluation evaluation(engine, set);
  const WafRequest request = get("/");
  const RequestViews views(request);
  ASSERT_TRUE(evaluation.request_head(views.input()).value().intervention);
  EXPECT_FALSE(evaluation.wants_request_body());
  const Verdict later = evaluation.response_head({}).value();
  EXPECT_FALSE(later.intervention);
  EXPECT_THAT(later.matches, IsEmpty());
}

TEST_F(Verdicts, UniqueIdIsTheOneGiven) {
  Evaluation evaluation(engine, compile("SecAction \"id:1,phase:1,pass,log,msg:'m'\""));
  const WafRequest request = get("/");
  const RequestViews views(request);
  RequestInput input = views.input();
  input.unique_id = "0123456789abcdef";
  const Verdict verdict = evaluation.request_head(input).value();
  EXPECT_EQ(evaluation.unique_id(), "0123456789abcdef");
  EXPECT_THAT(verdict.matches.at(0).text, HasSubstr("[unique_id \"0123456789abcdef\"]"));
}

TEST_F(Verdicts, UniqueIdsMadeHereLookLikeTheLibrarysAndDiffer) {
  const auto rules = compile("SecRuleEngine On");
  const WafRequest request = get("/");
  const RequestViews views(request);
  std::set<std::string> seen;
  for (int i = 0; i < 200; ++i) {
    Evaluation evaluation(engine, rules);
    ASSERT_TRUE(evaluation.request_head(views.input()));
    EXPECT_THAT(evaluation.unique_id(), MatchesRegex("[0-9]{11,12}\\.[0-9]{6}"));
    seen.insert(evaluation.unique_id());
  }
  EXPECT_GT(seen.size(), 198u);
}

TEST_F(Verdicts, PhaseBeforeTheHeadFailsAndIsCounted) {
  Evaluation evaluation(engine, core_rule_set());
  EXPECT_EQ(evaluation.request_body({}).error().reason, Reason::waf_failed);
  EXPECT_EQ(engine.counters().failures, 1u);
}

}  // namespace
}  // namespace gatehouse::waf::test
