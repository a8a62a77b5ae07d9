#include "waf/narrowed_rules.hpp"

#include <array>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <modsecurity/rule_with_actions.h>
#include <modsecurity/rules_set.h>

#include "waf/library.hpp"

namespace gatehouse::waf {
namespace {

using modsecurity::Rule;
using modsecurity::RulesSet;

constexpr std::array kPhases = {modsecurity::Phases::RequestHeadersPhase, modsecurity::Phases::RequestBodyPhase};
constexpr std::size_t kMostKept = 64;             // sets for later requests
constexpr std::size_t kNeeded = ~std::size_t{0};  // for every request
constexpr std::size_t kNever = kNeeded - 1;       // for none

struct Entry {
  std::shared_ptr<Rule> rule;
  std::size_t index = kNeeded;  ///< of Plan::rules, or one of these
};

/// What stands for rules that are left out: it fails, as they would.
std::shared_ptr<Rule> failing_rule(int phase) {
  RulesSet rules;
  const std::string text = "SecRule REMOTE_ADDR \"!@unconditionalMatch\" \"id:1,phase:" + std::to_string(phase) +
                           ",pass,nolog,noauditlog,t:none\"";
  if (rules.load(text.c_str()) < 0) throw std::runtime_error("libmodsecurity does not take " + text);
  return rules.m_rulesSetPhases.at(kPhases.at(static_cast<std::size_t>(phase - 1)))->m_rules.front();
}

}  // namespace

struct NarrowedRules::State {
  std::shared_ptr<RulesSet> rules;
  std::array<std::vector<Entry>, kPhases.size()> entries;
  std::array<std::shared_ptr<Rule>, kPhases.size()> failing;
  std::mutex mutex;
  std::vector<std::unique_ptr<RulesSet>> kept;

  std::unique_ptr<RulesSet> take() {
    {
      const std::scoped_lock lock(mutex);
      if (!kept.empty()) {
        auto set = std::move(kept.back());
        kept.pop_back();
        return set;
      }
    }
    auto set = std::make_unique<RulesSet>();
    if (set->merge(rules.get()) < 0) throw std::runtime_error(set->getParserError());
    unlimit_bodies(*set);
    return set;
  }

  void give_back(std::unique_ptr<RulesSet> set) {
    const std::scoped_lock lock(mutex);
    if (kept.size() < kMostKept) kept.push_back(std::move(set));
  }
};

NarrowedRules::NarrowedRules(std::shared_ptr<RulesSet> rules, const fastpath::Plan& plan)
    : state_(std::make_shared<State>()) {
  state_->rules = std::move(rules);
  std::map<std::int64_t, std::size_t> separable;
  for (const auto& rule : plan.skipped) separable.emplace(rule.id, kNever);
  for (const auto id : plan.constant_failures) separable.emplace(id, kNever);
  for (std::size_t i = 0; i < plan.rules.size(); ++i) {
    if (plan.rules[i].separable) separable.emplace(plan.rules[i].id, i);
  }
  for (std::size_t phase = 0; phase < kPhases.size(); ++phase) {
    state_->failing.at(phase) = failing_rule(static_cast<int>(phase) + 1);
    for (const auto& rule : state_->rules->m_rulesSetPhases.at(kPhases.at(phase))->m_rules) {
      Entry entry{rule, kNeeded};
      if (const auto* named = dynamic_cast<const modsecurity::RuleWithActions*>(rule.get())) {
        const auto found = separable.find(named->m_ruleId);
        if (found != separable.end()) entry.index = found->second;
      }
      state_->entries.at(phase).push_back(std::move(entry));
    }
  }
}

NarrowedRules::~NarrowedRules() = default;

std::shared_ptr<RulesSet> NarrowedRules::narrow(const fastpath::Candidates& candidates) const {
  auto set = state_->take();
  for (std::size_t phase = 0; phase < kPhases.size(); ++phase) {
    auto& out = set->m_rulesSetPhases.at(kPhases.at(phase))->m_rules;
    out.clear();
    bool left_out = false;
    for (const Entry& entry : state_->entries.at(phase)) {
      if (entry.index == kNever || (entry.index != kNeeded && !candidates[entry.index])) {
        left_out = true;
        continue;
      }
      if (std::exchange(left_out, false)) out.push_back(state_->failing.at(phase));
      out.push_back(entry.rule);
    }
    if (left_out) out.push_back(state_->failing.at(phase));
  }
  return {set.release(), [state = state_](RulesSet* used) { state->give_back(std::unique_ptr<RulesSet>(used)); }};
}

}  // namespace gatehouse::waf
