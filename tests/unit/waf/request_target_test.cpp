#include "tests/unit/waf/waf_fixture.hpp"

namespace gatehouse::waf::test {
namespace {

using ::testing::Contains;
using ::testing::Not;

TEST(RequestTarget, IsLeftAloneWhenItIsPlainOriginForm) {
  EXPECT_EQ(guard_request_target("/a/b%20c?x=%3F&y=http://host/").value(), "/a/b%20c?x=%3F&y=http://host/");
}

TEST(RequestTarget, EncodedQuestionMarkInThePathIsEncodedAgain) {
  EXPECT_EQ(guard_request_target("/x%3F/.git%3f?q=%3F").value(), "/x%253F/.git%253f?q=%3F");
}

TEST(RequestTarget, TruncatedEscapeAtTheEndIsLeftAlone) { EXPECT_EQ(guard_request_target("/x%3").value(), "/x%3"); }

TEST(RequestTarget, AbsoluteFormBecomesOriginForm) {
  EXPECT_EQ(guard_request_target("http://host:80/p?q").value(), "/p?q");
  EXPECT_EQ(guard_request_target("HTTPS://host").value(), "/");
  EXPECT_EQ(guard_request_target("http://host?q=/").value(), "/?q=/");
}

TEST(RequestTarget, AuthorityFormAndAsteriskAreLeftAlone) {
  EXPECT_EQ(guard_request_target("host:443").value(), "host:443");
  EXPECT_EQ(guard_request_target("*").value(), "*");
}

TEST(RequestTarget, WhatWouldCutTheTargetIsRefused) {
  using namespace std::string_view_literals;
  for (const std::string_view target :
       {""sv, "/a#b"sv, "/a\0b"sv, "/a\nb"sv, "/a\tb"sv, "/a b"sv, "/a\x7f"sv, "/\x1b"sv})
    EXPECT_EQ(guard_request_target(target).error().reason, Reason::bad_target) << target;
}

class GuardedTarget : public WafTest {};

TEST_F(GuardedTarget, PathBehindAnEncodedQuestionMarkIsInspected) {
  EXPECT_THAT(ids(evaluate(core_rule_set(), get("/x%3F/.git/config"))), Contains(930130));
}

TEST_F(GuardedTarget, WithoutTheGuardThatPathIsNotSeen) {
  // Why the guard exists (CVE-2024-1019): fails once the library is fixed, and the guard can go.
  Evaluation evaluation(engine, core_rule_set());
  const WafRequest request = get("/x%3F/.git/config");
  const RequestViews views(request);
  RequestInput raw = views.input();
  raw.uri = request.uri;
  EXPECT_THAT(ids(evaluate_request(evaluation, raw).value()), Not(Contains(930130)));
}

TEST_F(GuardedTarget, AbsoluteFormIsInspectedAsItsPath) {
  const auto rules = compile(R"(SecRuleEngine On
SecRule REQUEST_FILENAME "@streq /admin" "id:1,phase:1,deny,log,msg:'admin'")");
  EXPECT_THAT(ids(evaluate(rules, get("http://www.example.com/admin?x"))), Contains(1));
}

}  // namespace
}  // namespace gatehouse::waf::test
