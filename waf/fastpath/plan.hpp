// What is left of a rule set once everything constant is folded: the checks that prove a request clean. Plain data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "waf/fastpath/ir.hpp"

namespace gatehouse::waf::fastpath {

/// A literal, or a macro %{kind} / %{kind.member} whose value is known only at run time.
struct TextPiece {
  bool is_macro = false;
  std::string text;  ///< the literal, or the macro's member name ("" for a variable without members)
  VariableKind kind{};
  bool number = false;  ///< macro: expands to an integer or to nothing, whatever the request

  friend bool operator==(const TextPiece&, const TextPiece&) = default;
};
/// A text put together at run time; no piece is a macro where everything was constant.
using TextTemplate = std::vector<TextPiece>;

/// `setvar:tx.name=value`, as far as later links and rules can see it.
struct TxWrite {
  TextTemplate name;
  TextTemplate value;
  bool known = true;  ///< false: the value is not modelled (sums of what is only known at run time)
  /// Not `value`: each match adds this to the member, which does not exist before its rule runs (a counter for each name).
  std::optional<std::int64_t> step;
};

/// A value that a TX target has for every request.
struct ConstantValue {
  std::string key;
  std::string value;

  friend bool operator==(const ConstantValue&, const ConstantValue&) = default;
};

/// One condition of a rule: true if the operator holds for one of the values.
struct Link {
  std::vector<Variable> targets;     ///< none is excluded or a constant TX
  std::vector<Variable> exclusions;  ///< names the targets do not look at
  std::vector<ConstantValue> constants;
  std::vector<Transformation> transformations;
  Operator op;
  TextTemplate parameter;  ///< op.parameter with the constants put in
  bool multi_match = false;
  bool capture = false;
  std::vector<TxWrite> writes;
  std::vector<std::uint32_t> producers;     ///< of Plan::producers: rules that may write TX members this link looks at
  std::vector<std::string> unknown_before;  ///< TX members (lower case) that hold anything unless the chain wrote them
  bool always = false;                      ///< proven to hold for every request
  std::string opaque;                       ///< not empty: why it must be taken to hold
};

/// A rule that can still matter. The request is not clean if links [0, alarm_link] all hold.
struct LiveRule {
  std::int64_t id = 0;
  int phase = 2;
  Origin origin;
  std::vector<Link> links;
  std::size_t alarm_link = 0;
  bool may_not_run = false;         ///< an earlier rule may remove it or end its phase
  bool separable = false;           ///< if its first condition fails, it may be left out: see find_separable()
  bool steers = false;              ///< its match may change which rules run or how the body is parsed
  bool stale_matched_vars = false;  ///< MATCHED_VARS may hold values of earlier rules when this one starts
};

/// Which parser a rule of phase 1 chooses for the body (ctl:requestBodyProcessor).
enum class BodyProcessor : std::uint8_t { urlencoded, json, xml };

/// A rule whose match decides how the body is parsed; evaluated before the body is.
struct BodyProcessorRule {
  LiveRule rule;
  BodyProcessor processor{};
};

enum class RuleClass : std::uint8_t {
  folded,   ///< decided while loading: never reached, never true, or true with effects that are constants
  benign,   ///< may match; nothing it does can be seen
  alarm,    ///< a match must be seen by the library
  refused,  ///< a condition is not understood: it is taken to hold
};

/// How one rule was classified, for `--explain-waf`.
struct Verdict {
  std::int64_t id = 0;
  int phase = 0;
  Origin origin;
  RuleClass rule_class{};
  std::string why;
};

/// The checks of one rule set under one overlay. Immutable, shared.
struct Plan {
  std::vector<LiveRule> rules;      ///< in program order: phase, then file order
  std::vector<LiveRule> producers;  ///< rules without visible effect that write TX members which `rules` look at
  std::vector<BodyProcessorRule> body_processors;
  std::vector<Verdict> verdicts;
  std::vector<std::int64_t>
      constant_failures;  ///< rules whose first condition fails for every request, whatever others did
  /// Rules that another one, which is true for every request, skips; find_separable() leaves those where it always does.
  struct Skipped {
    std::int64_t id = 0;
    std::int64_t by = 0;
  };
  std::vector<Skipped> skipped;
  /// A rule that holds for every request, whatever others did, and does nothing but write these TX members and skip to a marker.
  struct Constant {
    std::int64_t id = 0;
    std::vector<std::pair<std::string, std::string>> writes;  ///< names and values, in the rule's order
    std::string skips_to;                                     ///< empty: nowhere
  };
  std::vector<Constant> constants;
  std::map<std::int64_t, std::vector<std::string>> jumps;  ///< markers that a match of the rule skips to
  std::vector<std::int64_t> observers;  ///< rules that may see what an earlier one left in MATCHED_VARS and its like
  /// Rules with a condition on MATCHED_VAR or MATCHED_VAR_NAME: their messages tell the places of all matches since the request began,
  /// because the library's AnchoredVariable keeps each.
  std::vector<std::int64_t> recallers;
  std::string not_narrowable;  ///< not empty: no rule may be left out of a request that is not clean, and why
  std::string refusal;         ///< not empty: no request can be proven clean, and why
};

}  // namespace gatehouse::waf::fastpath
