#include "waf/narrowed_rules.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <modsecurity/rule_marker.h>
#include <modsecurity/rule_with_actions.h>
#include <modsecurity/rules_set.h>
#include <modsecurity/transaction.h>

#include "waf/library.hpp"

namespace gatehouse::waf {
namespace {

using modsecurity::Rule;
using modsecurity::RulesSet;
using modsecurity::Transaction;

constexpr std::array kPhases = {modsecurity::Phases::RequestHeadersPhase, modsecurity::Phases::RequestBodyPhase};
constexpr std::size_t kMostKept = 64;  // sets for later requests

/// What the library evaluates in place of rules whose outcome is known.
class StandIn : public Rule {
 public:
  StandIn() : Rule(std::make_unique<std::string>("none"), 0) {}
  bool evaluate(Transaction* transaction) final {
    act(*transaction);
    return true;
  }
  bool evaluate(Transaction* transaction, std::shared_ptr<modsecurity::RuleMessage>) final {
    return evaluate(transaction);
  }

 private:
  virtual void act(Transaction& transaction) const = 0;
};

/// Stands for rules that fail: the matched variables are empty behind it, as behind them.
class Failing final : public StandIn {
  void act(Transaction& transaction) const override {
    transaction.m_variableMatchedVar.unset();
    transaction.m_variableMatchedVars.unset();
    transaction.m_variableMatchedVarName.unset();
    transaction.m_variableMatchedVarsNames.unset();
  }
};

/// Stands for rules that hold for every request and write constants.
class Writing final : public StandIn {
 public:
  explicit Writing(std::vector<std::pair<std::string, std::string>> writes) : writes_(std::move(writes)) {}

 private:
  void act(Transaction& transaction) const override {
    auto* const tx = transaction.m_collections.m_tx_collection;
    for (const auto& [name, value] : writes_) tx->storeOrUpdateFirst(name, value);
  }

  std::vector<std::pair<std::string, std::string>> writes_;
};

enum class Fate : std::uint8_t {
  runs,       ///< for every request
  separable,  ///< if it is among the candidates
  fails,      ///< for every request
  skipped,    ///< never reached
  constant,   ///< holds for every request: what it does is known
  marker,
};

struct Entry {
  std::shared_ptr<Rule> rule;
  Fate fate = Fate::runs;
  std::size_t index = 0;              ///< separable: of Plan::rules
  bool observes = false;              ///< sees what earlier rules left in the matched variables
  bool recalls = false;               ///< tells the places of all earlier matches
  std::string marker;                 ///< marker: its name
  std::vector<std::string> jumps_to;  ///< markers that its match skips to
  fastpath::Plan::Constant constant;  ///< constant: what it does
};

/// One phase's rules in the making.
class Phase {
 public:
  explicit Phase(std::vector<std::shared_ptr<Rule>>& out, const std::shared_ptr<Rule>& failing)
      : out_(out), failing_(failing) {
    out_.clear();
  }

  void left_out() noexcept { left_out_ = true; }
  void forget_left_out() noexcept { left_out_ = false; }
  void add(const std::shared_ptr<Rule>& rule) {
    settle();
    out_.push_back(rule);
  }
  /// One failure stands for all that were left out since the last rule.
  void settle() {
    if (std::exchange(left_out_, false)) out_.push_back(failing_);
  }

 private:
  std::vector<std::shared_ptr<Rule>>& out_;
  const std::shared_ptr<Rule>& failing_;
  bool left_out_ = false;
};

[[nodiscard]] bool is_left_out(const Entry& entry, const fastpath::Candidates& candidates) {
  return entry.fate == Fate::fails || (entry.fate == Fate::separable && !candidates[entry.index]);
}

/// Turns constants whose skipping still matters into rules that run: where something they skip is not left out by itself.
void keep_skips_that_matter(std::vector<Entry>& entries) {
  for (std::size_t place = entries.size(); place-- > 0;) {
    Entry& entry = entries[place];
    if (entry.fate != Fate::constant || entry.constant.skips_to.empty()) continue;
    const auto behind = entries.begin() + static_cast<std::ptrdiff_t>(place) + 1;
    const auto end = std::find_if(behind, entries.end(), [&](const Entry& other) {
      return other.fate == Fate::marker && other.marker == entry.constant.skips_to;
    });
    const bool all_gone = end != entries.end() && std::all_of(behind, end, [](const Entry& other) {
                            return other.fate == Fate::skipped || other.fate == Fate::marker;
                          });
    if (!all_gone) entry.fate = Fate::runs;
  }
}

/// The entries with each row of constants put into one rule that writes what they do; no rule, if that is nothing.
[[nodiscard]] std::vector<Entry> with_writing_rules(const std::vector<Entry>& entries) {
  std::vector<Entry> result;
  std::vector<std::pair<std::string, std::string>> writes;
  const auto end_row = [&] {
    if (!writes.empty()) result.back().rule = std::make_shared<Writing>(std::exchange(writes, {}));
  };
  for (const Entry& entry : entries) {
    if (entry.fate == Fate::skipped) continue;
    const bool in_row = !result.empty() && result.back().fate == Fate::constant && entry.fate == Fate::constant;
    if (!in_row) {
      end_row();
      result.push_back(entry);
      if (entry.fate == Fate::constant) result.back().rule = nullptr;
    }
    writes.insert(writes.end(), entry.constant.writes.begin(), entry.constant.writes.end());
  }
  end_row();
  return result;
}

}  // namespace

struct NarrowedRules::State {
  std::shared_ptr<RulesSet> rules;
  std::array<std::vector<Entry>, kPhases.size()> entries;
  std::array<std::vector<Entry>, kPhases.size()> reduced;
  std::shared_ptr<Rule> failing = std::make_shared<Failing>();
  bool observed_later = false;  ///< by a rule of a later phase
  bool recalled_later = false;
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

  [[nodiscard]] std::vector<std::shared_ptr<Rule>>& rules_of(RulesSet& set, std::size_t phase) const {
    return set.m_rulesSetPhases.at(kPhases.at(phase))->m_rules;
  }

  void fill(RulesSet& set, const fastpath::Candidates& candidates) const {
    for (std::size_t number = 0; number < kPhases.size(); ++number) {
      Phase phase(rules_of(set, number), failing);
      for (const Entry& entry : entries.at(number)) {
        if (is_left_out(entry, candidates)) {
          phase.left_out();
        } else if (entry.fate != Fate::skipped) {
          phase.add(entry.rule);
        }
      }
      phase.settle();
    }
  }

  /// The same with constants written at once. Returns false where a rule would see that these did not match one by one.
  [[nodiscard]] bool fill_reduced(RulesSet& set, const fastpath::Candidates& candidates) const {
    bool left_out = false;                  // a match that is known
    bool otherwise = false;                 // the matched variables may hold something else than they would
    std::vector<const std::string*> jumps;  // markers that a rule may have skipped to
    for (std::size_t number = 0; number < kPhases.size(); ++number) {
      Phase phase(rules_of(set, number), failing);
      for (const Entry& entry : reduced.at(number)) {
        if (is_left_out(entry, candidates)) {
          phase.left_out();
          if (jumps.empty()) otherwise = false;
        } else if (entry.fate == Fate::constant) {
          phase.forget_left_out();
          if (entry.rule) phase.add(entry.rule);
          left_out = otherwise = true;
        } else if (entry.fate == Fate::marker) {
          const auto named = [&](const std::string* jump) { return *jump == entry.marker; };
          if (std::erase_if(jumps, named) > 0) phase.add(entry.rule);
        } else {
          if ((entry.observes && otherwise) || (entry.recalls && left_out)) return false;
          phase.add(entry.rule);
          for (const std::string& marker : entry.jumps_to) jumps.push_back(&marker);
        }
      }
      phase.settle();
    }
    return !(otherwise && observed_later) && !(left_out && recalled_later);
  }
};

NarrowedRules::NarrowedRules(std::shared_ptr<RulesSet> rules, const fastpath::Plan& plan)
    : state_(std::make_shared<State>()) {
  state_->rules = std::move(rules);
  struct Known {
    Fate fate = Fate::runs;
    std::size_t index = 0;
    const fastpath::Plan::Constant* constant = nullptr;
  };
  std::map<std::int64_t, Known> known;
  for (const auto& rule : plan.skipped) known.emplace(rule.id, Known{Fate::skipped});
  for (const auto id : plan.constant_failures) known.emplace(id, Known{Fate::fails});
  for (std::size_t i = 0; i < plan.rules.size(); ++i) {
    if (plan.rules[i].separable) known.emplace(plan.rules[i].id, Known{Fate::separable, i});
  }
  for (const auto& rule : plan.constants) known.emplace(rule.id, Known{Fate::constant, 0, &rule});
  const std::set<std::int64_t> observers(plan.observers.begin(), plan.observers.end());
  const std::set<std::int64_t> recallers(plan.recallers.begin(), plan.recallers.end());
  for (std::size_t phase = 0; phase < kPhases.size(); ++phase) {
    auto& entries = state_->entries.at(phase);
    for (const auto& rule : state_->rules_of(*state_->rules, phase)) {
      Entry entry;
      if (auto* marker = dynamic_cast<modsecurity::RuleMarker*>(rule.get())) {
        entry.fate = Fate::marker;
        entry.marker = *marker->getName();
      } else if (const auto* named = dynamic_cast<const modsecurity::RuleWithActions*>(rule.get())) {
        const auto found = known.find(named->m_ruleId);
        if (found != known.end()) {
          entry.fate = found->second.fate;
          entry.index = found->second.index;
          if (found->second.constant != nullptr) entry.constant = *found->second.constant;
        }
        entry.observes = observers.contains(named->m_ruleId);
        entry.recalls = recallers.contains(named->m_ruleId);
        const auto jumps = plan.jumps.find(named->m_ruleId);
        if (jumps != plan.jumps.end()) entry.jumps_to = jumps->second;
      }
      entry.rule = rule;
      entries.push_back(std::move(entry));
    }
    keep_skips_that_matter(entries);
    state_->reduced.at(phase) = with_writing_rules(entries);
  }
  for (const auto& verdict : plan.verdicts) {
    if (verdict.phase <= 2) continue;
    state_->observed_later = state_->observed_later || observers.contains(verdict.id);
    state_->recalled_later = state_->recalled_later || recallers.contains(verdict.id);
  }
}

NarrowedRules::~NarrowedRules() = default;

std::shared_ptr<RulesSet> NarrowedRules::narrow(const fastpath::Candidates& candidates) const {
  auto set = state_->take();
  if (!state_->fill_reduced(*set, candidates)) state_->fill(*set, candidates);
  return {set.release(), [state = state_](RulesSet* used) { state->give_back(std::unique_ptr<RulesSet>(used)); }};
}

}  // namespace gatehouse::waf
