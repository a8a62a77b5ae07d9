#include "waf/fastpath/explain.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace gatehouse::waf::fastpath {
namespace {

[[nodiscard]] std::string_view name(RuleClass rule_class) {
  switch (rule_class) {
    case RuleClass::folded: return "folded";
    case RuleClass::benign: return "benign";
    case RuleClass::alarm: return "alarm";
    case RuleClass::refused: return "refused";
  }
  return "";
}

void explain_classes(const Plan& plan, std::string& text) {
  constexpr std::array rows{
      std::pair{RuleClass::folded, "decided while loading: the same for every request"},
      std::pair{RuleClass::benign, "may match, with no effect that can be seen"},
      std::pair{RuleClass::alarm, "must be disproved for each request"},
      std::pair{RuleClass::refused, "not understood in part: taken to hold where it is not"},
  };
  for (const auto& [rule_class, meaning] : rows) {
    const auto count = std::ranges::count(plan.verdicts, rule_class, &Verdict::rule_class);
    text += fmt::format("  {:8} {:5}  {}\n", name(rule_class), count, meaning);
  }
}

/// What the full path costs less by.
void explain_narrowing(const Plan& plan, std::string& text) {
  if (!plan.not_narrowable.empty()) {
    text += "full path: always with every rule: " + plan.not_narrowable + "\n";
    return;
  }
  text += fmt::format(
      "full path: without those of {} rules that a request is known to fail, and {} that never matter\n",
      std::ranges::count(plan.rules, true, &LiveRule::separable), plan.constant_failures.size() + plan.skipped.size());
}

/// Forms of requests that cannot be proven clean, whatever they hold.
void explain_slow_requests(const FastPath::Shape& shape, const UnderstoodRules& understood, std::string& text) {
  text += "requests that always take the full path:\n";
  text += "  XML bodies, broken bodies, multipart bodies with parts that are encoded oddly, bodies over 1 MiB\n";
  if (understood.settings.request_body_limit != 0) {
    text += fmt::format("  bodies over {} bytes (SecRequestBodyLimit)\n", understood.settings.request_body_limit);
  }
  if (understood.settings.parser.body_no_files_limit) {
    text += fmt::format("  forms and JSON over {} bytes (SecRequestBodyNoFilesLimit)\n",
                        *understood.settings.parser.body_no_files_limit);
  }
  for (const auto& line : shape.taken_to_hold) text += "  where the rest of the rule holds: " + line + "\n";
}

}  // namespace

std::string explain(const UnderstoodRules& understood, const BuiltFastPath& built, Detail detail) {
  std::string text;
  const auto& check = understood.check;
  if (check.compared != 0) {
    text += fmt::format(
        "compared with libmodsecurity: {} conditions ({} without seeing their transformations, {} not run)\n",
        check.compared, check.without_values, check.not_run);
  }
  if (!built.refusal.empty()) {
    text += "fast path: refused for this rule set; every request takes the full path\n";
    text += "  reason: " + built.refusal + "\n";
  }
  if (!built.plan) return text;
  text += fmt::format("rules: {}\n", built.plan->verdicts.size());
  explain_classes(*built.plan, text);
  if (built.fast_path) {
    const auto shape = built.fast_path->shape();
    text += fmt::format(
        "checks: {} rules found by scanning values with {} pattern sets ({} patterns), {} asked one by one, "
        "{} transformation chains\n",
        shape.scanned, shape.sets, shape.patterns, shape.direct, shape.chains - 1);
    explain_narrowing(*built.plan, text);
    explain_slow_requests(shape, understood, text);
  }
  for (const auto& verdict : built.plan->verdicts) {
    if (detail == Detail::summary && verdict.rule_class != RuleClass::refused) continue;
    text += fmt::format("  {}:{} rule {} phase {}: {} ({})\n", verdict.origin.file, verdict.origin.line, verdict.id,
                        verdict.phase, name(verdict.rule_class), verdict.why);
  }
  return text;
}

}  // namespace gatehouse::waf::fastpath
