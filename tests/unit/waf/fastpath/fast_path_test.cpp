#include "waf/fastpath/fast_path.hpp"

#include <random>

#include <gtest/gtest.h>

#include "../../../support/clean_traffic.hpp"
#include "fast_path_pair.hpp"
#include "loaded_rules.hpp"

namespace gatehouse::waf::fastpath {
namespace {

TEST(FastPath, ProvesValuesCleanAndNamesTheRuleOfOthers) {
  Pair pair("SecRule ARGS \"@rx evil\" \"id:1,phase:2,t:none,t:urlDecodeUni,deny\"\n");
  EXPECT_TRUE(pair.clean(get("/?a=good")));
  EXPECT_FALSE(pair.clean(get("/?a=evil")));
  EXPECT_FALSE(pair.clean(get("/?a=%2565vil"))) << "decoded once by the parser, once by the rule";
}

TEST(FastPath, LooksAtArgumentsByWhereTheyCameFrom) {
  Pair pair(
      "SecRule ARGS_GET \"@rx query\" \"id:1,phase:2,deny\"\n"
      "SecRule ARGS_POST:named \"@rx body\" \"id:2,phase:2,deny\"\n"
      "SecRule ARGS:both \"@rx any\" \"id:3,phase:2,deny\"\n"
      "SecRule ARGS_GET_NAMES \"@streq only\" \"id:4,phase:2,deny\"\n");
  ASSERT_EQ(pair.refusal(), "");
  const auto post = [](std::string uri, std::string body) {
    WafRequest request = get(std::move(uri), {{"Content-Type", "application/x-www-form-urlencoded"}});
    request.method = "POST";
    request.body = std::move(body);
    return request;
  };
  EXPECT_TRUE(pair.clean(post("/?named=body", "a=query&only=x")));
  EXPECT_FALSE(pair.clean(post("/?a=query", "")));
  EXPECT_FALSE(pair.clean(post("/", "named=body")));
  EXPECT_FALSE(pair.clean(post("/", "both=any")));
  EXPECT_FALSE(pair.clean(post("/?both=any", "")));
  EXPECT_FALSE(pair.clean(post("/?only=x", "")));
  EXPECT_TRUE(pair.clean(post("/?named=body", "a=query&only=x"))) << "and again, from memory";
}

TEST(FastPath, SearchesLowerCaseInEitherCase) {
  Pair pair(
      "SecRule ARGS \"@rx ^evil[A-Z]?$\" \"id:1,phase:2,t:none,t:lowercase,deny\"\n"
      "SecRule ARGS \"@contains Never\" \"id:2,phase:2,t:none,t:urlDecodeUni,t:lowercase,deny\"\n"
      "SecRule ARGS \"@streq stop\" \"id:3,phase:2,t:none,t:lowercase,t:removeWhitespace,deny\"\n");
  ASSERT_EQ(pair.refusal(), "");
  EXPECT_FALSE(pair.clean(get("/?a=EVIL")));
  EXPECT_FALSE(pair.clean(get("/?a=evil")));
  EXPECT_TRUE(pair.clean(get("/?a=evilZ"))) << "in lower case there is no Z";
  EXPECT_TRUE(pair.clean(get("/?a=Never")));
  EXPECT_FALSE(pair.clean(get("/?a=S+TOP")));
}

TEST(FastPath, FollowsCapturesThroughAChain) {
  Pair pair(
      "SecRule REQUEST_HEADERS:Range \"@rx (\\d+)-(\\d+)\" \"id:1,phase:2,deny,capture,chain\"\n"
      "SecRule TX:2 \"@lt %{tx.1}\"\n");
  EXPECT_EQ(pair.refusal(), "");
  EXPECT_TRUE(pair.clean(get("/", {{"Range", "bytes=1-5"}})));
  EXPECT_FALSE(pair.clean(get("/", {{"Range", "bytes=5-1"}})));
  EXPECT_TRUE(pair.clean(get("/")));
}

TEST(FastPath, FollowsNamesWrittenByEachMatch) {
  Pair pair(
      "SecRule REQUEST_HEADERS_NAMES \"@rx ^.*$\" \"id:1,phase:2,deny,capture,t:lowercase,"
      "setvar:'tx.header_name_%{tx.0}=/%{tx.0}/',chain\"\n"
      "SecRule TX:/^header_name_/ \"@within /proxy/ /if/\" \"t:none\"\n");
  EXPECT_EQ(pair.refusal(), "");
  EXPECT_TRUE(pair.clean(get("/", {{"Host", "a"}, {"Accept", "b"}})));
  EXPECT_FALSE(pair.clean(get("/", {{"Host", "a"}, {"Proxy", "b"}})));
}

TEST(FastPath, FollowsMatchedVarsOfTheHead) {
  Pair pair(
      "SecRule ARGS \"@pm alpha beta\" \"id:1,phase:2,deny,chain\"\n"
      "SecRule MATCHED_VARS \"@contains =\"\n");
  EXPECT_TRUE(pair.clean(get("/?a=alpha&b=x%3dy"))) << "only the first argument matched the head";
  EXPECT_FALSE(pair.clean(get("/?a=alpha%3d")));
}

TEST(FastPath, ReadsWhatAnotherRuleWrote) {
  Pair pair(
      "SecRule REQUEST_HEADERS:X-Mode \"@streq strict\" \"id:1,phase:1,nolog,pass,setvar:tx.strict=1\"\n"
      "SecRule TX:strict \"@eq 1\" \"id:2,phase:2,deny,chain\"\n"
      "SecRule ARGS \"@rx quote\"\n");
  EXPECT_EQ(pair.refusal(), "");
  EXPECT_TRUE(pair.clean(get("/?a=quote")));
  EXPECT_TRUE(pair.clean(get("/?a=b", {{"X-Mode", "strict"}})));
  EXPECT_FALSE(pair.clean(get("/?a=quote", {{"X-Mode", "strict"}})));
}

TEST(FastPath, FollowsNamesMadeOfACounter) {
  Pair pair(
      "SecRule &ARGS \"@gt 0\" \"id:1,phase:2,pass,nolog,setvar:tx.n=0\"\n"
      "SecRule ARGS \"@rx ^type (.*)$\" "
      "\"id:2,phase:2,pass,nolog,capture,setvar:'tx.kind_%{tx.n}=%{tx.1}',setvar:tx.n=+1\"\n"
      "SecRule TX:/kind_/ \"!@rx ^(?:image|text)$\" \"id:3,phase:2,deny\"\n"
      "SecRule &TX:/LEAK/ \"@ge 1\" \"id:4,phase:2,deny\"\n");
  ASSERT_EQ(pair.refusal(), "");
  EXPECT_TRUE(pair.clean(get("/?a=type%20image&b=type%20text")));
  EXPECT_FALSE(pair.clean(get("/?a=type%20image&b=type%20exe")));
}

TEST(FastPath, CountsMembersAndHonoursExclusions) {
  Pair pair(
      "SecRule &REQUEST_HEADERS:Host \"@eq 0\" \"id:1,phase:1,deny\"\n"
      "SecRule REQUEST_COOKIES|!REQUEST_COOKIES:/__utm/ \"@rx bad\" \"id:2,phase:2,deny\"\n");
  EXPECT_FALSE(pair.clean(get("/")));
  EXPECT_TRUE(pair.clean(get("/", {{"Host", "a"}})));
  EXPECT_TRUE(pair.clean(get("/", {{"Host", "a"}, {"Cookie", "__utmz=bad"}})));
  EXPECT_FALSE(pair.clean(get("/", {{"Host", "a"}, {"Cookie", "x=bad"}})));
}

TEST(FastPath, LooksAtEveryIntermediateValueOfMultiMatch) {
  Pair pair("SecRule ARGS \"@rx %41\" \"id:1,phase:2,deny,multiMatch,t:none,t:urlDecode\"\n");
  EXPECT_FALSE(pair.clean(get("/?a=%2541"))) << "before t:urlDecode the value is %41";
  EXPECT_TRUE(pair.clean(get("/?a=41")));
}

TEST(FastPath, TakesAVerticalTabForWhiteSpaceAsPcreDoes) {
  Pair pair("SecRule ARGS \"@rx a\\sb\" \"id:1,phase:2,deny\"\n");
  EXPECT_FALSE(pair.clean(get("/?x=a%0bb")));
}

TEST(FastPath, TakesTheLowerCaretForANegatedPattern) {
  Pair pair("SecRule REQUEST_HEADERS:X \"!@rx ^a$\" \"id:1,phase:1,deny\"\n");
  EXPECT_TRUE(pair.clean(get("/", {{"X", "a"}})));
  EXPECT_FALSE(pair.clean(get("/", {{"X", "b"}})));
}

TEST(FastPath, GivesJsonAndFormsToTheRulesAsArguments) {
  Pair pair(
      "SecRule REQUEST_HEADERS:Content-Type \"@rx ^application/json\" "
      "\"id:1,phase:1,pass,nolog,ctl:requestBodyProcessor=JSON\"\n"
      "SecRule ARGS_NAMES|ARGS \"@rx evil\" \"id:2,phase:2,deny\"\n");
  WafRequest request;
  request.method = "POST";
  request.headers = {{"Content-Type", "application/json"}};
  request.body = R"({"a":{"b":["good","\u0065vil"]}})";
  EXPECT_FALSE(pair.clean(request));
  request.body = R"({"a":{"b":["good"]}})";
  EXPECT_TRUE(pair.clean(request));
  request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}};
  request.body = "a=b&e%76il=1";
  EXPECT_FALSE(pair.clean(request));
}

TEST(FastPath, ChecksResponsesWithTheRulesOfTheirPhases) {
  Pair pair(
      "SecResponseBodyAccess On\nSecResponseBodyMimeType text/html\n"
      "SecRule RESPONSE_BODY \"@rx ORA-[0-9]{4}\" \"id:1,phase:4,deny\"\n"
      "SecRule RESPONSE_STATUS \"!@rx ^404$\" \"id:2,phase:4,deny,chain\"\n"
      "SecRule RESPONSE_BODY \"@rx Server Error\" \"t:none\"\n"
      "SecRule RESPONSE_HEADERS:X-Powered-By \"@rx php\" \"id:3,phase:3,deny\"\n"
      "SecRule ARGS:debug \"@streq 1\" \"id:4,phase:3,deny\"\n");
  ASSERT_EQ(pair.refusal(), "");
  EXPECT_TRUE(pair.clean_response(get("/"), 200, "<p>hello</p>"));
  EXPECT_FALSE(pair.clean_response(get("/"), 200, "<p>ORA-1234</p>"));
  EXPECT_FALSE(pair.clean_response(get("/"), 500, "<p>Server Error</p>"));
  EXPECT_TRUE(pair.clean_response(get("/"), 404, "<p>Server Error</p>"));
  EXPECT_FALSE(pair.clean_response(get("/"), 200, "x", {{"X-Powered-By", "php"}}));
  EXPECT_FALSE(pair.clean_response(get("/?debug=1"), 200, "x"));
}

TEST(FastPath, RefusesWhatItDoesNotModel) {
  EXPECT_NE(Pair("SecRule ARGS \"@rx a\" \"id:1,phase:2,deny,skip:1\"\nSecRule ARGS \"@rx b\" "
                 "\"id:2,phase:2,pass,nolog,skip:1\"\n")
                .refusal(),
            "");
  EXPECT_NE(Pair("SecRule TIME_HOUR \"@eq 3\" \"id:1,phase:2,deny\"\n").refusal(), "");
  EXPECT_NE(Pair("SecRule IP:x \"@eq 1\" \"id:1,phase:2,deny\"\n").refusal(), "");
  EXPECT_NE(Pair("SecRule REMOTE_ADDR \"@geoLookup\" \"id:1,phase:2,deny\"\n").refusal(), "");
}

TEST(FastPath, ProvesCleanTrafficUnderTheCoreRuleSet) {
  const auto rules = testing::crs_rules();
  if (rules.empty()) GTEST_SKIP() << "modsecurity-crs is not installed";
  Pair pair(rules);
  ASSERT_EQ(pair.refusal(), "");
  test::CleanTraffic traffic(11, {.gets = 60, .forms = 25, .json = 15, .uploads = 0});
  int false_alarms = 0;
  for (int i = 0; i < 150; ++i) {
    if (!pair.clean(traffic.next()) && !pair.fired()) ++false_alarms;
  }
  EXPECT_EQ(false_alarms, 0);
  auto attack = traffic.next();
  attack.uri = "/?id=1%27%20union%20select%20password%20from%20users--";
  EXPECT_FALSE(pair.clean(attack));
  EXPECT_TRUE(pair.fired());
}

TEST(FastPath, ChecksWhatARemovedGateNoLongerSkips) {
  Overlay overlay;
  overlay.removed_rules = {{2, 2}};
  const std::string rules =
      "SecRuleEngine On\nSecRequestBodyAccess On\n"
      "SecAction \"id:1,phase:1,pass,nolog,setvar:tx.level=1\"\n"
      "SecRule TX:level \"@lt 2\" \"id:2,phase:2,pass,nolog,skipAfter:END\"\n"
      "SecRule ARGS \"@rx a\" \"id:3,phase:2,deny\"\n"
      "SecMarker END\n"
      "SecRule ARGS \"@rx b\" \"id:4,phase:2,deny,tag:'x'\"\n";
  auto pair = test::load_pair(oracle(), rules, "./rules.conf");
  const auto ids = [](const BuiltFastPath& built) {
    std::vector<std::int64_t> result;
    for (const auto& rule : built.plan->rules) result.push_back(rule.id);
    return result;
  };
  EXPECT_EQ(ids(pair.built), (std::vector<std::int64_t>{4}));
  EXPECT_EQ(ids(build(pair.understood, &overlay)), (std::vector<std::int64_t>{3, 4}));
  overlay.removed_tags = {"x"};
  EXPECT_EQ(ids(build(pair.understood, &overlay)), (std::vector<std::int64_t>{3}));
  overlay.removed_targets = {{"3", "TX:level"}};
  EXPECT_NE(build(pair.understood, &overlay).refusal, "");
}

TEST(FastPath, ChecksMoreAtAHigherParanoiaLevelOfAnOverlay) {
  const auto rules = testing::crs_rules();
  if (rules.empty()) GTEST_SKIP() << "modsecurity-crs is not installed";
  Overlay overlay;
  overlay.paranoia_level = 4;
  auto base = test::load_pair(oracle(), rules, "./rules.conf");
  auto strict = build(base.understood, &overlay);
  ASSERT_TRUE(strict.fast_path) << strict.refusal;
  EXPECT_GT(strict.plan->rules.size(), base.built.plan->rules.size());
}

TEST(FastPath, CountsWhatEachNameIsMetWith) {
  Pair pair(
      "SecRule ARGS_NAMES \"@rx .\" \"id:1,phase:2,pass,nolog,setvar:'TX.met_%{MATCHED_VAR_NAME}=+1'\"\n"
      "SecRule TX:/^met_.*/ \"@gt 1\" \"id:2,phase:2,deny,msg:'twice'\"\n");
  EXPECT_TRUE(pair.clean(get("/?a=1&b=2&aa=3&=4")));
  for (const auto* twice : {"/?a=1&b=2&a=1", "/?a=1&A=2", "/?%61=1&a=2", "/?a&a"}) {
    EXPECT_FALSE(pair.clean(get(twice))) << twice;
    EXPECT_TRUE(pair.fired()) << twice;
  }
}

TEST(FastPath, DoesNotCountWhatAnotherRuleMayHaveWritten) {
  Pair pair(
      "SecRule ARGS:start \"@rx ^\\d+$\" \"id:1,phase:1,pass,nolog,setvar:'tx.met_%{ARGS.start}=%{MATCHED_VAR}'\"\n"
      "SecRule ARGS_NAMES \"@rx .\" \"id:2,phase:2,pass,nolog,setvar:'TX.met_%{MATCHED_VAR}=+1'\"\n"
      "SecRule TX:/^met_.*/ \"@eq 6\" \"id:3,phase:2,deny,msg:'six'\"\n");
  EXPECT_FALSE(pair.clean(get("/?start=5&5=x")));
  EXPECT_TRUE(pair.fired());
}

}  // namespace
}  // namespace gatehouse::waf::fastpath
