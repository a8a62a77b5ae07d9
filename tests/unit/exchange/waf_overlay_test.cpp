#include "proxy/exchange/waf_overlay.hpp"

#include <gtest/gtest.h>

namespace gatehouse::exchange {
namespace {

using L = config::LocationSettings;

TEST(WafOverlay, APlaceWithoutDirectivesHasNone) { EXPECT_EQ(overlay_of(L{}), waf::Overlay{}); }

TEST(WafOverlay, HoldsWhatTheDirectivesSay) {
  L settings;
  settings.waf_mode = L::WafMode::detect;
  settings.waf_on_error = L::WafOnError::pass;
  settings.waf_paranoia_level = 3;
  settings.waf_inbound_anomaly_threshold = 7;
  settings.waf_outbound_anomaly_threshold = 8;
  settings.waf_body_limit = 4096;
  settings.waf_body_policy = L::WafBodyPolicy::inspect_prefix;
  settings.waf_remove_rule = std::make_shared<std::vector<config::WafRuleRange>>(1, config::WafRuleRange{1, 5});
  settings.waf_remove_tag = std::make_shared<std::vector<std::string>>(1, "attack-sqli");
  settings.waf_remove_target =
      std::make_shared<std::vector<config::WafRemovedTarget>>(1, config::WafRemovedTarget{"9", "ARGS:a"});
  waf::Overlay expected;
  expected.mode = waf::Mode::detect;
  expected.on_error = waf::OnError::pass;
  expected.removed_rules = {{1, 5}};
  expected.removed_tags = {"attack-sqli"};
  expected.removed_targets = {{"9", "ARGS:a"}};
  expected.paranoia_level = 3;
  expected.inbound_anomaly_threshold = 7;
  expected.outbound_anomaly_threshold = 8;
  expected.request_body_limit = 4096;
  expected.body_limit_policy = waf::BodyLimitPolicy::inspect_prefix;
  EXPECT_EQ(overlay_of(settings), expected);
}

}  // namespace
}  // namespace gatehouse::exchange
