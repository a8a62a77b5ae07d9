#include "waf/fastpath/fast_path.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>
#include <span>

#include "waf/fastpath/joint_rules.hpp"
#include "waf/fastpath/pattern_set.hpp"
#include "waf/fastpath/proven_values.hpp"
#include "waf/fastpath/rule_evaluation.hpp"
#include "waf/fastpath/rule_program.hpp"
#include "waf/fastpath/scratch.hpp"
#include "waf/fastpath/target_classes.hpp"

namespace gatehouse::waf::fastpath {
namespace {

/// More members than this in one request are left to the library: an attacker must not buy CPU on the event thread.
constexpr std::size_t most_values = 1200;
/// Exact patterns backtrack; the library runs them with PCRE2's default limits, far from an event thread.
constexpr std::size_t longest_header = std::size_t{8} * 1024;

constexpr std::array reason_labels{
#define GATEHOUSE_WAF_LABEL(name, label, text) std::string_view(label),
    GATEHOUSE_WAF_FULL_PATH_REASONS(GATEHOUSE_WAF_LABEL)
#undef GATEHOUSE_WAF_LABEL
};
constexpr std::array reason_texts{
#define GATEHOUSE_WAF_TEXT(name, label, text) std::string_view(text),
    GATEHOUSE_WAF_FULL_PATH_REASONS(GATEHOUSE_WAF_TEXT)
#undef GATEHOUSE_WAF_TEXT
};

/// Whether evaluating the rule in a response phase needs the request's values.
[[nodiscard]] bool looks_at_request(const RuleProgram& program, const CompiledRule& rule) {
  const auto inputs = inputs_of(program, rule);
  return !inputs || !std::ranges::all_of(*inputs, [](const RuleInput& input) { return of_response(input.kind); });
}

/// Longer values, and longer texts that decide several rules, are not remembered.
constexpr std::size_t longest_text = 512;
constexpr std::size_t longest_key = 1024;
/// The fields of one head together: those that come again whole, as on a kept connection.
constexpr std::size_t longest_head = 2048;
constexpr std::size_t most_heads = 256;

/// What is looked at of the fields alone.
[[nodiscard]] bool of_fields(VariableKind kind) noexcept {
  return kind == VariableKind::request_headers || kind == VariableKind::request_headers_names ||
         kind == VariableKind::request_cookies || kind == VariableKind::request_cookies_names;
}

/// Names and values with their sizes before them, in order; nothing when that is too long.
[[nodiscard]] std::optional<std::string_view> text_of(std::span<const HeaderView> fields, Scratch& scratch) {
  unsigned char* const out = scratch.reserve(longest_head);
  std::size_t size = 0;
  for (const HeaderView& field : fields) {
    const std::array<std::uint32_t, 2> sizes{static_cast<std::uint32_t>(field.name.size()),
                                             static_cast<std::uint32_t>(field.value.size())};
    if (sizeof(sizes) + field.name.size() + field.value.size() > longest_head - size) return std::nullopt;
    std::memcpy(out + size, sizes.data(), sizeof(sizes));
    size += sizeof(sizes);
    for (const std::string_view part : {field.name, field.value}) {
      if (!part.empty()) std::memcpy(out + size, part.data(), part.size());
      size += part.size();
    }
  }
  return scratch.commit(size);
}

}  // namespace

std::string_view label(FullPathReason reason) noexcept { return reason_labels.at(static_cast<std::size_t>(reason)); }
std::string_view describe(FullPathReason reason) noexcept { return reason_texts.at(static_cast<std::size_t>(reason)); }

struct FastPath::Compiled {
  Compiled(std::shared_ptr<const Plan> plan, FastPathSettings chosen)
      : settings(std::move(chosen)), program(std::move(plan)), classes(program), joint(program, classes) {
    // Those that the request alone decides were asked with it.
    std::vector<bool> with_request(program.rules().size(), false);
    for (const JointRules& group : joint.request().groups) {
      for (const RuleIndex rule : group.rules) with_request[rule] = true;
    }
    for (RuleIndex i = 0; i < program.rules().size(); ++i) {
      const CompiledRule& rule = program.rules()[i];
      if (rule.live->phase < 3 || with_request[i]) continue;
      response_needs_request = response_needs_request || looks_at_request(program, rule);
    }
  }

  bool response_needs_request = false;  ///< some rule of phases 3 to 5 looks at what the request brought
  FastPathSettings settings;
  RuleProgram program;
  TargetClasses classes;
  JointRuleGroups joint;
};

FastPath::FastPath(std::shared_ptr<const Plan> plan, FastPathSettings settings)
    : compiled_(std::make_unique<const Compiled>(std::move(plan), std::move(settings))) {}
FastPath::~FastPath() = default;

const std::string& FastPath::refusal() const noexcept { return compiled_->program.refusal(); }
const Plan& FastPath::plan() const noexcept { return compiled_->program.plan(); }

FastPath::Shape FastPath::shape() const {
  Shape shape;
  const auto& classes = compiled_->classes;
  shape.direct = classes.direct_request().size() + classes.direct_response().size();
  shape.scanned = compiled_->program.rules().size() - shape.direct;
  shape.sets = classes.sets().size();
  for (const auto& set : classes.sets()) shape.patterns += set.size();
  shape.chains = compiled_->program.chains().size();
  for (const auto& rule : compiled_->program.rules()) {
    for (const auto& link : rule.links) {
      if (!link.opaque.empty()) shape.taken_to_hold.push_back(std::to_string(rule.live->id) + ": " + link.opaque);
    }
  }
  return shape;
}

struct FastPath::Worker::State {
  /// Groups of the memory beyond those of the target classes.
  static constexpr ProvenValues::Group request_groups = ProvenValues::Group{1} << 30;
  static constexpr ProvenValues::Group response_groups = ProvenValues::Group{2} << 30;

  State(std::shared_ptr<const FastPath> of, std::uint64_t seed)
      : fast_path(std::move(of)),
        compiled(*fast_path->compiled_),
        values(scratch),
        no_request(scratch),
        evaluation(compiled.program, compiled.settings.unicode_map, scratch),
        texts(compiled.program.chains(), compiled.settings.unicode_map, scratch),
        proven_head(seed, {.entries = 4096, .max_value = longest_key}),
        proven_texts(seed, {.entries = 4096, .max_value = longest_text}),
        proven_fields(seed, {.entries = most_heads, .max_value = longest_head}),
        disproved(compiled.program.rules().size(), false),
        candidates(compiled.program.rules().size(), false) {
    for (const auto& set : compiled.classes.sets()) scanners.emplace_back(set);
    for (const auto& scanner : scanners) {
      empty_is_clean.push_back(scanner.scan({}, classify({}), found) == ScanResult::clean);
    }
  }

  /// Not clean ends the check: at the first candidate, unless all of them are wanted.
  [[nodiscard]] Outcome may_match(RuleIndex rule) {
    if (disproved[rule] || candidates[rule]) return {};
    const auto& compiled_rule = compiled.program.rules()[rule];
    if (!evaluation.may_match(compiled_rule)) {
      disproved[rule] = true;
      return {};
    }
    candidates[rule] = true;
    if (first.clean()) first = {FullPathReason::rule_may_match, compiled_rule.live->id};
    collects = collects && !compiled_rule.live->steers;
    return collects ? Outcome{} : first;
  }

  void begin_check(bool collect) {
    std::fill(disproved.begin(), disproved.end(), false);
    std::fill(candidates.begin(), candidates.end(), false);
    first = {};
    collects = collect;
  }

  [[nodiscard]] Outcome confirm(const TargetClass& target_class, ScanResult result) {
    if (result == ScanResult::unknown) return {FullPathReason::scan_out_of_memory, 0};
    if (result == ScanResult::clean) return {};
    // The evaluation below scans nothing, so the list stays as it is.
    for (const auto rule : found) {
      if (!target_class.rules[rule]) continue;  // of another variable that shares the set
      hit = true;
      if (const auto outcome = may_match(rule); !outcome.clean()) return outcome;
      if (disproved[rule]) ++counters.near_misses;
    }
    return {};
  }

  [[nodiscard]] Outcome scan_text(const TargetClass& target_class, const ScanGroup& group, ChainTexts::TextId text) {
    if (texts.bytes(text).empty() && empty_is_clean[group.set]) return {};
    ++counters.scans;
    return confirm(target_class, scanners[group.set].scan(texts.bytes(text), texts.classes(text), found));
  }

  [[nodiscard]] Outcome scan_group(const TargetClass& target_class, const ScanGroup& group) {
    if (!intersects(texts.classes(0), group.blockers)) return scan_text(target_class, group, 0);
    std::uint64_t done = 0;  // texts already searched; ids beyond 63 are searched again
    const auto once = [&done](ChainTexts::TextId text) {
      const auto bit = text < 64 ? std::uint64_t{1} << text : 0;
      const bool fresh = (done & bit) == 0;
      done |= bit;
      return fresh;
    };
    for (const auto node : group.nodes) {
      const auto text = texts.at(node);
      if (!once(text)) continue;
      if (const auto outcome = scan_text(target_class, group, text); !outcome.clean()) return outcome;
    }
    for (const auto& [rule, node] : group.multi_match) {
      texts.intermediate(node, intermediate);
      for (const auto text : intermediate) {
        if (!once(text)) continue;
        if (const auto outcome = scan_text(target_class, group, text); !outcome.clean()) return outcome;
      }
    }
    return {};
  }

  [[nodiscard]] Outcome ask(const ValueCheck& check) {
    const auto& link = *check.link;
    const auto holds = [&](ChainTexts::TextId text) {
      return link.op->matches(texts.bytes(text), texts.classes(text), evaluation.exact_scratch());
    };
    bool any = false;
    if (link.link->multi_match && intersects(texts.classes(0), compiled.program.chains().blockers(link.node))) {
      texts.intermediate(link.node, intermediate);
      any = std::ranges::any_of(intermediate, holds);
    } else {
      any = holds(texts.at(link.node));
    }
    if (!any) return {};
    hit = true;
    return may_match(check.rule);
  }

  /// `proven`: values that were proven before, or null where none is worth remembering.
  [[nodiscard]] Outcome check_value(const TargetClass& target_class, std::string_view value, ProvenValues* proven) {
    ++counters.values;
    if (target_class.empty()) return {};
    if (proven != nullptr && proven->contains(target_class.id, value)) {
      ++counters.remembered;
      return {};
    }
    hit = false;
    texts.begin(value);
    for (const auto& group : target_class.groups) {
      if (const auto outcome = scan_group(target_class, group); !outcome.clean()) return outcome;
    }
    for (const auto& check : target_class.checks) {
      if (const auto outcome = ask(check); !outcome.clean()) return outcome;
    }
    any_hit = any_hit || hit;
    if (proven != nullptr && !hit) proven->insert(target_class.id, value);
    return {};
  }

  [[nodiscard]] Outcome check_source(const TargetClasses::Source& source) {
    const VariableKind kind = source.kind;
    if (fastpath::shape(kind) == VariableShape::scalar) {
      return check_value(compiled.classes.of(source, {}), values.scalar(kind), &proven_texts);
    }
    const bool of_head = kind == VariableKind::request_headers || kind == VariableKind::request_cookies ||
                         kind == VariableKind::request_headers_names || kind == VariableKind::request_cookies_names ||
                         kind == VariableKind::args_names;
    ProvenValues* const proven = of_head ? &proven_head : &proven_texts;
    const auto members = source.part == ArgumentPart::all ? values.members(kind) : values.arguments(source.part);
    for (const auto& member : members) {
      const auto outcome =
          check_value(compiled.classes.of(source, member.name), RequestValues::value_of(kind, member), proven);
      if (!outcome.clean()) return outcome;
    }
    return {};
  }

  [[nodiscard]] Outcome parse(const RequestInput& input) {
    scratch.reset();
    for (const auto& header : input.headers) {
      if (header.value.size() > longest_header) return {FullPathReason::value_too_long, 0};
    }
    if (input.uri.size() > longest_header) return {FullPathReason::value_too_long, 0};
    const auto body = whole_body(input.body, scratch);
    if (!body) return {FullPathReason::body_not_in_memory, 0};
    if (compiled.settings.request_body_limit != 0 && body->size() > compiled.settings.request_body_limit) {
      return {FullPathReason::body_over_limit, 0};
    }
    if (values.parse_head(input, compiled.settings.parser) != ParseOutcome::parsed) {
      return {FullPathReason::head_not_modelled, 0};
    }
    evaluation.begin(values, nullptr);
    const auto& choices = compiled.program.plan().body_processors;
    for (std::size_t i = 0; i < choices.size(); ++i) {
      if (!evaluation.may_match(compiled.program.body_processors()[i])) continue;
      switch (choices[i].processor) {
        case BodyProcessor::xml: values.choose_body_parser(BodyParser::xml); break;
        case BodyProcessor::json: values.choose_body_parser(BodyParser::json); break;
        case BodyProcessor::urlencoded: values.choose_body_parser(BodyParser::urlencoded); break;
      }
    }
    if (values.parse_body(*body) != ParseOutcome::parsed) return {FullPathReason::body_not_modelled, 0};
    if (values.members(VariableKind::args).size() + values.members(VariableKind::request_cookies).size() +
            values.members(VariableKind::request_headers).size() >
        most_values) {
      return {FullPathReason::too_many_values, 0};
    }
    return {};
  }

  /// The rules that no scan finds. `next_group` is the first group of the memory that is theirs, `seen` null while the
  /// request is looked at.
  [[nodiscard]] Outcome check_direct(const JointRuleGroups::Phases& direct, ProvenValues::Group next_group,
                                     const RequestValues& request, const ResponseValues* seen) {
    for (const JointRules& group : direct.groups) {
      const auto memory_group = next_group++;
      const auto key = group.key(request, seen, longest_key, scratch);
      ProvenValues& proven = group.varies ? proven_texts : proven_head;
      if (key && proven.contains(memory_group, *key)) {
        for (const auto rule : group.rules) disproved[rule] = true;
        continue;
      }
      bool all = true;
      for (const auto rule : group.rules) {
        if (const auto outcome = may_match(rule); !outcome.clean()) return outcome;
        all = all && disproved[rule];
      }
      if (key && all) proven.insert(memory_group, *key);
    }
    for (const auto rule : direct.others) {
      if (const auto outcome = may_match(rule); !outcome.clean()) return outcome;
    }
    return {};
  }

  [[nodiscard]] Outcome check_request(const RequestInput& input) {
    if (const auto outcome = parse(input); !outcome.clean()) return outcome;
    evaluation.begin(values, nullptr);
    begin_check(compiled.program.plan().not_narrowable.empty());
    if (const auto outcome = check_direct(compiled.joint.request(), request_groups, values, nullptr); !outcome.clean())
      return outcome;
    if (const auto outcome = check_fields(input.headers); !outcome.clean()) return outcome;
    for (const auto& source : compiled.classes.sources()) {
      if (of_response(source.kind) || of_fields(source.kind)) continue;
      if (const auto outcome = check_source(source); !outcome.clean()) return outcome;
    }
    if (!first.clean() && collects) keep_heads_that_hold();
    return first;
  }

  /// Fields and cookies. All of them together are remembered too: a client sends the same ones with every request.
  [[nodiscard]] Outcome check_fields(std::span<const HeaderView> fields) {
    const auto text = text_of(fields, scratch);
    if (text && proven_fields.contains(0, *text)) {
      const std::size_t known = values.members(VariableKind::request_headers).size();
      counters.values += known;
      counters.remembered += known;
      return {};
    }
    any_hit = false;
    for (const auto& source : compiled.classes.sources()) {
      if (!of_fields(source.kind)) continue;
      if (const auto outcome = check_source(source); !outcome.clean()) return outcome;
    }
    if (text && !any_hit) proven_fields.insert(0, *text);
    return {};
  }

  /// A chain that fails behind its head has done something already.
  void keep_heads_that_hold() {
    const auto& rules = compiled.program.rules();
    for (RuleIndex rule = 0; rule < rules.size(); ++rule) {
      const LiveRule& live = *rules[rule].live;
      if (!live.separable || live.alarm_link == 0 || !disproved[rule])
        continue;  // not disproved: no scan named its head
      if (evaluation.head_may_hold(rules[rule])) candidates[rule] = true;
    }
  }

  [[nodiscard]] Outcome check_response(const RequestInput& request, const ResponseInput& input) {
    const RequestValues* seen = &no_request;
    if (compiled.response_needs_request) {
      if (const auto outcome = parse(request); !outcome.clean()) return outcome;
      seen = &values;
    } else {
      scratch.reset();
    }
    begin_check(false);
    const auto body = whole_body({input.body.segments, input.body.spill_path, false}, scratch);
    if (!body) return {FullPathReason::body_not_in_memory, 0};
    char text[12];
    const auto end = std::to_chars(text, text + sizeof(text), input.status).ptr;
    response.status = scratch.copy({text, static_cast<std::size_t>(end - text)});
    response.body = *body;
    response.headers.clear();
    for (const auto& header : input.headers) response.headers.push_back({header.name, header.value});
    evaluation.begin(*seen, &response);
    for (const auto& source : compiled.classes.sources()) {
      if (!of_response(source.kind)) continue;
      if (const auto outcome = check_response_source(source); !outcome.clean()) return outcome;
    }
    return check_direct(compiled.joint.response(), response_groups, *seen, &response);
  }

  [[nodiscard]] Outcome check_response_source(const TargetClasses::Source& source) {
    const auto& classes = compiled.classes;
    const VariableKind kind = source.kind;
    switch (kind) {
      case VariableKind::response_body: return check_value(classes.of(source, {}), response.body, &proven_texts);
      case VariableKind::response_headers:
      case VariableKind::response_headers_names:
        for (const auto& header : response.headers) {
          const auto value = kind == VariableKind::response_headers ? header.value : header.name;
          const auto outcome = check_value(classes.of(source, header.name), value, &proven_head);
          if (!outcome.clean()) return outcome;
        }
        return {};
      default: return check_value(classes.of(source, {}), response.status, nullptr);
    }
  }

  std::shared_ptr<const FastPath> fast_path;
  const Compiled& compiled;
  Scratch scratch;
  RequestValues values;
  RequestValues no_request;  // stays empty
  ResponseValues response;
  RuleEvaluation evaluation;
  ChainTexts texts;
  ProvenValues proven_head;    // header fields, cookies and names: few, and the same again and again
  ProvenValues proven_texts;   // arguments and lines: many are seen once and must not evict those
  ProvenValues proven_fields;  // the fields of a head together
  std::vector<Scanner> scanners;
  std::vector<bool> empty_is_clean;  // by set: what decoding leaves nothing of needs no scan
  std::vector<bool> disproved;       // by rule, for the message at hand
  Candidates candidates;             // the same: those that may match, and at the end heads of chains that do
  Outcome first;                     // what the first of them says
  bool collects = false;             // the check goes on behind it
  std::vector<CheckId> found;
  std::vector<ChainTexts::TextId> intermediate;
  bool hit = false;      // a check of the value at hand named some rule
  bool any_hit = false;  // the same of any value since it was reset
  FastPathCounters counters;
};

FastPath::Worker::Worker(std::shared_ptr<const FastPath> fast_path, std::uint64_t seed)
    : state_(std::make_unique<State>(std::move(fast_path), seed)) {}
FastPath::Worker::~Worker() = default;
FastPath::Worker::Worker(Worker&&) noexcept = default;
FastPath::Worker& FastPath::Worker::operator=(Worker&&) noexcept = default;

Outcome FastPath::Worker::check_request(const RequestInput& input) {
  const Outcome outcome = state_->check_request(input);
  if (outcome.reason != FullPathReason::rule_may_match) state_->collects = false;
  return outcome;
}
const Candidates* FastPath::Worker::candidates() const noexcept {
  return state_->collects ? &state_->candidates : nullptr;
}
Outcome FastPath::Worker::check_response(const RequestInput& request, const ResponseInput& response) {
  return state_->check_response(request, response);
}
const FastPathCounters& FastPath::Worker::counters() const noexcept { return state_->counters; }

}  // namespace gatehouse::waf::fastpath
