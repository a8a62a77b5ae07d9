#include <algorithm>

#include "tests/unit/waf/waf_fixture.hpp"

namespace gatehouse::waf::test {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kFindAttack =
    "\nSecRule REQUEST_BODY|RESPONSE_BODY \"@contains attack\" \"id:1,phase:2,pass,log,msg:'m'\""
    "\nSecRule RESPONSE_BODY \"@contains attack\" \"id:2,phase:4,deny,log,msg:'m'\""
    "\nSecRule INBOUND_DATA_ERROR \"@eq 1\" \"id:3,phase:2,pass,log,msg:'cut'\"";

class Bodies : public WafTest {
 protected:
  Result<Verdict> request_body(const std::string& rules, const BodyView& body,
                               std::shared_ptr<const Overlay> overlay = nullptr) {
    Evaluation evaluation(engine, compile(rules + kFindAttack), std::move(overlay));
    const WafRequest request = post("text/plain", "");
    const RequestViews views(request);
    EXPECT_TRUE(evaluation.request_head(views.input()));
    wanted = evaluation.wants_request_body();
    limit = evaluation.request_body_limit();
    return evaluation.request_body(body);
  }

  Verdict response(const std::string& rules, const std::string& type, const std::string& body) {
    Evaluation evaluation(engine, compile(rules + kFindAttack));
    const WafRequest request = get("/");
    const RequestViews views(request);
    EXPECT_TRUE(evaluate_request(evaluation, views.input()));
    const HeaderView header{"Content-Type", type};
    ResponseInput head;
    head.protocol = "HTTP/1.1";
    head.headers = std::span(&header, 1);
    EXPECT_TRUE(evaluation.response_head(head));
    wanted = evaluation.wants_response_body();
    const std::string_view segment = body;
    BodyView view;
    view.segments = std::span(&segment, 1);
    return evaluation.response_body(view).value();
  }

  bool wanted = false;
  BodyLimit limit;
};

TEST_F(Bodies, SegmentsAndSpillFileAreOneBody) {
  const std::string file = directory.write("spill", "ck");
  const std::array<std::string_view, 2> segments = {"at", "ta"};
  EXPECT_THAT(ids(request_body("SecRequestBodyAccess On", {segments, file}).value()), Contains(1));
}

TEST_F(Bodies, MissingSpillFileIsAFailureNotACleanVerdict) {
  EXPECT_EQ(request_body("SecRequestBodyAccess On", {{}, directory.path("none")}).error().reason, Reason::waf_failed);
}

TEST_F(Bodies, BodyIsNotWantedWhenAccessIsOff) {
  const std::string_view segment = "attack";
  EXPECT_THAT(request_body("SecRequestBodyAccess Off", {std::span(&segment, 1)}).value().matches, IsEmpty());
  EXPECT_FALSE(wanted);
}

TEST_F(Bodies, RuleMayAskForTheBodyOfOneRequest) {
  const std::string_view segment = "attack";
  const auto verdict =
      request_body("SecRequestBodyAccess Off\nSecAction \"id:9,phase:1,pass,nolog,ctl:requestBodyAccess=On\"",
                   {std::span(&segment, 1)});
  EXPECT_TRUE(wanted);
  EXPECT_THAT(ids(verdict.value()), Contains(1));
}

TEST_F(Bodies, BodyAtTheLimitIsInspected) {
  const std::string body = "attack" + std::string(94, 'x');
  const std::string_view segment = body;
  const auto verdict = request_body("SecRuleEngine On\nSecRequestBodyLimit 100\nSecRequestBodyLimitAction Reject",
                                    {std::span(&segment, 1)});
  EXPECT_THAT(ids(verdict.value()), ElementsAre(1));
}

TEST_F(Bodies, BodyOverTheLimitIsRejected) {
  const std::string body(101, 'x');
  const std::string_view segment = body;
  const auto verdict = request_body("SecRuleEngine On\nSecRequestBodyLimit 100\nSecRequestBodyLimitAction Reject",
                                    {std::span(&segment, 1)});
  ASSERT_TRUE(verdict->intervention);
  EXPECT_EQ(verdict->intervention->status, 403);
  EXPECT_THAT(verdict->intervention->log,
              HasSubstr("Access denied with code 403 (phase 2). Request body limit is marked to reject"));
  EXPECT_EQ(limit.bytes, 100u);
}

TEST_F(Bodies, BodyMarkedTruncatedIsOverTheLimit) {
  const std::string_view segment = "x";
  EXPECT_TRUE(request_body("SecRuleEngine On\nSecRequestBodyLimit 100\nSecRequestBodyLimitAction Reject",
                           {std::span(&segment, 1), {}, true})
                  ->intervention);
}

TEST_F(Bodies, LimitWithoutActionRejects) {
  const std::string body(101, 'x');
  const std::string_view segment = body;
  EXPECT_TRUE(request_body("SecRuleEngine On\nSecRequestBodyLimit 100", {std::span(&segment, 1)})->intervention);
}

TEST_F(Bodies, NoLimitMeansTheDocumentedDefault) {
  (void)request_body("SecRuleEngine On", {});
  EXPECT_EQ(limit.bytes, 128 * kMiB);
  EXPECT_EQ(limit.policy, BodyLimitPolicy::reject);
}

TEST_F(Bodies, ProcessPartialInspectsTheBeginningOnly) {
  const std::string text = std::string(97, 'x') + "attack";
  const std::string_view segment = text;
  const std::string rules = "SecRuleEngine On\nSecRequestBodyLimitAction ProcessPartial\nSecRequestBodyLimit ";
  EXPECT_THAT(ids(request_body(rules + "100", {std::span(&segment, 1)}).value()), ElementsAre(3));
  EXPECT_THAT(ids(request_body(rules + "102", {std::span(&segment, 1)}).value()), ElementsAre(3));
  EXPECT_THAT(ids(request_body(rules + "103", {std::span(&segment, 1)}).value()), ElementsAre(1));
}

TEST_F(Bodies, RejectInDetectionOnlyInspectsTheBeginning) {
  const std::string body = "attack" + std::string(200, 'x');
  const std::string_view segment = body;
  const auto verdict =
      request_body("SecRuleEngine DetectionOnly\nSecRequestBodyLimit 100\nSecRequestBodyLimitAction Reject",
                   {std::span(&segment, 1)});
  EXPECT_FALSE(verdict->intervention);
  EXPECT_THAT(ids(*verdict), ElementsAre(1, 3));
}

TEST_F(Bodies, OverlayReplacesLimitAndPolicy) {
  auto overlay = std::make_shared<Overlay>();
  overlay->request_body_limit = 1000;
  overlay->body_limit_policy = BodyLimitPolicy::pass;
  const std::string rules = "SecRuleEngine On\nSecRequestBodyLimit 10\nSecRequestBodyLimitAction Reject";
  const std::string small = "attack" + std::string(100, 'x'), large = "attack" + std::string(1000, 'x');
  const std::string_view first = small, second = large;
  EXPECT_THAT(ids(request_body(rules, {std::span(&first, 1)}, overlay).value()), ElementsAre(1));
  EXPECT_THAT(ids(request_body(rules, {std::span(&second, 1)}, overlay).value()), ElementsAre(3));
}

TEST_F(Bodies, ResponseBodyIsInspectedByTypeOnly) {
  const std::string rules = "SecRuleEngine On\nSecResponseBodyAccess On\nSecResponseBodyMimeType text/html";
  EXPECT_TRUE(response(rules, "text/html; charset=utf-8", "an attack").intervention);
  EXPECT_TRUE(wanted);
  EXPECT_FALSE(response(rules, "image/png", "an attack").intervention);
  EXPECT_FALSE(wanted);
}

TEST_F(Bodies, ResponseBodyIsNotWantedWithoutAccess) {
  EXPECT_FALSE(response("SecRuleEngine On\nSecResponseBodyAccess Off", "text/html", "an attack").intervention);
  EXPECT_FALSE(wanted);
}

TEST_F(Bodies, ResponseBodyLimits) {
  const std::string rules =
      "SecRuleEngine On\nSecResponseBodyAccess On\nSecResponseBodyMimeType text/html\nSecResponseBodyLimit 20\n";
  const std::string late = std::string(20, 'x') + "attack";
  EXPECT_FALSE(response(rules + "SecResponseBodyLimitAction ProcessPartial", "text/html", late).intervention);
  EXPECT_FALSE(response(rules, "text/html", late).intervention);
  const Verdict refused = response(rules + "SecResponseBodyLimitAction Reject", "text/html", std::string(21, 'x'));
  ASSERT_TRUE(refused.intervention);
  EXPECT_EQ(refused.intervention->phase, Phase::response_body);
}

TEST_F(Bodies, ResponseHeadCanBeDenied) {
  Evaluation evaluation(
      engine,
      compile("SecRuleEngine On\nSecRule RESPONSE_STATUS \"@streq 500\" \"id:1,phase:3,deny,status:404,log,msg:'m'\""));
  const WafRequest request = get("/");
  const RequestViews views(request);
  ASSERT_TRUE(evaluate_request(evaluation, views.input()));
  ResponseInput head;
  head.status = 500;
  const Verdict verdict = evaluation.response_head(head).value();
  ASSERT_TRUE(verdict.intervention);
  EXPECT_EQ(verdict.intervention->status, 404);
  EXPECT_EQ(verdict.intervention->phase, Phase::response_head);
  EXPECT_FALSE(evaluation.wants_response_body());
}

TEST_F(Bodies, CoreRuleSetBlocksALeakInAResponse) {
  Evaluation evaluation(engine, core_rule_set());
  const WafRequest request = get("/");
  const RequestViews views(request);
  ASSERT_TRUE(evaluate_request(evaluation, views.input()));
  const HeaderView type{"Content-Type", "text/html"};
  ResponseInput head;
  head.headers = std::span(&type, 1);
  ASSERT_TRUE(evaluation.response_head(head));
  const std::string_view page =
      "<b>You have an error in your SQL syntax; check the manual that corresponds to your MySQL server</b>";
  const Verdict verdict = evaluation.response_body({std::span(&page, 1)}).value();
  ASSERT_TRUE(verdict.intervention);
  EXPECT_EQ(verdict.intervention->phase, Phase::response_body);
  EXPECT_THAT(ids(verdict), Contains(959100));
}

}  // namespace
}  // namespace gatehouse::waf::test
