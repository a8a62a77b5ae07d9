// Rewriting as text, for dumps.
#include <fmt/format.h>

#include "proxy/config/dump.hpp"
#include "proxy/config/model.hpp"

namespace gatehouse::config {
namespace {

std::string show_condition(const Condition& condition) {
  constexpr std::string_view kFileTests[] = {"", "", "", "-f", "-d", "-e", "-x"};
  const std::string_view negation = condition.negated ? "!" : "";
  switch (condition.test) {
    case Condition::Test::truth: return condition.subject.source();
    case Condition::Test::equal:
      return fmt::format("{} {}= \"{}\"", condition.subject.source(), negation, condition.operand.source());
    case Condition::Test::match:
      return fmt::format("{} {}~ \"{}\"", condition.subject.source(), negation, condition.regex->pattern());
    case Condition::Test::file:
    case Condition::Test::directory:
    case Condition::Test::exists:
    case Condition::Test::executable:
      return fmt::format("{}{} {}", negation, kFileTests[static_cast<std::size_t>(condition.test)],
                         condition.subject.source());
  }
  return {};
}

std::string show_target(const Config& config, const VariableRef& target) {
  return target.kind == VariableRef::Kind::user ? "$" + config.user_variables[target.index] : "a builtin variable";
}

struct Show {
  const Config& config;
  std::string indent;

  std::string operator()(const SetStep& step) const {
    return fmt::format("{}set {} = \"{}\"\n", indent, show_target(config, step.target), step.value.source());
  }
  std::string operator()(const RewriteStep& step) const {
    constexpr std::string_view kFlags[] = {"", " last", " break", " redirect", " permanent"};
    return fmt::format("{}rewrite \"{}\" to \"{}\"{}{}{}\n", indent, step.regex->pattern(), step.replacement.source(),
                       kFlags[static_cast<std::size_t>(step.flag)], step.append_arguments ? "" : " dropping arguments",
                       step.sets_arguments ? " setting arguments" : "");
  }
  std::string operator()(const ReturnAction& step) const {
    return fmt::format("{}return {}{}\n", indent, step.status,
                       step.text ? fmt::format(" \"{}\"", step.text->source()) : "");
  }
  std::string operator()(const BreakStep&) const { return indent + "break\n"; }
  std::string operator()(const IfStep& step) const {
    auto text =
        fmt::format("{}if {}{}\n", indent, show_condition(step.condition), step.settings ? " with settings" : "");
    for (const auto& inner : step.program) text += std::visit(Show{config, indent + "  "}, inner);
    return text;
  }
};

}  // namespace

std::string dump_program(const Config& config, const Program& program, std::string_view indent) {
  std::string text;
  for (const auto& step : program) text += std::visit(Show{config, std::string(indent)}, step);
  return text;
}

}  // namespace gatehouse::config
