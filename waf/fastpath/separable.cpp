#include "waf/fastpath/separable.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "waf/fastpath/link_folding.hpp"
#include "waf/fastpath/seclang_lexer.hpp"
#include "waf/fastpath/tx_state.hpp"

namespace gatehouse::waf::fastpath {
namespace {

/// Variables that are functions of the request and of the parser that its body gets.
[[nodiscard]] bool of_message_alone(VariableKind kind) noexcept {
  switch (kind) {
    case VariableKind::args:
    case VariableKind::args_combined_size:
    case VariableKind::args_get:
    case VariableKind::args_get_names:
    case VariableKind::args_names:
    case VariableKind::args_post:
    case VariableKind::args_post_names:
    case VariableKind::files:
    case VariableKind::files_combined_size:
    case VariableKind::files_names:
    case VariableKind::files_sizes:
    case VariableKind::multipart_filename:
    case VariableKind::multipart_name:
    case VariableKind::multipart_part_headers:
    case VariableKind::multipart_strict_error:
    case VariableKind::multipart_unmatched_boundary:
    case VariableKind::query_string:
    case VariableKind::remote_addr:
    case VariableKind::reqbody_error:
    case VariableKind::reqbody_processor:
    case VariableKind::request_basename:
    case VariableKind::request_body:
    case VariableKind::request_body_length:
    case VariableKind::request_cookies:
    case VariableKind::request_cookies_names:
    case VariableKind::request_filename:
    case VariableKind::request_headers:
    case VariableKind::request_headers_names:
    case VariableKind::request_line:
    case VariableKind::request_method:
    case VariableKind::request_protocol:
    case VariableKind::request_uri:
    case VariableKind::request_uri_raw:
    case VariableKind::url_encoded_error:
    case VariableKind::xml: return true;
    default: return false;
  }
}

/// Variables that other rules' matches change, TX apart.
[[nodiscard]] bool changed_by_matches(VariableKind kind) noexcept {
  switch (kind) {
    case VariableKind::env:
    case VariableKind::global:
    case VariableKind::highest_severity:
    case VariableKind::ip:
    case VariableKind::matched_var:
    case VariableKind::matched_var_name:
    case VariableKind::matched_vars:
    case VariableKind::matched_vars_names:
    case VariableKind::resource:
    case VariableKind::rule:
    case VariableKind::session:
    case VariableKind::session_id:
    case VariableKind::user:
    case VariableKind::user_id:
    case VariableKind::web_app_id:
    case VariableKind::webserver_error_log: return true;
    default: return false;
  }
}

/// Whether the action may change which rules run or how the body is parsed; skipAfter is looked at by itself.
[[nodiscard]] bool steers(const Action& action) {
  if (action.kind == ActionKind::allow) return true;
  if (action.kind != ActionKind::ctl) return false;
  constexpr std::array<std::string_view, 6> kHarmless = {
      "auditEngine=", "auditLogParts=",        "forceRequestBodyVariable=",
      "ruleEngine=",  "ruleRemoveTargetById=", "ruleRemoveTargetByTag="};
  const std::string_view text = action.argument;
  return std::ranges::none_of(
      kHarmless, [&](std::string_view word) { return equal_ignoring_case(text.substr(0, word.size()), word); });
}

[[nodiscard]] std::vector<const Rule*> links_of(const Rule& rule) {
  std::vector<const Rule*> links{&rule};
  for (const auto& child : rule.chain) links.push_back(&child);
  return links;
}

template <class Test>
[[nodiscard]] bool any_action(const Rule& rule, Test test) {
  return std::ranges::any_of(links_of(rule),
                             [&](const Rule* link) { return std::ranges::any_of(link->actions, test); });
}

/// TX members, by lower-case name, that may hold something else than in the run the proof is about. A name that ends in "*" stands
/// for all with that beginning.
class Disturbed {
 public:
  void add(std::string name) {
    if (std::ranges::find(names_, name) == names_.end()) names_.push_back(std::move(name));
  }
  [[nodiscard]] std::size_t size() const noexcept { return names_.size(); }

  [[nodiscard]] bool may_be_chosen_by(const Variable& target) const {
    if (names_.empty()) return false;
    if (target.selector != SelectorKind::exact) return true;
    return named_by(lower_case(target.text), names_);
  }
  [[nodiscard]] bool may_be_read_by(const TextTemplate& text) const {
    return std::ranges::any_of(text, [&](const TextPiece& piece) {
      if (!piece.is_macro) return false;
      return piece.kind == VariableKind::tx ? named_by(lower_case(piece.text), names_) : changed_by_matches(piece.kind);
    });
  }

 private:
  std::vector<std::string> names_;  // as named_by() takes them
};

[[nodiscard]] bool reads_macro(std::string_view text, const Disturbed& disturbed) {
  if (!holds_macro(text)) return false;
  const auto parsed = parse_template(text);
  return !parsed || disturbed.may_be_read_by(*parsed);
}

/// Whether another rule's match may change how one condition comes out.
[[nodiscard]] bool link_reads(const Rule& link, const Disturbed& disturbed) {
  const bool target = std::ranges::any_of(link.variables, [&](const Variable& variable) {
    if (variable.selector == SelectorKind::macro) return true;
    return variable.kind == VariableKind::tx ? disturbed.may_be_chosen_by(variable) : changed_by_matches(variable.kind);
  });
  return target || (link.op && reads_macro(link.op->parameter, disturbed));
}

/// The same for any condition of the rule.
[[nodiscard]] bool reads(const Rule& rule, const Disturbed& disturbed) {
  return std::ranges::any_of(links_of(rule), [&](const Rule* link) { return link_reads(*link, disturbed); });
}

void add_writes(const Rule& rule, Disturbed& disturbed) {
  for (const Rule* link : links_of(rule)) {
    if (link->capture) {
      for (char digit = '0'; digit <= '9'; ++digit) disturbed.add(std::string(1, digit));
    }
    for (const auto& action : link->actions) {
      if (action.kind != ActionKind::setvar) continue;
      const auto set = parse_setvar(action.argument);
      if (!set) {
        disturbed.add("*");
      } else if (set->collection == VariableKind::tx) {
        const auto name = constant_text(set->name);
        const bool starts_known = !set->name.empty() && !set->name.front().is_macro;
        disturbed.add(name ? lower_case(*name) : starts_known ? lower_case(set->name.front().text) + "*" : "*");
      }
    }
  }
}

/// The rules of one phase that a skipAfter jumps over, as places in RuleList::rules: from the one behind it up to the marker.
struct Jump {
  std::size_t first = 0;
  std::size_t end = 0;
  int phase = 0;
};

/// The markers that a match of the rule skips to.
[[nodiscard]] std::vector<std::string> markers_of(const Rule& rule) {
  std::vector<std::string> markers;
  for (const Rule* link : links_of(rule)) {
    for (const auto& action : link->actions) {
      if (action.kind == ActionKind::skip_after) markers.push_back(action.argument);
    }
  }
  return markers;
}

[[nodiscard]] std::vector<Jump> jumps_of(const RuleList& rules, std::size_t place) {
  std::vector<Jump> jumps;
  const auto behind = rules.rules.begin() + static_cast<std::ptrdiff_t>(place) + 1;
  for (const auto& name : markers_of(rules.rules[place])) {
    const auto marker = std::find_if(behind, rules.rules.end(), [&](const Rule& other) {
      return other.kind == RuleKind::marker && other.marker == name;
    });
    jumps.push_back({place + 1, static_cast<std::size_t>(marker - rules.rules.begin()), rules.rules[place].phase});
  }
  return jumps;
}

/// What depends on whether the plan's rules match.
struct Dependence {
  Disturbed members;        ///< what their matches may change, and what rules that look at it may change in turn
  std::vector<Jump> jumps;  ///< over rules that may not run because of it
};

[[nodiscard]] Dependence depends_on(const RuleList& rules, const std::set<std::int64_t>& alarms) {
  Dependence result;
  Disturbed& disturbed = result.members;
  std::set<std::size_t> jumped;
  const auto disturb = [&](std::size_t place) {
    add_writes(rules.rules[place], disturbed);
    if (!jumped.insert(place).second) return;
    for (const Jump& jump : jumps_of(rules, place)) {
      result.jumps.push_back(jump);
      for (std::size_t over = jump.first; over < jump.end; ++over) {
        if (rules.rules[over].phase == jump.phase) add_writes(rules.rules[over], disturbed);
      }
    }
  };
  for (std::size_t place = 0; place < rules.rules.size(); ++place) {
    if (alarms.contains(rules.rules[place].id)) disturb(place);
  }
  for (std::size_t before = 0; before != disturbed.size() + jumped.size();) {
    before = disturbed.size() + jumped.size();
    for (std::size_t place = 0; place < rules.rules.size(); ++place) {
      const auto& rule = rules.rules[place];
      const bool value_read = any_action(rule, [&](const Action& action) {
        return action.kind == ActionKind::setvar && reads_macro(action.argument, disturbed);
      });
      if (reads(rule, disturbed)) {
        disturb(place);
      } else if (value_read) {
        add_writes(rule, disturbed);
      }
    }
  }
  return result;
}

/// Drops what is said to be skipped where the rule that skips it may itself be jumped over.
void keep_certain_skips(const RuleList& rules, const std::vector<Jump>& jumps, std::vector<Plan::Skipped>& skipped) {
  if (skipped.empty() || jumps.empty()) return;
  std::map<std::int64_t, std::size_t> places;
  for (std::size_t place = 0; place < rules.rules.size(); ++place) {
    if (rules.rules[place].kind != RuleKind::marker) places.emplace(rules.rules[place].id, place);
  }
  std::erase_if(skipped, [&](const Plan::Skipped& rule) {
    const auto by = places.at(rule.by);
    return std::ranges::any_of(jumps, [&](const Jump& jump) {
      return jump.phase == rules.rules[by].phase && jump.first <= by && by < jump.end && places.at(rule.id) >= jump.end;
    });
  });
}

/// Whether the rule may see what an earlier one left in the MATCHED_ variables; where it matches, it has overwritten the single ones.
[[nodiscard]] bool observes_matched(const Rule& rule) {
  const auto of_all = [](VariableKind kind) {
    return kind == VariableKind::matched_vars || kind == VariableKind::matched_vars_names;
  };
  const auto of_any = [&](VariableKind kind) {
    return of_all(kind) || kind == VariableKind::matched_var || kind == VariableKind::matched_var_name;
  };
  const auto in_text = [](std::string_view text, auto test) {
    if (!holds_macro(text)) return false;
    const auto parsed = parse_template(text);
    return !parsed ||
           std::ranges::any_of(*parsed, [&](const auto& piece) { return piece.is_macro && test(piece.kind); });
  };
  for (const Rule* link : links_of(rule)) {
    const bool first = link == &rule;
    const auto seen = [&](VariableKind kind) { return first ? of_any(kind) : of_all(kind); };
    if (std::ranges::any_of(link->variables, [&](const Variable& target) {
          return seen(target.kind) || target.selector == SelectorKind::macro;
        })) {
      return true;
    }
    if (link->op && in_text(link->op->parameter, seen)) return true;
    const bool unconditional = rule.kind == RuleKind::action;
    if (std::ranges::any_of(link->actions, [&](const Action& action) {
          return unconditional ? in_text(action.argument, of_any) : in_text(action.argument, of_all);
        })) {
      return true;
    }
  }
  return false;
}

/// Whether some condition looks at MATCHED_VAR or MATCHED_VAR_NAME.
[[nodiscard]] bool recalls_matches(const Rule& rule) {
  return std::ranges::any_of(links_of(rule), [](const Rule* link) {
    return std::ranges::any_of(link->variables, [](const Variable& target) {
      return target.kind == VariableKind::matched_var || target.kind == VariableKind::matched_var_name ||
             target.selector == SelectorKind::macro;
    });
  });
}

/// The first condition looks at the message alone.
[[nodiscard]] bool is_separable(const LiveRule& rule) {
  if (rule.may_not_run || rule.phase > 2) return false;
  const Link& link = rule.links.front();
  if (!link.opaque.empty() || link.always || !link.constants.empty() || !link.producers.empty() ||
      !link.unknown_before.empty() || link.op.has_macro) {
    return false;
  }
  if (link.op.negated && link.capture) return false;  // groups are written though the condition fails
  return std::ranges::all_of(link.targets, [](const Variable& target) {
    return !target.counted && target.selector != SelectorKind::macro && of_message_alone(target.kind);
  });
}

}  // namespace

void find_separable(const RuleList& rules, Plan& plan) {
  std::set<std::int64_t> alarms;
  for (const auto& rule : plan.rules) alarms.insert(rule.id);
  const Dependence dependence = depends_on(rules, alarms);
  const Disturbed& disturbed = dependence.members;

  std::set<std::int64_t> dependent;  // whose first condition may hold after all, or do something though it fails
  std::set<std::int64_t> unsteady;   // of which any condition may come out otherwise
  for (const auto& rule : rules.rules) {
    const bool captures_in_vain = rule.capture && rule.op && rule.op->negated;
    if (rule.phase > 2 || captures_in_vain || link_reads(rule, disturbed)) dependent.insert(rule.id);
    if (reads(rule, disturbed)) unsteady.insert(rule.id);
  }
  std::erase_if(plan.skipped, [&](const Plan::Skipped& rule) { return unsteady.contains(rule.by); });
  keep_certain_skips(rules, dependence.jumps, plan.skipped);
  std::erase_if(plan.constant_failures, [&](std::int64_t id) { return dependent.contains(id); });

  std::set<std::int64_t> varying;  // whose writes may be others
  for (const auto& rule : rules.rules) {
    if (rule.kind != RuleKind::marker && observes_matched(rule)) plan.observers.push_back(rule.id);
    if (rule.kind != RuleKind::marker && recalls_matches(rule)) plan.recallers.push_back(rule.id);
    if (auto markers = markers_of(rule); !markers.empty()) plan.jumps.emplace(rule.id, std::move(markers));
    if (any_action(rule, [&](const Action& action) {
          return action.kind == ActionKind::setvar && reads_macro(action.argument, disturbed);
        })) {
      varying.insert(rule.id);
    }
  }
  std::erase_if(plan.constants,
                [&](const auto& rule) { return unsteady.contains(rule.id) || varying.contains(rule.id); });

  std::set<std::int64_t> idle;  // never do anything
  idle.insert(plan.constant_failures.begin(), plan.constant_failures.end());
  for (const auto& rule : plan.skipped) idle.insert(rule.id);
  std::set<std::int64_t> steering;
  for (const auto& rule : rules.rules) {
    if (any_action(rule, [](const Action& action) { return action.kind == ActionKind::skip; })) {
      plan.not_narrowable = "rule " + std::to_string(rule.id) + " skips a number of rules";
      return;
    }
    if (idle.contains(rule.id) || !any_action(rule, steers)) continue;
    if (alarms.contains(rule.id)) steering.insert(rule.id);
    if (reads(rule, disturbed)) {
      plan.not_narrowable =
          "rule " + std::to_string(rule.id) + " steers others by ctl, and other rules decide whether it matches";
      return;
    }
  }
  for (auto& rule : plan.rules) {
    rule.steers = steering.contains(rule.id);
    rule.separable = is_separable(rule);
  }
}

}  // namespace gatehouse::waf::fastpath
