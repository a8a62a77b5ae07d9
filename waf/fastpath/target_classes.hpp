// Which checks a value must pass, by the variable and the name it came under.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "waf/fastpath/pattern_set.hpp"
#include "waf/fastpath/rule_program.hpp"

namespace gatehouse::waf::fastpath {

/// Index into RuleProgram::rules().
using RuleIndex = std::uint32_t;

/// Texts of a value that one pattern set is searched in: those at the ends of these chains, equal texts once.
struct ScanGroup {
  std::size_t set = 0;  ///< index into TargetClasses::sets()
  std::vector<ChainTree::Node> nodes;
  ByteClasses blockers{};  ///< of all nodes: a value with none of them has one text
  std::vector<std::pair<RuleIndex, ChainTree::Node>> multi_match;  ///< rules that look at every intermediate text
};

/// A condition that is asked of each value by itself: libinjection, byte ranges.
struct ValueCheck {
  RuleIndex rule = 0;
  const CompiledLink* link = nullptr;
};

/// The checks that hold for values of one variable, or of one name in it.
struct TargetClass {
  std::uint32_t id = 0;
  std::vector<ScanGroup> groups;
  std::vector<ValueCheck> checks;
  std::vector<bool> rules;  ///< by RuleIndex: whether the rule looks at these values at all

  [[nodiscard]] bool empty() const noexcept { return groups.empty() && checks.empty(); }
};

/// Sorts a program's rules: those found by scanning values, those asked rule by rule.
///
/// Immutable, shared; borrows the program. A rule is found by scanning when its first condition asks each value for
/// some text; then a value that no set and no check reports proves that none of its rules matches.
class TargetClasses {
 public:
  explicit TargetClasses(const RuleProgram& program);

  /// The class for a value of `kind` named `name` (any case).
  [[nodiscard]] const TargetClass& of(VariableKind kind, std::string_view name) const;
  /// Variables with a class of their own.
  [[nodiscard]] const std::vector<VariableKind>& kinds() const noexcept { return kinds_; }
  [[nodiscard]] const std::vector<PatternSet>& sets() const noexcept { return sets_; }
  /// Rules that are asked one by one, of phases 1 and 2, and of 3 to 5.
  [[nodiscard]] const std::vector<RuleIndex>& direct_request() const noexcept { return direct_request_; }
  [[nodiscard]] const std::vector<RuleIndex>& direct_response() const noexcept { return direct_response_; }

 private:
  struct Named {
    std::string name;  ///< lower case
    std::size_t index = 0;
  };
  struct ByKind {
    std::size_t whole = 0;
    std::vector<Named> named;
  };

  [[nodiscard]] bool scannable(const CompiledRule& rule) const;
  void add_sets(const RuleProgram& program);

  std::vector<VariableKind> kinds_;
  std::vector<TargetClass> classes_;
  std::array<ByKind, variable_kind_count> by_kind_{};
  std::vector<PatternSet> sets_;
  std::vector<RuleIndex> scanned_;
  std::vector<RuleIndex> direct_request_;
  std::vector<RuleIndex> direct_response_;
};

}  // namespace gatehouse::waf::fastpath
