#include "waf/fastpath/link_folding.hpp"

#include <algorithm>

#include "waf/fastpath/constant_operator.hpp"
#include "waf/fastpath/seclang_lexer.hpp"

namespace gatehouse::waf::fastpath {
namespace {

void add_producers(Link& link, const std::vector<std::uint32_t>& producers) {
  for (const auto producer : producers) {
    if (std::ranges::find(link.producers, producer) == link.producers.end()) link.producers.push_back(producer);
  }
}

/// TX:/expression/ compares names without case (Utils::Regex(expression, true)).
[[nodiscard]] bool name_matches(const std::string& expression, const std::string& member) {
  return constant_match(OperatorKind::rx, "(?i)" + expression, member).value_or(true);
}

/// Whether a name that begins with `prefix` may match: known only for expressions that begin with ^ and plain
/// characters.
[[nodiscard]] bool prefix_may_match(const std::string& expression, const std::string& prefix) {
  if (!expression.starts_with('^')) {
    // Without an anchor only a literal expression can be excluded, and then only by a longer look than is worth it.
    return true;
  }
  std::string literal;
  for (const char c : lower_case(expression).substr(1)) {
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-')) break;
    literal += c;
  }
  // A repeat makes the last character optional.
  if (!literal.empty()) literal.pop_back();
  if (expression.find('|') != std::string::npos) return true;
  const auto common = std::min(literal.size(), prefix.size());
  return std::string_view(literal).substr(0, common) == std::string_view(prefix).substr(0, common);
}

/// A number of members is at least the constant and at most that plus what producers and the chain add.
void fold_exact_tx(const Variable& target, const TxState& state, const std::vector<std::string>& run_time, Link& link) {
  const auto value = state.value(target.text);
  const bool of_chain = named_by(lower_case(target.text), run_time);
  if (value.unknown && of_chain && !target.counted) {
    link.unknown_before.push_back(lower_case(target.text));
  } else if (value.unknown) {
    link.opaque = "TX:" + target.text + " is not constant";
    return;
  }
  add_producers(link, value.producers);
  if (target.counted) {
    link.constants.push_back({target.text, value.constant ? "1" : "0"});
  } else if (value.constant) {
    // An earlier match need not have written it (a group that took no part): what was there before counts too.
    link.constants.push_back({target.text, *value.constant});
  }
  if (of_chain || !value.producers.empty()) link.targets.push_back(target);
}

void fold_tx_members(const Variable& target, const TxState& state, const std::vector<std::string>& run_time,
                     Link& link) {
  const bool whole = target.selector == SelectorKind::whole;
  std::size_t count = 0;
  bool varies = !run_time.empty();
  for (const auto& [member, value] : state.members()) {
    if (!whole && !name_matches(target.text, member)) continue;
    if (value.unknown) {
      link.opaque = "TX:" + member + " is not constant";
      return;
    }
    add_producers(link, value.producers);
    varies = varies || !value.producers.empty();
    if (!value.constant) continue;
    ++count;
    if (!target.counted) link.constants.push_back({member, *value.constant});
  }
  for (const auto& [prefix, producer] : state.prefixes()) {
    if (!whole && !prefix_may_match(target.text, prefix)) continue;
    add_producers(link, {producer});
    varies = true;
  }
  if (target.counted) link.constants.push_back({target.text, std::to_string(count)});
  if (varies) link.targets.push_back(target);
}

void fold_target(const Variable& target, const TxState& state, const std::vector<std::string>& run_time, Link& link) {
  if (target.kind != VariableKind::tx) {
    link.targets.push_back(target);
    return;
  }
  switch (target.selector) {
    case SelectorKind::exact: return fold_exact_tx(target, state, run_time, link);
    case SelectorKind::whole:
    case SelectorKind::regex: return fold_tx_members(target, state, run_time, link);
    case SelectorKind::xpath:
    case SelectorKind::macro: link.opaque = "a TX target that is not modelled"; return;
  }
}

void fold_parameter(const TxState& state, const std::vector<std::string>& run_time, Link& link) {
  if (!link.op.has_macro) {
    link.parameter = {{false, link.op.parameter, {}}};
    return;
  }
  const auto pieces = parse_template(link.op.parameter);
  if (!pieces) {
    link.opaque = "a macro in the parameter is not understood";
    return;
  }
  link.parameter = fold_template(*pieces, state, run_time);
  for (const auto& piece : link.parameter) {
    if (!piece.is_macro || piece.kind != VariableKind::tx) continue;
    if (!named_by(lower_case(piece.text), run_time)) {
      link.opaque = "%{tx." + piece.text + "} is not constant";
    } else {
      link.unknown_before.push_back(lower_case(piece.text));
    }
  }
}

/// An exclusion that equals a target takes the target away; others are looked at value by value.
[[nodiscard]] bool taken_away(const Variable& target, const std::vector<Variable>& variables) {
  return std::ranges::any_of(variables, [&](const Variable& other) {
    return other.excluded && other.kind == target.kind && other.selector == target.selector &&
           equal_ignoring_case(other.text, target.text);
  });
}

[[nodiscard]] bool counts_tx(const Variable& target) { return target.counted && target.kind == VariableKind::tx; }

/// What a sum adds to each of the members that it names at run time, if none of them can exist before.
[[nodiscard]] std::optional<std::int64_t> step_of(const SetVar& set, const TxWrite& write, const TxState& state) {
  const auto digits = constant_text(write.value);
  constexpr std::size_t most_digits = 6;
  if (!digits || digits->empty() || digits->size() > most_digits ||
      digits->find_first_not_of("0123456789") != std::string::npos) {
    return std::nullopt;
  }
  const bool begins_known = write.name.size() > 1 && !write.name.front().is_macro;
  if (!begins_known || !state.untouched(write.name.front().text)) return std::nullopt;
  const std::int64_t amount = std::stoi(*digits);
  return set.operation == SetVar::Operation::sum ? amount : -amount;
}

/// `run_time` comes by value: what the link itself captures and writes is known only at run time for its later setvars.
void fold_writes(const Rule& rule, const TxState& state, std::vector<std::string> run_time, Link& link) {
  const auto captured = written_names(link);
  run_time.insert(run_time.end(), captured.begin(), captured.end());
  for (const auto& action : rule.actions) {
    if (action.kind != ActionKind::setvar) continue;
    const auto set = parse_setvar(action.argument);
    if (!set || set->collection != VariableKind::tx) continue;  // the caller classifies these
    TxWrite write{fold_template(set->name, state, run_time), fold_template(set->value, state, run_time), true, {}};
    write.known = set->operation == SetVar::Operation::set;
    if (set->operation == SetVar::Operation::unset) continue;  // a member that is gone has fewer values to look at
    if (!write.known) write.step = step_of(*set, write, state);
    link.writes.push_back(std::move(write));
    const auto names = written_names(link);
    run_time.insert(run_time.end(), names.begin(), names.end());
  }
}

}  // namespace

bool chooses_member(const Variable& target, const std::string& member) {
  switch (target.selector) {
    case SelectorKind::exact: return equal_ignoring_case(target.text, member);
    case SelectorKind::regex: return name_matches(target.text, member);
    case SelectorKind::whole:
    case SelectorKind::xpath:
    case SelectorKind::macro: return true;
  }
  return true;
}

std::optional<SetVar> parse_setvar(std::string_view argument) {
  SetVar result;
  if (argument.starts_with('!')) {
    result.operation = SetVar::Operation::unset;
    argument.remove_prefix(1);
  }
  const auto separator = argument.find_first_of(".:");
  if (separator == std::string_view::npos) return std::nullopt;
  const auto collection = argument.substr(0, separator);
  using enum VariableKind;
  bool found = false;
  for (const auto kind : {tx, ip, global, session, user, resource}) {
    if (equal_ignoring_case(name(kind), collection)) {
      result.collection = kind;
      found = true;
    }
  }
  if (!found) return std::nullopt;
  auto rest = argument.substr(separator + 1);
  const auto equals = rest.find('=');
  auto member = rest.substr(0, equals);
  if (member.empty() || member.find_first_of(" \t\\'\"") != std::string_view::npos) return std::nullopt;
  auto parsed = parse_template(member);
  if (!parsed) return std::nullopt;
  result.name = std::move(*parsed);
  if (equals == std::string_view::npos) {
    result.value = {{false, "1", {}}};
    return result;
  }
  auto value = rest.substr(equals + 1);
  if (value.starts_with('+') || value.starts_with('-')) {
    result.operation = value.front() == '+' ? SetVar::Operation::sum : SetVar::Operation::subtract;
    value.remove_prefix(1);
  }
  if (value.find('\\') != std::string_view::npos) return std::nullopt;
  parsed = parse_template(value);
  if (!parsed) return std::nullopt;
  result.value = std::move(*parsed);
  return result;
}

std::vector<std::string> written_names(const Link& link) {
  std::vector<std::string> names;
  if (link.capture) {
    for (int group = 0; group < 10; ++group) names.push_back(std::to_string(group));
  }
  for (const auto& write : link.writes) {
    if (const auto whole = constant_text(write.name)) {
      names.push_back(lower_case(*whole));
    } else {
      names.push_back((write.name.front().is_macro ? "" : lower_case(write.name.front().text)) + "*");
    }
  }
  return names;
}

FoldedLink fold_link(const Rule& rule, const TxState& state, const std::vector<std::string>& run_time) {
  FoldedLink result;
  Link& link = result.link;
  link.op = *rule.op;
  link.transformations = rule.transformations;
  link.multi_match = rule.multi_match;
  link.capture = rule.capture;
  for (const auto& variable : rule.variables) {
    if (variable.excluded) link.exclusions.push_back(variable);
  }
  for (const auto& variable : rule.variables) {
    if (!variable.excluded && !taken_away(variable, rule.variables)) fold_target(variable, state, run_time, link);
  }
  fold_parameter(state, run_time, link);
  fold_writes(rule, state, run_time, link);
  if (!link.opaque.empty()) return result;

  const auto parameter = constant_text(link.parameter);
  if (!parameter) return result;
  bool all_decided = true;
  for (const auto& constant : link.constants) {
    const auto value = constant_transform(link.transformations, constant.value);
    const auto match = value ? constant_match(link.op.kind, *parameter, *value) : std::nullopt;
    if (!match || (link.multi_match && !link.transformations.empty())) {
      all_decided = false;
    } else if (*match != link.op.negated) {
      ++result.matching_constants;
    }
  }
  if (result.matching_constants > 0) {
    result.truth = Truth::always;
    link.always = true;
  } else if (all_decided && link.targets.empty() && link.producers.empty()) {
    result.truth = Truth::never;
  } else if (all_decided && std::ranges::none_of(link.targets, counts_tx)) {
    link.constants.clear();  // none of them matches
  }
  return result;
}

}  // namespace gatehouse::waf::fastpath
