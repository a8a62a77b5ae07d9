#include "waf/fastpath/fold.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <stdexcept>

#include "waf/fastpath/link_folding.hpp"
#include "waf/fastpath/rule_effects.hpp"
#include "waf/fastpath/seclang_lexer.hpp"
#include "waf/fastpath/separable.hpp"
#include "waf/fastpath/tx_state.hpp"

namespace gatehouse::waf::fastpath {
namespace {

[[nodiscard]] bool says(const Rule& rule, ActionKind kind) {
  return std::ranges::any_of(rule.actions, [kind](const Action& action) { return action.kind == kind; });
}

/// Whether a full match is logged or audited.
[[nodiscard]] bool logs(const Rule& rule, const RuleList& rules) {
  bool saves = true;
  const auto follow = [&saves](const Action& action) {
    if (action.kind == ActionKind::log || action.kind == ActionKind::audit_log) saves = true;
    if (action.kind == ActionKind::no_log || action.kind == ActionKind::no_audit_log) saves = false;
  };
  for (const auto& action : rules.default_actions.at(static_cast<std::size_t>(rule.phase)).actions) follow(action);
  for (const auto& action : rule.actions) follow(action);
  return saves;
}

class Folder {
 public:
  /// `gates`: rules whose match is for the library to see, because too much depends on it.
  Folder(const RuleList& rules, const FoldOptions& options, const std::set<std::int64_t>& gates)
      : rules_(rules), options_(options), gates_(gates) {
    for (const auto& [name, value] : options.pinned) state_.pin(name, value);
    find_numbers();
  }

  Plan run() {
    check_globals();
    for (int phase = 1; phase <= 5 && plan_.refusal.empty(); ++phase) {
      for (const auto& rule : rules_.rules) {
        if (rule.kind == RuleKind::marker) {
          marker(rule);
        } else if (rule.phase == phase) {
          visit(rule);
        }
      }
    }
    find_separable(rules_, plan_);
    return std::move(plan_);
  }

  /// After a refusal: rules that hold for some requests only and then decide whether others run. Those that the refused rule
  /// depends on, or all if there are none.
  [[nodiscard]] std::set<std::int64_t> in_the_way() const {
    if (!on_the_way_.empty()) return on_the_way_;
    std::set<std::int64_t> all;
    for (const auto& rule : sometimes_) all.insert(rule.first);
    return all;
  }

 private:
  /// Does a rule run? Either certainly, or certainly on the way that no skipAfter has left, or only perhaps.
  enum class Reach : std::uint8_t { certain, unless_skipped, possible };

  void refuse(const Rule& rule, const std::string& why) {
    if (!plan_.refusal.empty()) return;
    plan_.refusal = "rule " + std::to_string(rule.id) + ": " + why;
    for (const auto& [id, effects] : sometimes_) {
      const bool skips = std::ranges::any_of(effects.skip_after, [&](const auto& to) { return skips_.contains(to); });
      if (skips || effects.may_end || removed_by(rule, effects.removed_ids, effects.removed_tags))
        on_the_way_.insert(id);
    }
  }

  /// Members that only ever hold integers: counters out of which other members' names are made.
  void find_numbers() {
    std::set<std::string> numbers;
    std::set<std::string> others;
    bool any_name = false;
    const auto look = [&](const Rule& rule) {
      for (const auto& action : rule.actions) {
        if (action.kind != ActionKind::setvar) continue;
        const auto set = parse_setvar(action.argument);
        const auto member = set ? constant_text(set->name) : std::nullopt;
        if (!set || (!member && set->name.front().is_macro)) any_name = true;
        if (!set || set->collection != VariableKind::tx) continue;
        if (!member) {
          others.insert(lower_case(set->name.front().text) + "*");
          continue;
        }
        const auto value = constant_text(set->value);
        const bool digits = value && !value->empty() && value->size() < 9 &&
                            std::ranges::all_of(*value, [](char c) { return c >= '0' && c <= '9'; });
        const bool number = set->operation != SetVar::Operation::set || digits;
        (number ? numbers : others).insert(lower_case(*member));
      }
    };
    for (const auto& rule : rules_.rules) {
      look(rule);
      for (const auto& child : rule.chain) look(child);
    }
    const std::vector<std::string> not_numbers(others.begin(), others.end());
    for (const auto& member : numbers) {
      const bool group = member.size() == 1 && member[0] >= '0' && member[0] <= '9';
      if (!any_name && !group && !named_by(member, not_numbers)) state_.mark_number(member);
    }
  }

  void check_globals() {
    for (const auto& defaults : rules_.default_actions) {
      for (const auto& action : defaults.actions) {
        if (action.kind == ActionKind::setvar || action.kind == ActionKind::ctl ||
            action.kind == ActionKind::skip_after || action.kind == ActionKind::skip ||
            action.kind == ActionKind::allow || action.kind == ActionKind::exec || action.kind == ActionKind::setenv) {
          plan_.refusal = "SecDefaultAction with " + std::string(name(action.kind));
        }
      }
    }
    for (const auto& rule : rules_.rules) {
      if (rule.kind != RuleKind::marker && rule.phase == 0) refuse(rule, "phase 0");
    }
    for (const auto& update : rules_.target_updates) {
      const bool adds = std::ranges::any_of(update.variables, [](const Variable& v) { return !v.excluded; });
      if (adds) plan_.refusal = "SecRuleUpdateTarget adds a target (" + update.origin.file + ")";
      const bool tx =
          std::ranges::any_of(update.variables, [](const Variable& v) { return v.kind == VariableKind::tx; });
      if (tx) plan_.refusal = "SecRuleUpdateTarget for TX (" + update.origin.file + ")";
    }
  }

  void marker(const Rule& rule) {
    if (skips_.erase(rule.marker) > 0) runs_ = true;
  }

  void verdict(const Rule& rule, RuleClass rule_class, std::string why) {
    plan_.verdicts.push_back({rule.id, rule.phase, rule.origin, rule_class, std::move(why)});
  }

  [[nodiscard]] static bool in_id_list(const std::string& list, std::int64_t id) {
    const auto dash = list.find('-');
    const auto number = [](std::string_view text) {
      std::int64_t value = -1;
      std::from_chars(text.data(), text.data() + text.size(), value);
      return value;
    };
    if (dash == std::string::npos) return number(list) == id;
    return number(std::string_view(list).substr(0, dash)) <= id &&
           id <= number(std::string_view(list).substr(dash + 1));
  }

  [[nodiscard]] static bool removed_by(const Rule& rule, const std::vector<std::string>& ids,
                                       const std::vector<std::string>& tags) {
    // A SecAction is not removed by id, only by tag.
    if (rule.kind == RuleKind::rule &&
        std::ranges::any_of(ids, [&](const std::string& list) { return in_id_list(list, rule.id); })) {
      return true;
    }
    return std::ranges::any_of(rule.actions, [&](const Action& action) {
      if (action.kind != ActionKind::tag || tags.empty()) return false;
      return holds_macro(action.argument) || std::ranges::find(tags, action.argument) != tags.end();
    });
  }

  void visit(const Rule& rule) {
    if (!runs_) {
      plan_.skipped.push_back({rule.id, skipper_});
      return verdict(rule, RuleClass::folded, "skipped to " + *skips_.begin());
    }
    if (options_.removed && options_.removed(rule)) return verdict(rule, RuleClass::folded, "removed");
    if (removed_by(rule, removed_ids_, removed_tags_)) return verdict(rule, RuleClass::folded, "removed by ctl");
    const bool optional = may_end_ || removed_by(rule, possibly_removed_ids_, possibly_removed_tags_) ||
                          (options_.possibly_removed && options_.possibly_removed(rule));
    const auto reach = optional ? Reach::possible : skips_.empty() ? Reach::certain : Reach::unless_skipped;
    if (rule.kind == RuleKind::action) {
      unconditional(rule, reach);
    } else {
      conditional(rule, reach);
    }
  }

  [[nodiscard]] Effects full_match_effects(const Rule& rule) const {
    Effects effects;
    const auto collect = [&effects](const Rule& link) {
      for (const auto& action : link.actions) add_effect(action, effects);
    };
    collect(rule);
    for (const auto& child : rule.chain) collect(child);
    const bool saved = logs(rule, rules_);
    if (rule.kind == RuleKind::action ? saved && says(rule, ActionKind::msg) : saved) effects.alarm = "logs";
    return effects;
  }

  /// Why one match of this link alone must be seen by the library; setvar runs even if the chain fails later.
  [[nodiscard]] std::string setvar_alarm(const Rule& link, bool constant) const {
    for (const auto& action : link.actions) {
      if (action.kind != ActionKind::setvar) continue;
      const auto set = parse_setvar(action.argument);
      if (!set) return "setvar is not understood";
      if (set->collection != VariableKind::tx) return "setvar writes " + std::string(name(set->collection));
      const bool sum = set->operation == SetVar::Operation::sum || set->operation == SetVar::Operation::subtract;
      const auto member = constant_text(set->name);
      if (sum && !constant && member && may_be_read(*member)) return "setvar adds to a score";
      if (set->operation == SetVar::Operation::unset && !constant) return "setvar removes a member";
    }
    return {};
  }

  /// Whether some condition looks at the TX member; a counter that only makes up names of others is none.
  [[nodiscard]] bool may_be_read(const std::string& member) const {
    const auto reads = [&](const Rule& rule) {
      const bool target = std::ranges::any_of(rule.variables, [&](const Variable& variable) {
        return variable.kind == VariableKind::tx && chooses_member(variable, member);
      });
      return target || (rule.op && rule.op->has_macro &&
                        lower_case(rule.op->parameter).find(lower_case(member)) != std::string::npos);
    };
    return std::ranges::any_of(rules_.rules,
                               [&](const Rule& rule) { return reads(rule) || std::ranges::any_of(rule.chain, reads); });
  }

  void unconditional(const Rule& rule, Reach reach) {
    const auto effects = full_match_effects(rule);
    if (!effects.alarm.empty()) return refuse(rule, "always " + effects.alarm);
    if (const auto why = setvar_alarm(rule, reach == Reach::certain); !why.empty())
      return refuse(rule, "always " + why);
    note_constant(rule, effects, reach);
    run_setvars(rule, reach, 1);
    apply(rule, effects, reach, true);
    verdict(rule, reach == Reach::certain ? RuleClass::folded : RuleClass::benign, "SecAction");
  }

  void conditional(const Rule& rule, Reach reach) {
    std::vector<const Rule*> links{&rule};
    for (const auto& child : rule.chain) links.push_back(&child);

    LiveRule live{.id = rule.id, .phase = rule.phase, .origin = rule.origin, .links = {}};
    live.may_not_run = reach == Reach::possible;
    live.stale_matched_vars = !matched_vars_clean_;
    std::vector<std::string> run_time;
    std::vector<std::size_t> matching;
    std::optional<std::size_t> alarm_link;
    std::string why;
    bool possible = true;  // may all links so far hold?
    bool always = true;    // do they hold for every request?
    for (const auto* source : links) {
      auto folded = fold_link(*source, state_, run_time);
      if (folded.truth == Truth::never) {
        possible = false;
        always = false;
        break;
      }
      always = always && folded.truth == Truth::always;
      matching.push_back(folded.matching_constants);
      const auto names = written_names(folded.link);
      run_time.insert(run_time.end(), names.begin(), names.end());
      live.links.push_back(std::move(folded.link));
      why = setvar_alarm(*source, always && reach == Reach::certain && matching.back() <= 1);
      // It logs before its own nolog is heard and before the rest of its chain is asked.
      if (source->multi_match) why = "multiMatch logs each match";
      if (!why.empty()) {
        alarm_link = live.links.size() - 1;
        break;
      }
    }
    if (live.links.empty()) {
      if (reach == Reach::certain) matched_vars_clean_ = true;  // the library cleans them when a rule fails
      if (reach != Reach::possible) plan_.constant_failures.push_back(rule.id);  // find_separable() takes some out
      return verdict(rule, RuleClass::folded, "never true");
    }
    const auto effects = full_match_effects(rule);
    if (!alarm_link && possible && !effects.alarm.empty()) {
      alarm_link = live.links.size() - 1;
      why = effects.alarm;
    }
    if (!alarm_link && possible && gates_.contains(rule.id)) {
      alarm_link = live.links.size() - 1;
      why = "decides whether rules run that others depend on";
    }
    if (alarm_link) return alarm(rule, std::move(live), *alarm_link, why, reach);
    benign(rule, links, std::move(live), effects, possible, always, matching, reach);
  }

  void alarm(const Rule& rule, LiveRule live, std::size_t alarm_link, const std::string& why, Reach reach) {
    live.alarm_link = alarm_link;
    const auto taken_to_hold = [](const Link& link) { return link.always || !link.opaque.empty(); };
    if (std::ranges::all_of(live.links, taken_to_hold)) {
      std::string reason;
      for (const auto& link : live.links) {
        if (!link.opaque.empty()) reason = link.opaque;
      }
      verdict(rule, RuleClass::refused, reason.empty() ? "true for every request" : reason);
      return refuse(rule, reason.empty() ? "is true for every request" : reason);
    }
    const bool refused = std::ranges::any_of(live.links, [](const Link& link) { return !link.opaque.empty(); });
    std::string note = why;
    for (const auto& link : live.links) {
      if (!link.opaque.empty()) note += "; taken to hold: " + link.opaque;
    }
    verdict(rule, refused ? RuleClass::refused : RuleClass::alarm, note);
    // On a clean request the alarm link does not hold; what the links before it write, stays.
    LiveRule before = live;
    before.links.resize(alarm_link);
    if (!before.links.empty()) produce(std::move(before));
    for (std::size_t i = 0; i <= alarm_link; ++i) {
      const auto& link = live.links[i];
      if (link.capture && (i < alarm_link || link.op.negated)) state_.forget_captures();
    }
    if (reach == Reach::certain) matched_vars_clean_ = true;
    plan_.rules.push_back(std::move(live));
  }

  void benign(const Rule& rule, const std::vector<const Rule*>& links, LiveRule live, const Effects& effects,
              bool possible, bool always, const std::vector<std::size_t>& matching, Reach reach) {
    const bool captures = std::ranges::any_of(live.links, [](const Link& link) { return link.capture; });
    if (always && possible && !captures) {
      if (links.size() == 1) note_constant(rule, effects, reach);
      for (std::size_t i = 0; i < live.links.size(); ++i) run_setvars(*links[i], reach, matching[i]);
      matched_vars_clean_ = false;
      apply(rule, effects, reach, true);
      return verdict(rule, RuleClass::folded, "always true");
    }
    if (captures) state_.forget_captures();
    matched_vars_clean_ = false;
    if (possible && effects.body_processor) {
      if (rule.phase != 1) return refuse(rule, "chooses the body processor outside phase 1");
      live.alarm_link = live.links.size() - 1;
      plan_.body_processors.push_back({live, *effects.body_processor});
    }
    if (possible) {
      const bool steers = effects.may_end || !effects.removed_ids.empty() || !effects.removed_tags.empty() ||
                          !effects.skip_after.empty();
      if (steers && plan_.refusal.empty()) sometimes_.emplace_back(rule.id, effects);
      apply(rule, effects, reach, false);
    }
    const std::string note = possible ? "no visible effect" : "its chain never holds";
    produce(std::move(live));
    verdict(rule, RuleClass::benign, note);
  }

  /// Notes a rule that always holds, if all it does is to write constants and to skip. `state_` is as before it.
  void note_constant(const Rule& rule, const Effects& effects, Reach reach) {
    if (reach == Reach::possible || rule.multi_match || rule.capture || logs(rule, rules_)) return;
    Plan::Constant constant{.id = rule.id, .writes = {}, .skips_to = {}};
    for (const auto& action : rule.actions) {
      switch (action.kind) {
        case ActionKind::id:
        case ActionKind::log:
        case ActionKind::audit_log:
        case ActionKind::logdata:
        case ActionKind::maturity:
        case ActionKind::msg:
        case ActionKind::no_audit_log:
        case ActionKind::no_log:
        case ActionKind::pass:
        case ActionKind::phase:
        case ActionKind::rev:
        case ActionKind::skip_after:
        case ActionKind::tag:
        case ActionKind::ver: continue;
        case ActionKind::setvar: break;
        default: return;
      }
      const auto set = parse_setvar(action.argument);
      const auto name = set ? constant_text(fold_template(set->name, state_, {})) : std::nullopt;
      const auto value = set ? constant_text(fold_template(set->value, state_, {})) : std::nullopt;
      const bool sets = set && set->operation == SetVar::Operation::set && set->collection == VariableKind::tx;
      // What a later one of its setvars makes of an earlier one's member is not followed.
      if (!sets || !name || !value || (!constant.writes.empty() && holds_macro(action.argument))) return;
      constant.writes.emplace_back(*name, *value);
    }
    if (effects.skip_after.size() > 1) return;
    if (!effects.skip_after.empty()) constant.skips_to = effects.skip_after.front();
    plan_.constants.push_back(std::move(constant));
  }

  /// Notes what the links of a rule may write, for the rules that look at it.
  void produce(LiveRule live) {
    const bool writes = std::ranges::any_of(live.links, [](const Link& link) { return !link.writes.empty(); });
    if (!writes) return;
    const auto index = static_cast<std::uint32_t>(plan_.producers.size());
    for (const auto& link : live.links) {
      for (const auto& write : link.writes) {
        if (const auto whole = constant_text(write.name)) {
          auto value = state_.value(*whole);
          value.producers.push_back(index);
          state_.set(*whole, std::move(value));
        } else {
          state_.produce_with_prefix(write.name.front().is_macro ? "" : write.name.front().text, index);
        }
      }
    }
    plan_.producers.push_back(std::move(live));
  }

  /// Runs the setvars of a link that holds, `times` times, on what is known.
  void run_setvars(const Rule& link, Reach reach, std::size_t times) {
    for (const auto& action : link.actions) {
      if (action.kind != ActionKind::setvar) continue;
      const auto set = parse_setvar(action.argument);
      const auto member = set ? constant_text(fold_template(set->name, state_, {})) : std::nullopt;
      if (!member) {
        refuse(link, "a setvar whose name is not constant in a rule that is always true");
        return;
      }
      auto after = value_after(*set, *member, times);
      if (reach != Reach::certain && after != state_.value(*member)) after = {std::nullopt, {}, true};
      state_.set(*member, std::move(after));
    }
  }

  [[nodiscard]] TxValue value_after(const SetVar& set, const std::string& member, std::size_t times) const {
    if (set.operation == SetVar::Operation::unset) return {};
    const auto text = constant_text(fold_template(set.value, state_, {}));
    if (!text) return {std::nullopt, {}, true};
    if (set.operation == SetVar::Operation::set) return {text, {}};
    const auto before = state_.value(member);
    if (!before.is_constant() || times != 1) return {std::nullopt, {}, true};
    const auto number = [](const std::string& digits) {
      try {
        return std::stoi(digits);
      } catch (const std::logic_error&) {
        return 0;
      }
    };
    const std::int64_t step = number(*text);
    const std::int64_t old = number(before.constant.value_or(""));
    return {std::to_string(set.operation == SetVar::Operation::sum ? old + step : old - step), {}};
  }

  /// `always`: the rule holds whenever it runs.
  void apply(const Rule& rule, const Effects& effects, Reach reach, bool always) {
    const bool certain = always && reach == Reach::certain;
    if (!effects.refusal.empty()) return refuse(rule, effects.refusal);
    if (always && effects.body_processor) return refuse(rule, "always chooses a body processor");
    if (effects.may_end) may_end_ = true;
    auto& ids = certain ? removed_ids_ : possibly_removed_ids_;
    auto& tags = certain ? removed_tags_ : possibly_removed_tags_;
    ids.insert(ids.end(), effects.removed_ids.begin(), effects.removed_ids.end());
    tags.insert(tags.end(), effects.removed_tags.begin(), effects.removed_tags.end());
    if (effects.skip_after.empty()) return;
    skips_.insert(effects.skip_after.back());  // each says where to go; the last one is heard
    if (effects.skip_after.size() > 1) skips_.insert(effects.skip_after.begin(), effects.skip_after.end());
    if (!always || reach == Reach::possible) return;
    runs_ = false;
    skipper_ = rule.id;
  }

  const RuleList& rules_;
  const FoldOptions& options_;
  const std::set<std::int64_t>& gates_;
  std::vector<std::pair<std::int64_t, Effects>>
      sometimes_;                      // rules that hold for some requests and then decide what runs
  std::set<std::int64_t> on_the_way_;  // those that decide whether the refused rule runs
  Plan plan_;
  TxState state_;
  bool runs_ = true;             // false while every way skips
  std::int64_t skipper_ = 0;     // the rule that made it so
  std::set<std::string> skips_;  // markers that some way, not necessarily all, skips to
  std::vector<std::string> removed_ids_;
  std::vector<std::string> removed_tags_;
  std::vector<std::string> possibly_removed_ids_;
  std::vector<std::string> possibly_removed_tags_;
  bool may_end_ = false;
  bool matched_vars_clean_ = true;
};

}  // namespace

Plan fold(const RuleList& rules, const FoldOptions& options) {
  // CRS 4 takes all of its rules out for Apache's own requests, rules of a user's skip a whole set for one path: if no more can be
  // said of requests for which that may be so, those go to the library, and the others can be proven.
  std::set<std::int64_t> gates;
  std::optional<Plan> without_gates;
  for (;;) {
    Folder folder(rules, options, gates);
    Plan plan = folder.run();
    if (plan.refusal.empty()) return plan;
    if (!without_gates) without_gates = std::move(plan);
    const auto before = gates.size();
    gates.merge(folder.in_the_way());
    if (gates.size() == before) return std::move(*without_gates);
  }
}

bool steers(const Rule& rule, const RuleList& rules) {
  const auto changes = [](const Rule& link) {
    return std::ranges::any_of(link.actions, [](const Action& action) {
      switch (action.kind) {
        case ActionKind::setvar:
        case ActionKind::ctl:
        case ActionKind::skip:
        case ActionKind::skip_after:
        case ActionKind::allow: return true;
        default: return false;
      }
    });
  };
  const bool chained = !rule.chain.empty();
  if (rule.kind == RuleKind::marker || rule.phase < 1 || rule.phase > 5) return true;
  // A full match that is logged is an alarm, but setvar of a head runs before its chain is asked.
  const bool seen = rule.kind == RuleKind::rule && logs(rule, rules);
  if (seen)
    return chained && (says(rule, ActionKind::setvar) || std::ranges::any_of(rule.chain, [](const Rule& link) {
                         return says(link, ActionKind::setvar);
                       }));
  return changes(rule) || std::ranges::any_of(rule.chain, changes);
}

}  // namespace gatehouse::waf::fastpath
