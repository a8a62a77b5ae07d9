#include "waf/fastpath/joint_rules.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <set>
#include <span>

#include "proxy/base/ascii.hpp"
#include "waf/fastpath/seclang_lexer.hpp"

namespace gatehouse::waf::fastpath {
namespace {

using Kind = VariableKind;

/// Collections whose members all together are still little.
[[nodiscard]] bool small_collection(Kind kind) noexcept {
  return kind == Kind::request_headers_names || kind == Kind::multipart_part_headers;
}

/// What differs from request to request; part headers do where there are any.
[[nodiscard]] bool varies(Kind kind) noexcept {
  switch (kind) {
    case Kind::multipart_part_headers:
    case Kind::path_info:
    case Kind::query_string:
    case Kind::request_basename:
    case Kind::request_filename:
    case Kind::request_line:
    case Kind::request_uri:
    case Kind::request_uri_raw:
    case Kind::response_body: return true;
    default: return false;
  }
}

/// Scalars too long to compare, or different for every connection or body.
[[nodiscard]] bool not_worth_it(Kind kind) noexcept {
  switch (kind) {
    case Kind::args_combined_size:
    case Kind::full_request_length:
    case Kind::remote_addr:
    case Kind::remote_host:
    case Kind::remote_port:
    case Kind::request_body:
    case Kind::request_body_length: return true;
    default: return false;
  }
}

/// What a rule looks at; false if that can't be written down shortly.
class Inputs {
 public:
  Inputs(const RuleProgram& program, std::set<RuleInput>& found) : program_(program), found_(found) {}

  [[nodiscard]] bool add(const CompiledRule& rule, std::size_t links) {
    return std::all_of(rule.links.begin(), rule.links.begin() + static_cast<std::ptrdiff_t>(links),
                       [&](const CompiledLink& link) { return add(link); });
  }

 private:
  [[nodiscard]] bool add(const CompiledLink& link) {
    const Link& plan = *link.link;
    for (const auto producer : plan.producers) {
      const CompiledRule& rule = program_.producers()[producer];
      if (!done_.insert(producer).second) continue;
      if (!add(rule, rule.links.size())) return false;
    }
    const auto expands = [&](const TextTemplate& text) {
      return std::ranges::all_of(text, [&](const TextPiece& piece) {
        return !piece.is_macro ||
               add({.kind = piece.kind, .whole = piece.text.empty(), .counted = false, .name = lower_case(piece.text)});
      });
    };
    if (!expands(plan.parameter)) return false;
    for (const auto& write : plan.writes) {
      if (!expands(write.name) || !expands(write.value)) return false;
    }
    // A condition that is taken to hold looks at nothing.
    if (!link.opaque.empty() || plan.always) return true;
    return std::ranges::all_of(link.targets, [&](const CompiledTarget& target) {
      switch (target.kind) {
        case Kind::tx:
        case Kind::matched_var:
        case Kind::matched_var_name:
        case Kind::matched_vars:
        case Kind::matched_vars_names: return true;
        default: break;
      }
      if (target.selector != SelectorKind::whole && target.selector != SelectorKind::exact) return false;
      return add({.kind = target.kind,
                  .whole = target.selector == SelectorKind::whole,
                  .counted = target.counted,
                  .name = target.name});
    });
  }

  [[nodiscard]] bool add(RuleInput input) {
    switch (input.kind) {
      case Kind::tx:
      case Kind::matched_var:
      case Kind::matched_var_name: return true;  // written by what is looked at already
      default: break;
    }
    if (!RequestValues::models(input.kind) && !of_response(input.kind)) return false;
    if (shape(input.kind) == VariableShape::scalar) {
      if (not_worth_it(input.kind)) return false;
      input = {.kind = input.kind, .whole = true, .counted = false, .name = {}};
    } else if (input.whole && !input.counted && !small_collection(input.kind)) {
      return false;
    }
    found_.insert(std::move(input));
    return true;
  }

  const RuleProgram& program_;
  std::set<RuleInput>& found_;
  std::set<std::uint32_t> done_;
};

/// Writes a key of at most so many bytes.
class KeyWriter {
 public:
  KeyWriter(Scratch& scratch, std::size_t most) : scratch_(scratch), out_(scratch.reserve(most)), left_(most) {}

  void number(std::size_t value) {
    const auto number = static_cast<std::uint32_t>(value);
    append(&number, sizeof(number));
  }
  void text(std::string_view text) {
    number(text.size());
    append(text.data(), text.size());
  }
  /// Nothing if it did not fit.
  [[nodiscard]] std::optional<std::string_view> commit() {
    return whole_ ? std::optional(scratch_.commit(size_)) : std::nullopt;
  }

 private:
  void append(const void* bytes, std::size_t size) {
    whole_ = whole_ && size <= left_;
    if (!whole_ || size == 0) return;
    std::memcpy(out_ + size_, bytes, size);
    size_ += size;
    left_ -= size;
  }

  Scratch& scratch_;
  unsigned char* out_;
  std::size_t left_;
  std::size_t size_ = 0;
  bool whole_ = true;
};

[[nodiscard]] std::string_view scalar(Kind kind, const RequestValues& request, const ResponseValues* response) {
  if (response != nullptr && kind == Kind::response_body) return response->body;
  if (response != nullptr && kind == Kind::response_status) return response->status;
  return request.scalar(kind);
}

[[nodiscard]] std::span<const Member> members_of(Kind kind, const RequestValues& request,
                                                 const ResponseValues* response) {
  const bool of_fields = kind == Kind::response_headers || kind == Kind::response_headers_names;
  return response != nullptr && of_fields ? std::span<const Member>(response->headers) : request.members(kind);
}

}  // namespace

std::optional<std::string_view> JointRules::key(const RequestValues& request, const ResponseValues* response,
                                                std::size_t most, Scratch& scratch) const {
  // Sizes and counts stand before what they are of, so that no two messages have one text.
  KeyWriter key(scratch, most);
  for (const RuleInput& input : inputs) {
    if (shape(input.kind) == VariableShape::scalar) {
      key.text(scalar(input.kind, request, response));
      continue;
    }
    const auto members = members_of(input.kind, request, response);
    const auto chosen = [&](const Member& member) {
      return input.whole || (member.name.size() == input.name.size() && equal_ignoring_case(member.name, input.name));
    };
    key.number(input.whole ? members.size() : static_cast<std::size_t>(std::ranges::count_if(members, chosen)));
    if (input.counted) continue;
    const bool names = RequestValues::value_of(input.kind, {.name = "n", .value = "v"}) == "n";
    for (const Member& member : members) {
      if (!chosen(member)) continue;
      key.text(member.name);
      if (!names) key.text(member.value);
    }
  }
  return key.commit();
}

std::optional<std::vector<RuleInput>> inputs_of(const RuleProgram& program, const CompiledRule& rule) {
  std::set<RuleInput> found;
  if (!Inputs(program, found).add(rule, rule.live->alarm_link + 1)) return std::nullopt;
  return std::vector<RuleInput>(found.begin(), found.end());
}

JointRuleGroups::JointRuleGroups(const RuleProgram& program, const TargetClasses& classes) {
  const auto sort = [&](RuleIndex rule, bool with_response) {
    auto inputs = inputs_of(program, program.rules()[rule]);
    const bool looks_at_response =
        with_response &&
        (!inputs || std::ranges::any_of(*inputs, [](const RuleInput& input) { return of_response(input.kind); }));
    Phases& phases = looks_at_response ? response_ : request_;
    if (!inputs) {
      phases.others.push_back(rule);
      return;
    }
    const bool varies =
        std::ranges::any_of(*inputs, [](const RuleInput& input) { return fastpath::varies(input.kind); });
    const auto joins = [&](const JointRules& group) {
      return varies ? group.varies && group.inputs == *inputs : !group.varies;
    };
    const auto group = std::ranges::find_if(phases.groups, joins);
    if (group == phases.groups.end()) {
      phases.groups.push_back({.varies = varies, .inputs = std::move(*inputs), .rules = {rule}});
      return;
    }
    group->rules.push_back(rule);
    std::vector<RuleInput> all;
    std::ranges::set_union(group->inputs, *inputs, std::back_inserter(all));
    group->inputs = std::move(all);
  };
  for (const RuleIndex rule : classes.direct_request()) sort(rule, false);
  for (const RuleIndex rule : classes.direct_response()) sort(rule, true);
}

}  // namespace gatehouse::waf::fastpath
