// Abstract interpretation of a rule set in program order: what is the same for every request is decided while loading.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "waf/fastpath/plan.hpp"

namespace gatehouse::waf::fastpath {

/// What is taken from the loaded rule set and from a route's overlay. Folding again with other options is cheap: the
/// rules are only read.
struct FoldOptions {
  /// Rules that are never run (SecRuleRemoveById, ByTag, ByMsg; an overlay's removals). Empty: none.
  std::function<bool(const Rule&)> removed;
  /// Rules of which it is not known whether they run (an overlay's removals, which the library applies by transaction).
  /// Empty: none. A plan made with this is right for every choice among them.
  std::function<bool(const Rule&)> possibly_removed;
  /// TX members that hold this value whatever the rules write (an overlay's paranoia level and thresholds).
  std::vector<std::pair<std::string, std::string>> pinned;
};

/// Folds constants, follows skips, classifies every rule and returns what must be checked at run time.
///
/// Sound by construction: what is not known is taken to be possible. A removal by ctl that depends on the request is
/// ignored (more is checked), and whatever it could have changed is no longer taken for constant.
[[nodiscard]] Plan fold(const RuleList& rules, const FoldOptions& options);

/// Whether a match that the library need not see changes what other rules do: to take such a rule out is another plan. Taking
/// out any other rule leaves a plan right, as long as it was made with these as possibly removed.
[[nodiscard]] bool steers(const Rule& rule, const RuleList& rules);

}  // namespace gatehouse::waf::fastpath
