// Rules that are asked one by one, joined where little decides them, so that the answer can be remembered.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "waf/fastpath/request_values.hpp"
#include "waf/fastpath/rule_evaluation.hpp"
#include "waf/fastpath/rule_program.hpp"
#include "waf/fastpath/scratch.hpp"
#include "waf/fastpath/target_classes.hpp"

namespace gatehouse::waf::fastpath {

/// Something that a rule looks at and that is cheap to write down.
struct RuleInput {
  VariableKind kind{};
  bool whole = true;     ///< of a collection: every member; false: those named `name`
  bool counted = false;  ///< of a collection: only how many there are
  std::string name;      ///< lower case

  friend auto operator<=>(const RuleInput&, const RuleInput&) = default;
};

/// Rules whose outcome is a function of the same inputs.
struct JointRules {
  bool varies = false;  ///< the inputs are others in nearly every request
  std::vector<RuleInput> inputs;
  std::vector<RuleIndex> rules;

  /// The inputs as one text, in `scratch`: equal texts, equal outcomes. Nothing if it got longer than `most` bytes.
  /// `response` is null while the request is looked at.
  [[nodiscard]] std::optional<std::string_view> key(const RequestValues& request, const ResponseValues* response,
                                                    std::size_t most, Scratch& scratch) const;
};

/// What a rule's outcome up to its alarm link is a function of, with what producers looked at before it; nothing if that is
/// more than a text can say shortly: collections of any size, names by expression.
[[nodiscard]] std::optional<std::vector<RuleInput>> inputs_of(const RuleProgram& program, const CompiledRule& rule);

/// The rules that no scan finds, sorted by what they look at and when that is known.
///
/// Method, protocol, counts and single header fields make one group, since browsers send few combinations of them; a line
/// of the request, part headers and the response's body make groups of their own. A rule of the response that looks at
/// nothing of it is asked with the request. Immutable, shared.
class JointRuleGroups {
 public:
  JointRuleGroups(const RuleProgram& program, const TargetClasses& classes);

  struct Phases {
    std::vector<JointRules> groups;
    std::vector<RuleIndex> others;  ///< look at more than a text can say shortly
  };
  [[nodiscard]] const Phases& request() const noexcept { return request_; }
  [[nodiscard]] const Phases& response() const noexcept { return response_; }

 private:
  Phases request_;
  Phases response_;
};

}  // namespace gatehouse::waf::fastpath
