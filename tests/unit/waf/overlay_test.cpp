#include "tests/unit/waf/waf_fixture.hpp"

namespace gatehouse::waf::test {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::Not;

class Overlays : public WafTest {
 protected:
  Verdict attack(Overlay overlay) {
    return evaluate(core_rule_set(), get("/?q=1'%20or%20'1'='1"), std::make_shared<const Overlay>(std::move(overlay)));
  }
};

TEST_F(Overlays, ModeOffEvaluatesNothing) {
  Overlay overlay;
  overlay.mode = Mode::off;
  EXPECT_THAT(attack(overlay).matches, IsEmpty());
}

TEST_F(Overlays, ModeDetectDoesNotBlock) {
  Overlay overlay;
  overlay.mode = Mode::detect;
  const Verdict verdict = attack(overlay);
  EXPECT_FALSE(verdict.intervention);
  EXPECT_THAT(ids(verdict), Contains(942100));
}

TEST_F(Overlays, ModeBlockBlocksWhatTheRulesOnlyDetect) {
  auto overlay = std::make_shared<Overlay>();
  overlay->mode = Mode::block;
  const auto rules = compile("SecRuleEngine DetectionOnly\nSecAction \"id:1,phase:1,deny,log,msg:'m'\"");
  EXPECT_TRUE(evaluate(rules, get("/"), overlay).intervention);
}

TEST_F(Overlays, RemovedRuleTagAndTargetDoNotMatch) {
  Overlay by_id, by_tag, by_target, by_tag_target;
  by_id.removed_rules = {{942000, 942999}};
  by_tag.removed_tags = {"attack-sqli"};
  by_target.removed_targets = {{"942100", "ARGS:q"}};
  by_tag_target.removed_targets = {{"attack-sqli", "ARGS:q"}};
  for (const Overlay& overlay : {by_id, by_tag, by_target, by_tag_target}) {
    const Verdict verdict = attack(overlay);
    EXPECT_THAT(ids(verdict), Not(Contains(942100)));
    EXPECT_FALSE(verdict.intervention);
  }
}

TEST_F(Overlays, ParanoiaLevelIsPinnedAgainstTheRulesOwnSetting) {
  Overlay overlay;
  overlay.paranoia_level = 4;
  const auto shared = std::make_shared<const Overlay>(overlay);
  const WafRequest request = get("/?x=a%20b&y=%3C%3E");
  EXPECT_THAT(ids(evaluate(core_rule_set(), request)), Not(Contains(920273)));
  EXPECT_THAT(ids(evaluate(core_rule_set(), request, shared)), Contains(920273));  // a rule of level 4
  Evaluation evaluation(engine, core_rule_set(), shared);
  const RequestViews views(request);
  ASSERT_TRUE(evaluate_request(evaluation, views.input()));
  EXPECT_EQ(evaluation.transaction_variable("paranoia_level"), "4");
}

TEST_F(Overlays, ThresholdIsPinnedAgainstTheRulesOwnSetting) {
  Overlay overlay;
  overlay.inbound_anomaly_threshold = 100;
  const Verdict verdict = attack(overlay);
  EXPECT_THAT(ids(verdict), Contains(942100));
  EXPECT_FALSE(verdict.intervention);
}

}  // namespace
}  // namespace gatehouse::waf::test
