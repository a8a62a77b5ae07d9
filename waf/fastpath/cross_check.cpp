#include "waf/fastpath/cross_check.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <modsecurity/debug_log.h>
#include <modsecurity/modsecurity.h>
#include <modsecurity/rule_marker.h>
#include <modsecurity/rule_unconditional.h>
#include <modsecurity/rule_with_operator.h>
#include <modsecurity/rules.h>
#include <modsecurity/rules_set.h>
#include <modsecurity/transaction.h>

#include "waf/fastpath/probe.hpp"
#include "waf/fastpath/seclang_lexer.hpp"

namespace gatehouse::waf::fastpath {
namespace {

/// SecLang phase -> index of the library's table.
constexpr std::array phase_index{modsecurity::ConnectionPhase,   modsecurity::RequestHeadersPhase,
                                 modsecurity::RequestBodyPhase,  modsecurity::ResponseHeadersPhase,
                                 modsecurity::ResponseBodyPhase, modsecurity::LoggingPhase};

/// Where the library's own name differs from the one in rules.
[[nodiscard]] std::string_view shown_name(VariableKind kind) {
  switch (kind) {
    case VariableKind::reqbody_processor_error_msg: return "PROCESSOR_ERROR_MSG";
    case VariableKind::status_line: return "STATUS";
    case VariableKind::unique_id: return "UNIQUEID";
    default: return name(kind);
  }
}

[[nodiscard]] std::string library_target_name(const Variable& variable) {
  const std::string collection(shown_name(variable.kind));
  switch (variable.selector) {
    case SelectorKind::whole: return collection;
    case SelectorKind::exact:
    case SelectorKind::xpath: return collection + ":" + variable.text;
    case SelectorKind::regex: return collection + ":regex(" + variable.text + ")";
    case SelectorKind::macro: return collection + ":dynamic";
  }
  return collection;
}

/// An exclusion that equals a target removes the target while parsing.
[[nodiscard]] std::string library_targets(const Rule& rule) {
  std::string text;
  for (const auto& variable : rule.variables) {
    if (variable.excluded) continue;
    const auto own = library_target_name(variable);
    const bool removed = std::ranges::any_of(rule.variables, [&](const Variable& other) {
      return other.excluded && equal_ignoring_case(library_target_name(other), own);
    });
    if (removed) continue;
    if (!text.empty()) text += '|';
    text += own;
  }
  return text;
}

/// The parameter as the library shows it: as it is, or the parts around the macros.
[[nodiscard]] std::string without_macros(std::string_view parameter) {
  std::string text;
  while (!parameter.empty()) {
    const auto macro = parameter.find("%{");
    text += parameter.substr(0, macro);
    if (macro == std::string_view::npos) break;
    const auto end = parameter.find('}', macro);
    if (end == std::string_view::npos) break;
    parameter.remove_prefix(end + 1);
  }
  return text;
}

/// Effects that reach beyond the probe transaction.
[[nodiscard]] bool may_run(const Rule& rule) {
  const bool actions = std::ranges::none_of(rule.actions, [](const Action& action) {
    return action.kind == ActionKind::exec || action.kind == ActionKind::setenv;
  });
  if (!actions) return false;
  if (!rule.op) return true;
  switch (rule.op->kind) {
    case OperatorKind::rbl:
    case OperatorKind::geo_lookup:
    case OperatorKind::gsb_lookup:
    case OperatorKind::inspect_file:
    case OperatorKind::fuzzy_hash: return false;
    default: return true;
  }
}

class Comparison {
 public:
  Comparison(modsecurity::RulesSet& loaded, modsecurity::ModSecurity& engine, CrossCheck& result)
      : loaded_(loaded), probe_(engine, loaded), result_(result) {}

  void phase(int phase, const std::vector<const Rule*>& ours) {
    auto* table = loaded_.m_rulesSetPhases[phase_index.at(static_cast<std::size_t>(phase))];
    const auto count = static_cast<std::size_t>(table->size());
    if (count != ours.size()) {
      return differ(ours.empty() ? Origin{} : ours.front()->origin, "phase " + std::to_string(phase) + " has " +
                                                                        std::to_string(count) + " rules, read were " +
                                                                        std::to_string(ours.size()));
    }
    for (std::size_t i = 0; i < count && !result_.mismatch; ++i) {
      compare(*ours[i], *table->at(static_cast<int>(i)));
    }
  }

 private:
  void differ(const Origin& where, std::string what) { result_.mismatch = Misread{where, std::move(what)}; }

  void compare(const Rule& ours, modsecurity::Rule& theirs) {
    // Not the line: the library's scanner loses count behind some continuations.
    if (*theirs.getFileName() != ours.origin.file)
      return differ(ours.origin, "the library has it in " + *theirs.getFileName());
    auto* marker = dynamic_cast<modsecurity::RuleMarker*>(&theirs);
    if ((marker != nullptr) != (ours.kind == RuleKind::marker)) return differ(ours.origin, "marker or not");
    if (marker != nullptr) {
      if (*marker->getName() != ours.marker) differ(ours.origin, "marker " + *marker->getName());
      return;
    }
    auto* with_actions = dynamic_cast<modsecurity::RuleWithActions*>(&theirs);
    if (with_actions == nullptr) return differ(ours.origin, "a rule of unknown kind");
    if (with_actions->m_ruleId != ours.id) return differ(ours.origin, "id " + std::to_string(with_actions->m_ruleId));
    if (ours.kind == RuleKind::action) {
      if (dynamic_cast<modsecurity::RuleUnconditional*>(&theirs) == nullptr) differ(ours.origin, "not a SecAction");
      return;
    }
    auto* link = with_actions;
    compare_link(ours, *link);
    for (const auto& child : ours.chain) {
      if (result_.mismatch) return;
      link = link->m_chainedRuleChild.get();
      if (link == nullptr) return differ(child.origin, "the chain is shorter");
      compare_link(child, *link);
    }
    if (!result_.mismatch && link->m_chainedRuleChild) differ(ours.origin, "the chain is longer");
  }

  void compare_link(const Rule& ours, modsecurity::RuleWithActions& theirs) {
    auto* rule = dynamic_cast<modsecurity::RuleWithOperator*>(&theirs);
    if (rule == nullptr) return differ(ours.origin, "not a SecRule");
    if (rule->getOperatorName() != library_name(ours.op->kind)) {
      return differ(ours.origin, "operator " + rule->getOperatorName());
    }
    const auto says = [&ours](ActionKind kind) {
      return std::ranges::any_of(ours.actions, [kind](const Action& action) { return action.kind == kind; });
    };
    if (theirs.hasCaptureAction() != ours.capture || theirs.hasMultimatch() != ours.multi_match ||
        theirs.isChained() != ours.chained || theirs.hasBlockAction() != says(ActionKind::block) ||
        theirs.hasMsg() != says(ActionKind::msg) || theirs.hasSeverity() != says(ActionKind::severity)) {
      return differ(ours.origin, "a flag");
    }
    if (!may_run(ours)) {
      ++result_.not_run;
      return;
    }
    compare_messages(ours, probe_.run(ours, *rule));
  }

  void compare_messages(const Rule& ours, const std::vector<std::string>& messages) {
    const std::string opening =
        "(Rule: " + std::to_string(ours.id) + ") Executing operator \"" + std::string(library_name(ours.op->kind));
    const auto first = std::ranges::find_if(messages, [&](const std::string& m) { return m.starts_with(opening); });
    if (first == messages.end()) return differ(ours.origin, "the probe did not run it");
    const std::string targets = " against " + library_targets(ours) + ".";
    auto rest = std::string_view(*first).substr(opening.size());
    if (rest.starts_with('"')) rest.remove_prefix(1);  // not written for operators without parameter
    const auto tail = rest.substr(rest.size() - std::min(rest.size(), targets.size()));
    if (!equal_ignoring_case(tail, targets)) return differ(ours.origin, "targets:" + std::string(rest));
    const auto parameter = rest.substr(0, rest.size() - targets.size());
    if (!parameter_equals(*ours.op, parameter)) return differ(ours.origin, "parameter:" + std::string(parameter));
    ++result_.compared;
    compare_steps(ours, first, messages);
  }

  static bool parameter_equals(const Operator& ours, std::string_view shown) {
    if (shown.empty()) return ours.parameter.empty();
    if (ours.has_macro) return shown.ends_with("\" Was: \"" + without_macros(ours.parameter) + "\"");
    return shown == " with param \"" + ours.parameter + "\"";
  }

  void compare_steps(const Rule& ours, std::vector<std::string>::const_iterator first,
                     const std::vector<std::string>& messages) {
    std::vector<std::string_view> steps;
    std::size_t values = 0;
    for (auto message = first + 1; message != messages.end(); ++message) {
      const std::string_view text = *message;
      if (text.starts_with(" T (")) {
        auto step = text.substr(text.find(") ") + 2);
        step = step.substr(0, step.find(": \""));
        steps.push_back(step.substr(std::min<std::size_t>(2, step.size())));  // behind "t:"
      } else if (text.starts_with("Target value: ")) {
        ++values;
        break;  // the first value shows every step
      } else if (text.starts_with("Executing chained") || text.find(") Executing operator") != std::string_view::npos) {
        break;
      }
    }
    if (values == 0) {
      ++result_.without_values;
      return;
    }
    const bool equal =
        std::ranges::equal(steps, ours.transformations, [](std::string_view theirs, Transformation step) {
          std::string spelling(theirs);
          if (equal_ignoring_case(spelling.substr(0, 9), "normalize")) spelling[7] = 's';
          return equal_ignoring_case(spelling, name(step));
        });
    if (!equal) differ(ours.origin, "transformations");
  }

  modsecurity::RulesSet& loaded_;
  Probe probe_;
  CrossCheck& result_;
};

}  // namespace

CrossCheck cross_check(const RuleList& rules, modsecurity::RulesSet& loaded, modsecurity::ModSecurity& engine) {
  CrossCheck result;
  Comparison comparison(loaded, engine, result);
  for (int phase = 0; phase <= 5 && !result.mismatch; ++phase) {
    std::vector<const Rule*> ours;
    for (const auto& rule : rules.rules) {
      if (rule.kind == RuleKind::marker || rule.phase == phase) ours.push_back(&rule);
    }
    comparison.phase(phase, ours);
  }
  return result;
}

}  // namespace gatehouse::waf::fastpath
