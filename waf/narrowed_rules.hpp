// The loaded rules without those that are known to fail for a request: the library's verdict at a third of its cost.
#pragma once

#include <memory>

#include "waf/fastpath/fast_path.hpp"

namespace modsecurity {
class RulesSet;
}

namespace gatehouse::waf {

/// Makes rule sets for single requests out of one loaded rule set and its plan. Immutable but for the sets it keeps for later
/// requests; any thread.
class NarrowedRules {
 public:
  /// Loading time. `plan` is of `rules`; its rules are found among the loaded ones by id.
  NarrowedRules(std::shared_ptr<modsecurity::RulesSet> rules, const fastpath::Plan& plan);
  ~NarrowedRules();
  NarrowedRules(const NarrowedRules&) = delete;
  NarrowedRules& operator=(const NarrowedRules&) = delete;

  /// The rules that decide a request of which only `candidates` of the separable rules may match: with these, and with everything
  /// that is not separable, in their order. Where others are left out, one rule that empties MATCHED_VARS stands for them, as their
  /// failure would. Rules that hold for every request and only write constants to TX or skip what is left out anyway are replaced by
  /// one that writes them, unless a rule that is kept would see the difference. The set goes back for later requests when it is
  /// let go of.
  [[nodiscard]] std::shared_ptr<modsecurity::RulesSet> narrow(const fastpath::Candidates& candidates) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// What a check by the fast path leaves for the library.
struct Narrowing {
  std::shared_ptr<const NarrowedRules> rules;
  fastpath::Candidates candidates;
};

}  // namespace gatehouse::waf
