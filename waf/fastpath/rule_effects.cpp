#include "waf/fastpath/rule_effects.hpp"

#include <algorithm>
#include <string_view>

#include "waf/fastpath/seclang_lexer.hpp"

namespace gatehouse::waf::fastpath {
namespace {

[[nodiscard]] bool starts_with_word(std::string_view text, std::string_view word) {
  return equal_ignoring_case(text.substr(0, word.size()), word);
}

void ctl_effect(const std::string& argument, Effects& effects) {
  const std::string_view text = argument;
  const auto value = text.substr(std::min(text.find('=') + 1, text.size()));
  if (starts_with_word(text, "ruleRemoveById=")) {
    effects.removed_ids.emplace_back(value);
  } else if (starts_with_word(text, "ruleRemoveByTag=")) {
    effects.removed_tags.emplace_back(value);
  } else if (starts_with_word(text, "ruleRemoveTargetById=") || starts_with_word(text, "ruleRemoveTargetByTag=")) {
    // More values are looked at than need be. Only a TX target could change what was taken for constant.
    const auto target = value.substr(std::min(value.find(';') + 1, value.size()));
    if (starts_with_word(target, "TX")) effects.refusal = "ctl removes a TX target";
  } else if (starts_with_word(text, "ruleEngine=")) {
    // Heard at the start of each phase only: a phase runs as a whole or not at all, so nothing constant changes.
  } else if (starts_with_word(text, "auditEngine=")) {
    if (!equal_ignoring_case(value, "Off")) effects.alarm = "ctl:auditEngine";
  } else if (starts_with_word(text, "auditLogParts=") || starts_with_word(text, "forceRequestBodyVariable=")) {
    // Parts of a record that a clean request does not get; no effect in version 3.
  } else if (equal_ignoring_case(text, "requestBodyProcessor=XML")) {
    effects.body_processor = BodyProcessor::xml;
  } else if (equal_ignoring_case(text, "requestBodyProcessor=JSON")) {
    effects.body_processor = BodyProcessor::json;
  } else if (equal_ignoring_case(text, "requestBodyProcessor=URLENCODED")) {
    effects.body_processor = BodyProcessor::urlencoded;
  } else {
    effects.alarm = "ctl:" + argument;
  }
}

}  // namespace

void add_effect(const Action& action, Effects& effects) {
  switch (action.kind) {
    case ActionKind::deny:
    case ActionKind::drop:
    case ActionKind::block:
    case ActionKind::redirect:
    case ActionKind::proxy:
    case ActionKind::pause:
    case ActionKind::exec:
    case ActionKind::setenv:
    case ActionKind::setrsc:
    case ActionKind::setsid:
    case ActionKind::setuid:
    case ActionKind::append:
    case ActionKind::prepend:
    case ActionKind::deprecate_var:
    case ActionKind::sanitise_arg:
    case ActionKind::sanitise_matched:
    case ActionKind::sanitise_matched_bytes:
    case ActionKind::sanitise_request_header:
    case ActionKind::sanitise_response_header: effects.alarm = std::string(name(action.kind)); break;
    case ActionKind::skip: effects.refusal = "skip"; break;
    case ActionKind::skip_after: effects.skip_after.push_back(action.argument); break;
    case ActionKind::allow: effects.may_end = true; break;
    case ActionKind::ctl: ctl_effect(action.argument, effects); break;
    case ActionKind::accuracy:
    case ActionKind::audit_log:
    case ActionKind::capture:
    case ActionKind::chain:
    case ActionKind::expire_var:  // parsed and ignored by 3.0.9
    case ActionKind::id:
    case ActionKind::initcol:  // only names the key
    case ActionKind::log:
    case ActionKind::logdata:
    case ActionKind::maturity:
    case ActionKind::msg:
    case ActionKind::multi_match:
    case ActionKind::no_audit_log:
    case ActionKind::no_log:
    case ActionKind::pass:
    case ActionKind::phase:
    case ActionKind::rev:
    case ActionKind::setvar:  // by link, see setvar_alarm()
    case ActionKind::severity:
    case ActionKind::status:
    case ActionKind::tag:
    case ActionKind::ver:
    case ActionKind::xmlns: break;
  }
}

}  // namespace gatehouse::waf::fastpath
