#include "waf/fastpath/rule_evaluation.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "proxy/base/ascii.hpp"
#include "waf/fastpath/seclang_lexer.hpp"
#include "waf/fastpath/tx_state.hpp"

namespace gatehouse::waf::fastpath {
namespace {

/// Every fact possible: classification is not worth it where few checks follow.
constexpr auto any_bytes = static_cast<ByteClasses>(UINT32_MAX);

}  // namespace

RuleEvaluation::RuleEvaluation(const RuleProgram& program, UnicodeMap map, Scratch& scratch)
    : program_(&program),
      scratch_(&scratch),
      texts_(program.chains(), map, scratch),
      producer_done_(program.producers().size(), false) {}

void RuleEvaluation::begin(const RequestValues& request, const ResponseValues* response) {
  request_ = &request;
  response_ = response;
  produced_.clear();
  std::fill(producer_done_.begin(), producer_done_.end(), false);
}

bool RuleEvaluation::may_match(const CompiledRule& rule) {
  for (const auto& link : rule.links) {
    for (const auto producer : link.link->producers) produce(producer);
  }
  return run_links(rule, rule.live->alarm_link + 1, chain_);
}

bool RuleEvaluation::head_may_hold(const CompiledRule& rule) { return run_links(rule, 1, chain_); }

bool RuleEvaluation::run_links(const CompiledRule& rule, std::size_t count, std::vector<Written>& writes) {
  chain_.clear();
  matched_.clear();
  bool all = true;
  for (std::size_t i = 0; i < count && all; ++i) {
    // Later links, and readers of a producer, may depend on every value that matched, not only on the first.
    all = link_holds(rule, rule.links[i], i + 1 < count || &writes != &chain_);
  }
  if (&writes != &chain_) writes.insert(writes.end(), chain_.begin(), chain_.end());
  return all;
}

void RuleEvaluation::produce(std::uint32_t producer) {
  if (producer_done_[producer]) return;
  producer_done_[producer] = true;
  const auto& rule = program_->producers()[producer];
  for (const auto& link : rule.links) {
    for (const auto earlier : link.link->producers) {
      if (earlier < producer) produce(earlier);
    }
  }
  // Its writes last for the whole message, its captures do not: other rules take them for unknown anyway.
  static_cast<void>(run_links(rule, rule.links.size(), produced_));
}

RuleEvaluation::Written RuleEvaluation::written_name(const TextTemplate& name, const Value* value,
                                                     std::string_view transformed) {
  Written written;
  written.name_known = expand(name, value, transformed, written.name);
  if (written.name_known) return written;
  written.name = name.front().is_macro ? std::string_view() : std::string_view(name.front().text);
  written.number_follows = name.size() == 2 && !name.front().is_macro && name.back().number;
  return written;
}

bool RuleEvaluation::may_choose(const CompiledTarget& target, const Written& written) {
  if (written.name_known) return target.chooses(written.name, exact_);
  return target.may_choose(written.name, written.number_follows);
}

bool RuleEvaluation::take_to_hold(const CompiledLink& link) {
  // Which values matched is not known, so neither is what was written.
  for (const auto& write : link.link->writes) {
    chain_.push_back(written_name(write.name, nullptr, {}));
    chain_.back().value_known = false;
  }
  if (link.link->capture) {
    for (const char* group : {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}) {
      chain_.push_back({group, {}, true, false});
    }
  }
  matched_.push_back({VariableKind::matched_vars, {}, {}, false, false});
  return true;
}

bool RuleEvaluation::link_holds(const CompiledRule& rule, const CompiledLink& link, bool need_all) {
  const Link& plan = *link.link;
  if (!link.opaque.empty() || plan.always) return take_to_hold(link);
  parameter_varies_ = link.op && plan.parameter.size() != 0 &&
                      std::ranges::any_of(plan.parameter, [](const TextPiece& piece) { return piece.is_macro; });
  if (parameter_varies_ && !expand(plan.parameter, nullptr, {}, parameter_)) return take_to_hold(link);

  bool holds = false;
  for (const auto& constant : plan.constants) {
    const bool counted = std::ranges::any_of(plan.targets, [](const Variable& v) { return v.counted; });
    if (counted) break;  // the constant is a lower bound, see count_tx()
    if (look_at(link, {VariableKind::tx, constant.key, constant.value}, need_all)) holds = true;
    if (holds && !need_all) return true;
  }
  for (const auto& target : link.targets) {
    if (look_at_target(rule, link, target, need_all)) holds = true;
    if (holds && !need_all) return true;
  }
  return holds;
}

template <class Each>
bool RuleEvaluation::for_each_member(VariableKind kind, Each each) const {
  if (response_ != nullptr &&
      (kind == VariableKind::response_headers || kind == VariableKind::response_headers_names)) {
    for (const auto& header : response_->headers) {
      if (each(header.name, kind == VariableKind::response_headers ? header.value : header.name)) return true;
    }
    return false;
  }
  for (const auto& member : request_->members(kind)) {
    if (each(member.name, RequestValues::value_of(kind, member))) return true;
  }
  return false;
}

bool RuleEvaluation::look_at_target(const CompiledRule& rule, const CompiledLink& link, const CompiledTarget& target,
                                    bool need_all) {
  switch (target.kind) {
    case VariableKind::tx: return target.counted ? count_tx(link, target) : look_at_tx(link, target, need_all);
    case VariableKind::matched_var:
    case VariableKind::matched_var_name:
    case VariableKind::matched_vars:
    case VariableKind::matched_vars_names: return look_at_matched(rule, link, target, need_all);
    default: break;
  }
  if (target.counted) return count_members(link, target);
  if (shape(target.kind) == VariableShape::scalar) {
    std::string_view value = request_->scalar(target.kind);
    if (response_ != nullptr && target.kind == VariableKind::response_body) value = response_->body;
    if (response_ != nullptr && target.kind == VariableKind::response_status) value = response_->status;
    return look_at(link, {target.kind, {}, value}, need_all);
  }
  bool holds = false;
  static_cast<void>(for_each_member(target.kind, [&](std::string_view member, std::string_view value) {
    if (!target.chooses(member, exact_)) return false;
    if (target.selector != SelectorKind::exact) {
      for (const auto& exclusion : link.exclusions) {
        if (exclusion.kind == target.kind && exclusion.selector != SelectorKind::whole &&
            exclusion.chooses(member, exact_)) {
          return false;
        }
      }
    }
    if (look_at(link, {target.kind, member, value}, need_all)) holds = true;
    return holds && !need_all;
  }));
  return holds;
}

bool RuleEvaluation::count_members(const CompiledLink& link, const CompiledTarget& target) {
  if (!link.exclusions.empty()) return take_to_hold(link);  // what is left to count is not modelled
  std::uint64_t count = 0;
  if (shape(target.kind) == VariableShape::scalar) {
    count = 1;
  } else {
    static_cast<void>(for_each_member(target.kind, [&](std::string_view member, std::string_view) {
      if (target.chooses(member, exact_)) ++count;
      return false;
    }));
  }
  char text[24];
  const auto end = std::to_chars(text, text + sizeof(text), count).ptr;
  const auto number = scratch_->copy({text, static_cast<std::size_t>(end - text)});
  return look_at(link, {target.kind, {}, number}, false);
}

bool RuleEvaluation::count_tx(const CompiledLink& link, const CompiledTarget& target) {
  std::uint64_t low = 0;
  for (const auto& constant : link.link->constants) {
    std::from_chars(constant.value.data(), constant.value.data() + constant.value.size(), low);
  }
  std::uint64_t high = low;
  for (const auto* writes : {&chain_, &produced_}) {
    for (const auto& written : *writes) {
      if (may_choose(target, written)) ++high;
    }
  }
  constexpr std::uint64_t most = 64;
  if (high - low > most) return take_to_hold(link);
  for (auto count = low; count <= high; ++count) {
    char text[24];
    const auto end = std::to_chars(text, text + sizeof(text), count).ptr;
    const auto number = scratch_->copy({text, static_cast<std::size_t>(end - text)});
    // Which of several possible numbers it is, is not known.
    if (look_at(link, {VariableKind::tx, {}, number}, false)) return low == high || take_to_hold(link);
  }
  return false;
}

bool RuleEvaluation::look_at_tx(const CompiledLink& link, const CompiledTarget& target, bool need_all) {
  bool holds = false;
  bool written_here = false;
  // The link's own matches may append to chain_ while it is walked.
  for (const auto* writes : {&chain_, &produced_}) {
    const auto count = writes->size();
    for (std::size_t i = 0; i < count; ++i) {
      const Written written = (*writes)[i];
      // Under a name that is not known it may be chosen; only one that surely is, replaces what was there before.
      if (!may_choose(target, written)) continue;
      if (!written.value_known) return take_to_hold(link);
      written_here = written_here || written.name_known;
      if (look_at(link, {VariableKind::tx, written.name, written.value, written.name_known}, need_all)) holds = true;
      if (holds && !need_all) return true;
    }
  }
  if (!written_here && std::ranges::find(link.link->unknown_before, target.name) != link.link->unknown_before.end()) {
    return take_to_hold(link);
  }
  return holds;
}

std::string_view RuleEvaluation::full_name(const Matched& matched) {
  const auto collection = name(matched.kind);
  if (shape(matched.kind) == VariableShape::scalar) return collection;
  const auto size = collection.size() + 1 + matched.name.size();
  auto* out = scratch_->reserve(size);
  std::memcpy(out, collection.data(), collection.size());
  out[collection.size()] = ':';
  if (!matched.name.empty()) std::memcpy(out + collection.size() + 1, matched.name.data(), matched.name.size());
  return scratch_->commit(size);
}

bool RuleEvaluation::look_at_matched(const CompiledRule& rule, const CompiledLink& link, const CompiledTarget& target,
                                     bool need_all) {
  if (rule.live->stale_matched_vars || target.counted || target.selector != SelectorKind::whole) {
    return take_to_hold(link);
  }
  const bool names = target.kind == VariableKind::matched_vars_names || target.kind == VariableKind::matched_var_name;
  bool holds = false;
  const auto count = matched_.size();
  for (std::size_t i = 0; i < count; ++i) {
    const Matched matched = matched_[i];
    if (!matched.value_known || (names && !matched.name_known)) return take_to_hold(link);
    // Its own match would be named MATCHED_VARS:ARGS:x.
    const Value value{matched.kind, matched.name, names ? full_name(matched) : matched.value, false};
    if (look_at(link, value, need_all)) holds = true;
    if (holds && !need_all) return true;
  }
  return holds;
}

bool RuleEvaluation::look_at(const CompiledLink& link, const Value& value, bool need_all) {
  if (link.node == ChainTree::root) return ask(link, value, value.value);
  texts_.begin(value.value);
  if (!link.link->multi_match) return ask(link, value, texts_.bytes(texts_.at(link.node)));
  bool holds = false;
  texts_.intermediate(link.node, intermediate_);
  for (const auto text : intermediate_) {
    if (ask(link, value, texts_.bytes(text))) holds = true;
    if (holds && !need_all) return true;
  }
  return holds;
}

bool RuleEvaluation::ask(const CompiledLink& link, const Value& value, std::string_view text) {
  value_captures_.clear();
  bool holds = false;
  if (!link.op) {
    holds = link.phrases.occurs_in(text, lowered_);
  } else if (parameter_varies_) {
    holds = link.op->matches_with(parameter_, text, any_bytes, exact_);
  } else if (link.link->capture && link.op->pattern() != nullptr) {
    const bool found = link.op->pattern()->matches(text, exact_, value_captures_);
    holds = found != link.op->negated();
  } else {
    holds = link.op->matches(text, any_bytes, exact_);
  }
  if (holds) write(link, value, text);
  return holds;
}

void RuleEvaluation::write(const CompiledLink& link, const Value& value, std::string_view text) {
  static constexpr std::string_view digits = "0123456789";
  matched_.push_back({value.kind, value.name, text, value.name_known, true});
  if (link.link->capture) {
    const bool known = link.op && link.op->pattern() != nullptr && !parameter_varies_ && !link.op->negated();
    if (known) {
      for (const auto& capture : value_captures_) {
        if (capture.group < digits.size())
          chain_.push_back({digits.substr(capture.group, 1), capture.text, true, true});
      }
    } else {
      for (std::size_t group = 0; group < digits.size(); ++group) {
        chain_.push_back({digits.substr(group, 1), {}, true, false});
      }
    }
  }
  for (const auto& write : link.link->writes) {
    auto written = written_name(write.name, &value, text);
    if (write.step) {
      add_step(*write.step, written);
    } else {
      written.value_known = write.known && expand(write.value, &value, text, written.value);
    }
    chain_.push_back(written);
  }
}

/// The sum of what the rule at hand has written to the member so far, and `step`.
void RuleEvaluation::add_step(std::int64_t step, Written& written) {
  constexpr std::size_t most = 256;  // each is compared with all before it
  written.value_known = written.name_known && chain_.size() <= most;
  if (!written.value_known) return;
  std::int64_t before = 0;
  for (const auto& earlier : chain_) {
    if (!earlier.name_known) {
      written.value_known = false;
      return;
    }
    if (!equal_ignoring_case(earlier.name, written.name)) continue;
    const auto* const end = earlier.value.data() + earlier.value.size();
    const auto [rest, error] = std::from_chars(earlier.value.data(), end, before);
    if (!earlier.value_known || error != std::errc{} || rest != end) {
      written.value_known = false;
      return;
    }
  }
  char text[24];
  const auto size = static_cast<std::size_t>(std::to_chars(text, text + sizeof(text), before + step).ptr - text);
  written.value = scratch_->copy({text, size});
}

bool RuleEvaluation::expand(const TextTemplate& text, const Value* value, std::string_view transformed,
                            std::string_view& result) {
  if (text.size() == 1 && !text.front().is_macro) {
    result = text.front().text;
    return true;
  }
  // Pieces first: expanding one may itself take room in the scratch.
  constexpr std::size_t most_pieces = 16;
  std::array<std::string_view, most_pieces> parts;
  if (text.size() > most_pieces) return false;
  std::size_t size = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    parts[i] = text[i].text;
    if (text[i].is_macro && !expand_macro(text[i], value, transformed, parts[i])) return false;
    size += parts[i].size();
  }
  auto* out = scratch_->reserve(size);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!parts[i].empty()) std::memcpy(out, parts[i].data(), parts[i].size());
    out += parts[i].size();
  }
  result = scratch_->commit(size);
  return true;
}

bool RuleEvaluation::expand_macro(const TextPiece& piece, const Value* value, std::string_view transformed,
                                  std::string_view& result) {
  switch (piece.kind) {
    case VariableKind::tx: {
      // Groups of the match at hand first; then what the chain wrote, if that can be only one text.
      const std::string_view name = piece.text;
      if (value != nullptr && name.size() == 1) {
        for (const auto& capture : value_captures_) {
          if (capture.group < 10 && name.front() == static_cast<char>('0' + capture.group)) {
            result = capture.text;
            return true;
          }
        }
      }
      const Written* only = nullptr;
      for (const auto& written : chain_) {
        if (!written.name_known) return false;
        if (!equal_ignoring_case(written.name, name)) continue;
        if (!written.value_known || (only != nullptr && only->value != written.value)) return false;
        only = &written;
      }
      if (only == nullptr) return false;
      result = only->value;
      return true;
    }
    case VariableKind::matched_var:
      if (value == nullptr) return false;
      result = transformed;
      return true;
    case VariableKind::matched_var_name:
      if (value == nullptr || !value->name_known) return false;
      result = full_name({value->kind, value->name, {}});
      return true;
    default: break;
  }
  if (!RequestValues::models(piece.kind)) return false;
  if (shape(piece.kind) == VariableShape::scalar) {
    result = request_->scalar(piece.kind);
    return true;
  }
  // The first of several members of one name is chosen by the library's hash table: only one is certain.
  std::size_t found = 0;
  result = {};
  static_cast<void>(for_each_member(piece.kind, [&](std::string_view member, std::string_view text) {
    if (piece.text.empty() || equal_ignoring_case(member, piece.text)) {
      ++found;
      result = text;
    }
    return false;
  }));
  return found <= 1;
}

}  // namespace gatehouse::waf::fastpath
