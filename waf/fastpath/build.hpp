// From a loaded rule set to its fast path: read, compare, fold, compile; or why there is none.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "waf/fastpath/cross_check.hpp"
#include "waf/fastpath/fast_path.hpp"
#include "waf/fastpath/fold.hpp"
#include "waf/fastpath/ir.hpp"
#include "waf/fastpath/seclang_reader.hpp"
#include "waf/overlay.hpp"
#include "waf/rule_set.hpp"

namespace gatehouse::waf::fastpath {

/// A rule set read and compared once; every overlay folds the same reading.
struct UnderstoodRules {
  RuleList rules;
  FastPathSettings settings;
  CrossCheck check;
  std::function<bool(const Rule&)> removed;  ///< SecRuleRemoveById, ByTag, ByMsg
  std::string refusal;                       ///< not empty: no fast path for this set, and why
};

/// Reads `sources` (program order) and compares them with `loaded`. Loading time, single-threaded: see cross_check().
[[nodiscard]] UnderstoodRules understand(std::span<const RuleSource> sources, modsecurity::RulesSet& loaded,
                                         modsecurity::ModSecurity& engine);

/// The same for a compiled rule set, whose texts and body limit are its own. Others may evaluate with it meanwhile.
[[nodiscard]] UnderstoodRules understand(const waf::RuleSet& set, modsecurity::ModSecurity& engine);

/// Why a fast path was made or not.
struct BuiltFastPath {
  std::shared_ptr<const FastPath> fast_path;  ///< null if refused
  std::shared_ptr<const Plan> plan;           ///< also when refused, as far as it was made
  std::string refusal;
};

/// How an overlay's removals enter a plan.
enum class Removals : std::uint8_t {
  exact,  ///< rules that are taken out are not checked: a plan for this overlay alone
  shared,  ///< they are checked still, unless others depend on them: one plan for all overlays that take out only content
};

/// What of an overlay the plan depends on. Overlays with equal folds share a fast path.
struct OverlayFold {
  std::vector<std::pair<std::string, std::string>> pinned;  ///< TX members, as FoldOptions::pinned
  std::optional<ByteCount> request_body_limit;
  std::set<std::int64_t> removed;   ///< rules that certainly do not run
  std::set<std::int64_t> possible;  ///< rules of which it is not known
  bool any_content = false;         ///< nor of any rule that no other depends on
  std::string refusal;              ///< not empty: no fast path under this overlay, and why

  friend auto operator<=>(const OverlayFold&, const OverlayFold&) = default;
};

/// Pure. `overlay` null: the rules as they are.
[[nodiscard]] OverlayFold fold_of(const UnderstoodRules& understood, const Overlay* overlay,
                                  Removals removals = Removals::exact);

/// Folds `understood` under an overlay and compiles it.
[[nodiscard]] BuiltFastPath build(const UnderstoodRules& understood, const OverlayFold& overlay);

/// The same; `overlay` null: as the rules are.
[[nodiscard]] BuiltFastPath build(const UnderstoodRules& understood, const Overlay* overlay = nullptr);

}  // namespace gatehouse::waf::fastpath
