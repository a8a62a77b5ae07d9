#include "waf/fastpath/target_classes.hpp"

#include <algorithm>
#include <map>
#include <optional>

#include "waf/fastpath/pattern_translation.hpp"
#include "waf/fastpath/seclang_lexer.hpp"
#include "waf/fastpath/tx_state.hpp"

namespace gatehouse::waf::fastpath {
namespace {

using Kind = VariableKind;

/// Variables that mostly the same rules look at share their sets: building one takes tens of milliseconds.
enum class Family : std::uint8_t { arguments, headers, lines, request_body, response_body, response_headers };

[[nodiscard]] Family family_of(Kind kind) noexcept {
  switch (kind) {
    case Kind::request_headers:
    case Kind::request_headers_names: return Family::headers;
    case Kind::request_body: return Family::request_body;
    case Kind::response_body: return Family::response_body;
    case Kind::response_headers:
    case Kind::response_headers_names: return Family::response_headers;
    default: return shape(kind) == VariableShape::scalar ? Family::lines : Family::arguments;
  }
}

/// Scalars long enough that a scan pays; one question about a short one is cheaper asked directly.
[[nodiscard]] bool long_scalar(Kind kind) noexcept {
  switch (kind) {
    case Kind::query_string:
    case Kind::request_basename:
    case Kind::request_body:
    case Kind::request_filename:
    case Kind::request_line:
    case Kind::request_uri:
    case Kind::request_uri_raw:
    case Kind::response_body: return true;
    default: return false;
  }
}

/// Asked of each value by itself, because no pattern says it.
[[nodiscard]] bool asked_by_value(OperatorKind kind) noexcept {
  switch (kind) {
    case OperatorKind::detect_sqli:
    case OperatorKind::detect_xss:
    case OperatorKind::validate_byte_range:
    case OperatorKind::validate_utf8_encoding: return true;
    default: return false;
  }
}

struct Pattern {
  std::string re2;
  std::optional<pcre::Node> tree;
};

/// The text to search for, or none when the operator is not a search.
[[nodiscard]] std::optional<Pattern> pattern_of(const CompiledLink& link) {
  const auto parameter = constant_text(link.link->parameter);
  if (!parameter) return std::nullopt;
  Operator op = link.link->op;
  op.parameter = *parameter;
  if (op.kind == OperatorKind::rx) {
    auto translation = translate(op.parameter);
    if (!translation.tree) return std::nullopt;
    return Pattern{std::move(translation.re2), std::move(translation.tree)};
  }
  auto text = union_pattern(op, link.phrases.phrases());
  if (!text) return std::nullopt;
  return Pattern{std::move(*text), union_tree(op, link.phrases.phrases())};
}

}  // namespace

bool TargetClasses::scannable(const CompiledRule& rule) const {
  const auto& link = rule.links.front();
  const auto& plan = *link.link;
  if (!link.opaque.empty() || plan.always || !plan.constants.empty() || !plan.producers.empty() || plan.op.negated) {
    return false;
  }
  if (plan.op.has_macro && !constant_text(plan.parameter)) return false;
  bool worth = false;
  for (const auto& target : link.targets) {
    if (target.counted || target.kind == Kind::tx ||
        (shape(target.kind) == VariableShape::scalar && !long_scalar(target.kind)) ||
        of_response(target.kind) != (rule.live->phase >= 3)) {
      return false;
    }
    switch (target.kind) {
      case Kind::matched_vars:
      case Kind::matched_vars_names: return false;
      default: break;
    }
    worth = worth ||
            (shape(target.kind) == VariableShape::collection && target.selector != SelectorKind::exact &&
             target.kind != Kind::request_headers_names) ||
            target.kind == Kind::request_body || target.kind == Kind::response_body;
  }
  // The head of a chain over one header or line often matches ordinary traffic: ask it directly.
  return worth || (!link.targets.empty() && rule.live->alarm_link == 0);
}

TargetClasses::TargetClasses(const RuleProgram& program) {
  const auto& rules = program.rules();
  for (RuleIndex i = 0; i < rules.size(); ++i) {
    const bool by_value = scannable(rules[i]) && asked_by_value(rules[i].links.front().link->op.kind);
    const bool by_pattern = !by_value && scannable(rules[i]) && pattern_of(rules[i].links.front());
    if (by_value || by_pattern) {
      scanned_.push_back(i);
    } else {
      (rules[i].live->phase >= 3 ? direct_response_ : direct_request_).push_back(i);
    }
  }
  add_sets(program);
}

void TargetClasses::add_sets(const RuleProgram& program) {
  // Set of (family, chain), where only chains that change every value count as different.
  std::map<std::pair<Family, ChainTree::Node>, std::size_t> index_of;
  classes_.push_back({.id = 0, .groups = {}, .checks = {}, .rules = std::vector<bool>(program.rules().size(), false)});
  std::map<Kind, std::vector<std::string>> names;
  std::vector<std::map<Family, std::size_t>> set_by_family(program.rules().size());
  for (const auto rule : scanned_) {
    const auto& link = program.rules()[rule].links.front();
    for (const auto& target : link.targets) {
      auto& named = names[target.kind];
      if (target.selector == SelectorKind::exact && std::ranges::find(named, target.name) == named.end()) {
        named.push_back(target.name);
      }
      if (asked_by_value(link.link->op.kind)) continue;
      const auto family = family_of(target.kind);
      const bool always = intersects(program.chains().blockers(link.node), ByteClasses::always);
      const auto [found, fresh] = index_of.try_emplace({family, always ? link.node : ChainTree::root}, sets_.size());
      if (fresh) sets_.emplace_back();
      if (set_by_family[rule].contains(family)) continue;
      set_by_family[rule][family] = found->second;
      const auto pattern = pattern_of(link);
      sets_[found->second].add(rule, pattern->re2, pattern->tree ? &*pattern->tree : nullptr);
    }
  }
  for (const auto& [kind, named] : names) {
    kinds_.push_back(kind);
    const auto build = [&](std::string_view name) {
      TargetClass target_class;
      target_class.id = static_cast<std::uint32_t>(classes_.size());
      target_class.rules.assign(program.rules().size(), false);
      std::map<std::size_t, ScanGroup> groups;
      for (const auto rule : scanned_) {
        const auto& link = program.rules()[rule].links.front();
        const bool looks = std::ranges::any_of(link.targets, [&](const CompiledTarget& target) {
          return target.kind == kind &&
                 (target.selector != SelectorKind::exact || (!name.empty() && target.name == name));
        });
        if (!looks) continue;
        target_class.rules[rule] = true;
        if (asked_by_value(link.link->op.kind)) {
          target_class.checks.push_back({rule, &link});
          continue;
        }
        const auto set = set_by_family[rule].at(family_of(kind));
        auto& group = groups[set];
        group.set = set;
        group.blockers = group.blockers | program.chains().blockers(link.node);
        if (link.link->multi_match) {
          group.multi_match.emplace_back(rule, link.node);
        } else if (std::ranges::find(group.nodes, link.node) == group.nodes.end()) {
          group.nodes.push_back(link.node);
        }
      }
      for (auto& [set, group] : groups) target_class.groups.push_back(std::move(group));
      classes_.push_back(std::move(target_class));
      return classes_.size() - 1;
    };
    auto& by_kind = by_kind_[static_cast<std::size_t>(kind)];
    by_kind.whole = build({});
    for (const auto& name : named) by_kind.named.push_back({name, build(name)});
  }
}

const TargetClass& TargetClasses::of(Kind kind, std::string_view name) const {
  const auto& by_kind = by_kind_[static_cast<std::size_t>(kind)];
  for (const auto& named : by_kind.named) {
    if (named.name.size() == name.size() && equal_ignoring_case(named.name, name)) return classes_[named.index];
  }
  return classes_[by_kind.whole];
}

}  // namespace gatehouse::waf::fastpath
