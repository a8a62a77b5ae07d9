// From a loaded rule set to its fast path: read, compare, fold, compile; or why there is none.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

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

/// The same for a compiled rule set, whose texts and body limit are its own. The set must not be in use yet.
[[nodiscard]] UnderstoodRules understand(const waf::RuleSet& set, modsecurity::ModSecurity& engine);

/// Why a fast path was made or not.
struct BuiltFastPath {
  std::shared_ptr<const FastPath> fast_path;  ///< null if refused
  std::shared_ptr<const Plan> plan;           ///< also when refused, as far as it was made
  std::string refusal;
};

/// Folds `understood` under `overlay` (null: as the rules are) and compiles it. Targets that an overlay removes are still
/// looked at: more is checked than need be.
[[nodiscard]] BuiltFastPath build(const UnderstoodRules& understood, const Overlay* overlay = nullptr);

}  // namespace gatehouse::waf::fastpath
