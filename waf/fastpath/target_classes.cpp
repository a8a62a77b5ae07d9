#include "waf/fastpath/target_classes.hpp"

#include <algorithm>
#include <set>

#include "waf/fastpath/pattern_translation.hpp"
#include "waf/fastpath/seclang_lexer.hpp"
#include "waf/fastpath/tx_state.hpp"

namespace gatehouse::waf::fastpath {
namespace {

using Kind = VariableKind;

[[nodiscard]] ValueFamily family_of(Kind kind) noexcept {
  switch (kind) {
    case Kind::request_headers:
    case Kind::request_headers_names: return ValueFamily::headers;
    case Kind::request_body: return ValueFamily::request_body;
    case Kind::response_body: return ValueFamily::response_body;
    case Kind::response_headers:
    case Kind::response_headers_names: return ValueFamily::response_headers;
    default: return shape(kind) == VariableShape::scalar ? ValueFamily::lines : ValueFamily::arguments;
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

}  // namespace

bool TargetClasses::scannable(const CompiledRule& rule) {
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

std::optional<TargetClasses::Search> TargetClasses::search_of(const CompiledLink& link, const ChainTree& chains) {
  const auto parameter = constant_text(link.link->parameter);
  if (!parameter) return std::nullopt;
  Operator op = link.link->op;
  op.parameter = *parameter;
  Search search{.re2 = {}, .tree = {}, .node = link.node};
  if (op.kind == OperatorKind::rx) {
    auto translation = translate(op.parameter);
    if (!translation.tree) return std::nullopt;
    search.re2 = std::move(translation.re2);
    search.tree = std::move(translation.tree);
  } else {
    auto text = union_pattern(op, link.phrases.phrases());
    if (!text) return std::nullopt;
    search.re2 = std::move(*text);
    search.tree = union_tree(op, link.phrases.phrases());
  }
  // A text and the same in lower case would be two to search. One is enough for a pattern that takes either case.
  const bool ends_in_lowercase = link.node != ChainTree::root && chains.step(link.node) == Transformation::lowercase;
  if (!ends_in_lowercase || !search.tree || link.link->multi_match) return search;
  pcre::ByteSet every_byte;
  every_byte.set();
  pcre::Node before = pcre::before_lowercase(*search.tree);
  auto text = restricted_pattern(before, every_byte);
  if (!text || text->empty()) return search;
  return Search{.re2 = std::move(*text), .tree = std::move(before), .node = chains.parent(link.node)};
}

TargetClasses::TargetClasses(const RuleProgram& program) {
  const auto& rules = program.rules();
  std::vector<Scanned> scanned;
  for (RuleIndex i = 0; i < rules.size(); ++i) {
    std::optional<Scanned> found;
    if (scannable(rules[i])) {
      const CompiledLink& link = rules[i].links.front();
      const bool by_value = asked_by_value(link.link->op.kind);
      auto search = by_value ? std::nullopt : search_of(link, program.chains());
      if (by_value || search) found = Scanned{.rule = i, .link = &link, .search = std::move(search), .sets = {}};
    }
    if (found) {
      scanned.push_back(std::move(*found));
    } else {
      (rules[i].live->phase >= 3 ? direct_response_ : direct_request_).push_back(i);
    }
  }
  std::map<std::pair<ValueFamily, ChainTree::Node>, std::size_t> index_of;
  std::set<Kind> kinds;
  for (Scanned& rule : scanned) {
    for (const auto& target : rule.link->targets) kinds.insert(target.kind);
    if (rule.search) add_to_sets(rule, program.chains(), index_of);
  }
  const auto add_parts = [&](Kind all, Kind get, Kind post) {
    if (kinds.erase(all) + kinds.erase(get) + kinds.erase(post) == 0) return;
    add_source({.kind = all, .part = ArgumentPart::query, .whole = 0, .named = {}}, {all, get}, scanned, program);
    add_source({.kind = all, .part = ArgumentPart::body, .whole = 0, .named = {}}, {all, post}, scanned, program);
    add_source({.kind = all, .part = ArgumentPart::other, .whole = 0, .named = {}}, {all}, scanned, program);
  };
  add_parts(Kind::args, Kind::args_get, Kind::args_post);
  add_parts(Kind::args_names, Kind::args_get_names, Kind::args_post_names);
  for (const Kind kind : kinds) {
    add_source({.kind = kind, .part = ArgumentPart::all, .whole = 0, .named = {}}, {kind}, scanned, program);
  }
}

void TargetClasses::add_to_sets(Scanned& scanned, const ChainTree& chains,
                                std::map<std::pair<ValueFamily, ChainTree::Node>, std::size_t>& index_of) {
  const Search& search = *scanned.search;
  // Only chains that change every value count as different.
  const bool always = intersects(chains.blockers(search.node), ByteClasses::always);
  for (const auto& target : scanned.link->targets) {
    const auto family = family_of(target.kind);
    if (scanned.sets.contains(family)) continue;
    const auto [found, fresh] = index_of.try_emplace({family, always ? search.node : ChainTree::root}, sets_.size());
    if (fresh) sets_.emplace_back();
    scanned.sets[family] = found->second;
    sets_[found->second].add(scanned.rule, search.re2, search.tree ? &*search.tree : nullptr);
  }
}

void TargetClasses::add_source(Source source, const std::vector<VariableKind>& looked_at_as,
                               const std::vector<Scanned>& scanned, const RuleProgram& program) {
  source.whole = add_class(looked_at_as, {}, scanned, program);
  for (const Scanned& rule : scanned) {
    for (const auto& target : rule.link->targets) {
      const bool here = std::ranges::find(looked_at_as, target.kind) != looked_at_as.end();
      if (!here || target.selector != SelectorKind::exact) continue;
      if (std::ranges::find(source.named, target.name, &Source::Named::name) != source.named.end()) continue;
      source.named.push_back({target.name, add_class(looked_at_as, target.name, scanned, program)});
    }
  }
  sources_.push_back(std::move(source));
}

std::size_t TargetClasses::add_class(const std::vector<VariableKind>& kinds, std::string_view name,
                                     const std::vector<Scanned>& scanned, const RuleProgram& program) {
  TargetClass target_class;
  target_class.id = static_cast<std::uint32_t>(classes_.size());
  target_class.rules.assign(program.rules().size(), false);
  std::map<std::size_t, ScanGroup> groups;
  for (const Scanned& rule : scanned) {
    const bool looks = std::ranges::any_of(rule.link->targets, [&](const CompiledTarget& target) {
      return std::ranges::find(kinds, target.kind) != kinds.end() &&
             (target.selector != SelectorKind::exact || (!name.empty() && target.name == name));
    });
    if (!looks) continue;
    target_class.rules[rule.rule] = true;
    if (!rule.search) {
      target_class.checks.push_back({rule.rule, rule.link});
      continue;
    }
    const auto set = rule.sets.at(family_of(kinds.front()));
    const auto node = rule.search->node;
    auto& group = groups[set];
    group.set = set;
    group.blockers = group.blockers | program.chains().blockers(node);
    if (rule.link->link->multi_match) {
      group.multi_match.emplace_back(rule.rule, node);
    } else if (std::ranges::find(group.nodes, node) == group.nodes.end()) {
      group.nodes.push_back(node);
    }
  }
  for (auto& [set, group] : groups) target_class.groups.push_back(std::move(group));
  classes_.push_back(std::move(target_class));
  return classes_.size() - 1;
}

const TargetClass& TargetClasses::of(const Source& source, std::string_view name) const {
  for (const auto& named : source.named) {
    if (named.name.size() == name.size() && equal_ignoring_case(named.name, name)) return classes_[named.index];
  }
  return classes_[source.whole];
}

}  // namespace gatehouse::waf::fastpath
