#include "waf/rule_match_sink.hpp"

#include <algorithm>
#include <utility>

#include "waf/rule_message_text.hpp"

namespace gatehouse::waf {

RuleMatch make_rule_match(const modsecurity::RuleMessage& message, int status) {
  RuleMatch match;
  match.rule_id = message.m_ruleId;
  match.phase = static_cast<Phase>(std::clamp(message.m_phase, 1, 5));
  match.severity = message.m_severity;
  match.denied = message.m_isDisruptive;
  match.audited = !message.m_noAuditLog;
  match.text = rule_message_text(message, status);
  match.message = message.m_message;
  match.data = message.m_data;
  match.tags.assign(message.m_tags.begin(), message.m_tags.end());
  return match;
}

void RuleMatchSink::receive(void* sink, const void* message) {
  if (sink == nullptr || message == nullptr) return;
  static_cast<RuleMatchSink*>(sink)->matches_.push_back(
      make_rule_match(*static_cast<const modsecurity::RuleMessage*>(message), -1));
}

std::vector<RuleMatch> RuleMatchSink::take() { return std::exchange(matches_, {}); }

}  // namespace gatehouse::waf
