// A plan's rules with their operators, expressions and phrase lists ready to be asked.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "waf/fastpath/exact_pattern.hpp"
#include "waf/fastpath/operators.hpp"
#include "waf/fastpath/phrase_list.hpp"
#include "waf/fastpath/plan.hpp"
#include "waf/fastpath/transformations.hpp"

namespace gatehouse::waf::fastpath {

/// A target or exclusion with its expression compiled.
struct CompiledTarget {
  VariableKind kind{};
  SelectorKind selector = SelectorKind::whole;
  bool counted = false;
  std::string name;                        ///< exact: lower case
  std::optional<ExactPattern> expression;  ///< regex: names compare without case
  std::optional<std::string> literal;      ///< regex: the text it searches for, if it is only that; lower case

  /// True if the target chooses a member of this name (of its own kind).
  [[nodiscard]] bool chooses(std::string_view member, ExactScratch& scratch) const;
  /// False only if it is proven that no member is chosen whose name begins with `beginning`; what follows is anything, or
  /// an integer or nothing if `number_follows`.
  [[nodiscard]] bool may_choose(std::string_view beginning, bool number_follows) const;
};

/// One condition, ready.
struct CompiledLink {
  const Link* link = nullptr;  ///< of the plan
  std::vector<CompiledTarget> targets;
  std::vector<CompiledTarget> exclusions;
  std::optional<ExactOperator> op;  ///< absent for pm and pmFromFile
  PhraseList phrases;               ///< of pm and pmFromFile
  ChainTree::Node node = ChainTree::root;
  std::string opaque;  ///< not empty: why the condition must be taken to hold
};

struct CompiledRule {
  const LiveRule* live = nullptr;
  std::vector<CompiledLink> links;
};

/// Every rule of a plan, compiled. Immutable, shared; owns the plan.
class RuleProgram {
 public:
  /// `plan` must have no refusal. Reads the files of @pmFromFile. Loading time only.
  explicit RuleProgram(std::shared_ptr<const Plan> plan);

  /// Not empty: a rule cannot be disproved for any request, and why.
  [[nodiscard]] const std::string& refusal() const noexcept { return refusal_; }
  [[nodiscard]] const Plan& plan() const noexcept { return *plan_; }
  [[nodiscard]] const std::vector<CompiledRule>& rules() const noexcept { return rules_; }
  [[nodiscard]] const std::vector<CompiledRule>& producers() const noexcept { return producers_; }
  [[nodiscard]] const std::vector<CompiledRule>& body_processors() const noexcept { return body_processors_; }
  [[nodiscard]] const ChainTree& chains() const noexcept { return chains_; }

 private:
  [[nodiscard]] CompiledRule compile(const LiveRule& rule);
  [[nodiscard]] CompiledLink compile(const Link& link, const LiveRule& rule);
  void compile_operator(const Link& link, const LiveRule& rule, CompiledLink& compiled);

  std::shared_ptr<const Plan> plan_;
  std::string refusal_;
  ChainTree chains_;
  std::vector<CompiledRule> rules_;
  std::vector<CompiledRule> producers_;
  std::vector<CompiledRule> body_processors_;
};

/// True when the library computes the variable from what the response brings.
[[nodiscard]] bool of_response(VariableKind kind) noexcept;

/// True when the variable changes while the body is parsed, so that phase 1 sees another value than phase 2.
[[nodiscard]] bool depends_on_body(VariableKind kind) noexcept;

/// True when a request that was parsed natively leaves the variable as it is at the start: only multipart and XML
/// bodies set it.
[[nodiscard]] bool unset_without_parts(VariableKind kind) noexcept;

}  // namespace gatehouse::waf::fastpath
