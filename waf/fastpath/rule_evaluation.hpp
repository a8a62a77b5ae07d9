// Whole rules over the values of one request: chains, captures, TX, MATCHED_VARS.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "waf/fastpath/request_values.hpp"
#include "waf/fastpath/rule_program.hpp"
#include "waf/fastpath/scratch.hpp"
#include "waf/fastpath/transformations.hpp"
#include "waf/transaction_input.hpp"

namespace gatehouse::waf::fastpath {

/// The response's variables, as far as rules may look at them natively.
struct ResponseValues {
  std::string_view status;
  std::string_view body;
  std::vector<Member> headers;
};

/// Evaluates rules of one program for one request after another. One per thread; borrows everything it is given.
class RuleEvaluation {
 public:
  RuleEvaluation(const RuleProgram& program, UnicodeMap map, Scratch& scratch);

  /// Turns to a message; `response` is null while the request is looked at.
  void begin(const RequestValues& request, const ResponseValues* response);

  /// False only if it is proven that the library does not find all links up to the alarm link true.
  [[nodiscard]] bool may_match(const CompiledRule& rule);
  /// The same for the first link alone.
  [[nodiscard]] bool head_may_hold(const CompiledRule& rule);

  [[nodiscard]] ExactScratch& exact_scratch() noexcept { return exact_; }

 private:
  /// A TX member that a match may have written.
  struct Written {
    std::string_view name;
    std::string_view value;
    bool name_known = true;  ///< false: `name` is its beginning
    bool value_known = true;
    bool number_follows = false;  ///< the name's unknown rest is an integer or nothing
  };
  /// A value that made a link hold.
  struct Matched {
    VariableKind kind{};
    std::string_view name;
    std::string_view value;   ///< after transformations
    bool name_known = true;   ///< false: the library's name for it is not modelled
    bool value_known = true;  ///< false: which values matched is not known
  };
  struct Value {
    VariableKind kind{};
    std::string_view name;
    std::string_view value;
    bool name_known = true;
  };

  [[nodiscard]] bool run_links(const CompiledRule& rule, std::size_t count, std::vector<Written>& writes);
  [[nodiscard]] bool link_holds(const CompiledRule& rule, const CompiledLink& link, bool need_all);
  /// The condition is not understood for this message: it holds, and what it writes is unknown. Returns true.
  bool take_to_hold(const CompiledLink& link);
  void produce(std::uint32_t producer);
  [[nodiscard]] bool look_at(const CompiledLink& link, const Value& value, bool need_all);
  [[nodiscard]] bool ask(const CompiledLink& link, const Value& value, std::string_view text);
  [[nodiscard]] bool look_at_target(const CompiledRule& rule, const CompiledLink& link, const CompiledTarget& target,
                                    bool need_all);
  [[nodiscard]] bool look_at_tx(const CompiledLink& link, const CompiledTarget& target, bool need_all);
  [[nodiscard]] bool look_at_matched(const CompiledRule& rule, const CompiledLink& link, const CompiledTarget& target,
                                     bool need_all);
  [[nodiscard]] bool count_members(const CompiledLink& link, const CompiledTarget& target);
  [[nodiscard]] bool count_tx(const CompiledLink& link, const CompiledTarget& target);
  [[nodiscard]] Written written_name(const TextTemplate& name, const Value* value, std::string_view transformed);
  [[nodiscard]] bool may_choose(const CompiledTarget& target, const Written& written);
  void write(const CompiledLink& link, const Value& value, std::string_view text);
  void add_step(std::int64_t step, Written& written);
  /// The template's text; false if it isn't known.
  [[nodiscard]] bool expand(const TextTemplate& text, const Value* value, std::string_view transformed,
                            std::string_view& result);
  [[nodiscard]] bool expand_macro(const TextPiece& piece, const Value* value, std::string_view transformed,
                                  std::string_view& result);
  template <class Each>
  [[nodiscard]] bool for_each_member(VariableKind kind, Each each) const;
  [[nodiscard]] std::string_view full_name(const Matched& matched);

  const RuleProgram* program_;
  Scratch* scratch_;
  ChainTexts texts_;
  ExactScratch exact_;
  const RequestValues* request_ = nullptr;
  const ResponseValues* response_ = nullptr;

  std::vector<Written> produced_;  // by producers, for the whole message
  std::vector<bool> producer_done_;
  std::vector<Written> chain_;    // by the links of the rule at hand
  std::vector<Matched> matched_;  // of the rule at hand
  std::vector<ExactPattern::Capture> captures_;
  std::vector<ExactPattern::Capture> value_captures_;
  std::vector<ChainTexts::TextId> intermediate_;
  std::string lowered_;         // of the text that phrases are looked for in
  std::string_view parameter_;  // expanded, of the link at hand
  bool parameter_varies_ = false;
};

}  // namespace gatehouse::waf::fastpath
