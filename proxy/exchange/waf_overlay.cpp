#include "proxy/exchange/waf_overlay.hpp"

namespace gatehouse::exchange {
namespace {

using L = config::LocationSettings;

waf::Mode mode_of(L::WafMode mode) {
  switch (mode) {
    case L::WafMode::inherit: return waf::Mode::inherit;
    case L::WafMode::off: return waf::Mode::off;
    case L::WafMode::detect: return waf::Mode::detect;
    case L::WafMode::block: return waf::Mode::block;
  }
  return waf::Mode::inherit;
}

waf::BodyLimitPolicy policy_of(L::WafBodyPolicy policy) {
  switch (policy) {
    case L::WafBodyPolicy::reject: return waf::BodyLimitPolicy::reject;
    case L::WafBodyPolicy::inspect_prefix: return waf::BodyLimitPolicy::inspect_prefix;
    case L::WafBodyPolicy::pass: return waf::BodyLimitPolicy::pass;
  }
  return waf::BodyLimitPolicy::reject;
}

}  // namespace

waf::Overlay overlay_of(const L& settings) {
  waf::Overlay overlay;
  overlay.mode = mode_of(settings.waf_mode);
  overlay.on_error = settings.waf_on_error == L::WafOnError::pass ? waf::OnError::pass : waf::OnError::reject;
  if (settings.waf_remove_rule) {
    for (const auto& range : *settings.waf_remove_rule) overlay.removed_rules.push_back({range.first, range.last});
  }
  if (settings.waf_remove_tag) overlay.removed_tags = *settings.waf_remove_tag;
  if (settings.waf_remove_target) {
    for (const auto& removed : *settings.waf_remove_target) {
      overlay.removed_targets.push_back({removed.rule_or_tag, removed.target});
    }
  }
  overlay.paranoia_level = settings.waf_paranoia_level;
  overlay.inbound_anomaly_threshold = settings.waf_inbound_anomaly_threshold;
  overlay.outbound_anomaly_threshold = settings.waf_outbound_anomaly_threshold;
  overlay.request_body_limit = settings.waf_body_limit;
  if (settings.waf_body_policy) overlay.body_limit_policy = policy_of(*settings.waf_body_policy);
  return overlay;
}

}  // namespace gatehouse::exchange
