// Which checks a value must pass, by the variable and the name it came under.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "waf/fastpath/pattern_set.hpp"
#include "waf/fastpath/pcre_syntax.hpp"
#include "waf/fastpath/request_values.hpp"
#include "waf/fastpath/rule_program.hpp"

namespace gatehouse::waf::fastpath {

/// Index into RuleProgram::rules().
using RuleIndex = std::uint32_t;

/// Variables that mostly the same rules look at share their sets: building one takes tens of milliseconds.
enum class ValueFamily : std::uint8_t { arguments, headers, lines, request_body, response_body, response_headers };

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

  /// Values that the same rules look at, but for those that name one of them. ARGS_GET and ARGS_POST hold members of ARGS:
  /// these are looked at once, for the rules of both.
  struct Source {
    VariableKind kind{};
    ArgumentPart part = ArgumentPart::all;  ///< of args and args_names
    std::size_t whole = 0;                  ///< class of values without a name of their own
    struct Named {
      std::string name;  ///< lower case
      std::size_t index = 0;
    };
    std::vector<Named> named;
  };
  [[nodiscard]] const std::vector<Source>& sources() const noexcept { return sources_; }
  /// The class for a value of the source, named `name` (any case).
  [[nodiscard]] const TargetClass& of(const Source& source, std::string_view name) const;
  [[nodiscard]] const std::vector<PatternSet>& sets() const noexcept { return sets_; }
  /// Rules that are asked one by one, of phases 1 and 2, and of 3 to 5.
  [[nodiscard]] const std::vector<RuleIndex>& direct_request() const noexcept { return direct_request_; }
  [[nodiscard]] const std::vector<RuleIndex>& direct_response() const noexcept { return direct_response_; }

 private:
  /// What a rule's first condition searches for, and the text it searches.
  struct Search {
    std::string re2;
    std::optional<pcre::Node> tree;
    ChainTree::Node node = ChainTree::root;
  };
  /// A rule that is found by scanning; without a search it is asked of each value.
  struct Scanned {
    RuleIndex rule = 0;
    const CompiledLink* link = nullptr;
    std::optional<Search> search;
    std::map<ValueFamily, std::size_t> sets;  ///< of its pattern, by the family of the values
  };

  [[nodiscard]] static bool scannable(const CompiledRule& rule);
  [[nodiscard]] static std::optional<Search> search_of(const CompiledLink& link, const ChainTree& chains);
  void add_to_sets(Scanned& scanned, const ChainTree& chains,
                   std::map<std::pair<ValueFamily, ChainTree::Node>, std::size_t>& index_of);
  void add_source(Source source, const std::vector<VariableKind>& looked_at_as, const std::vector<Scanned>& scanned,
                  const RuleProgram& program);
  [[nodiscard]] std::size_t add_class(const std::vector<VariableKind>& kinds, std::string_view name,
                                      const std::vector<Scanned>& scanned, const RuleProgram& program);

  std::vector<Source> sources_;
  std::vector<TargetClass> classes_;
  std::vector<PatternSet> sets_;
  std::vector<RuleIndex> direct_request_;
  std::vector<RuleIndex> direct_response_;
};

}  // namespace gatehouse::waf::fastpath
