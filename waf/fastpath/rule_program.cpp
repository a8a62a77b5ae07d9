#include "waf/fastpath/rule_program.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <utility>

#include "waf/fastpath/request_values.hpp"
#include "waf/fastpath/seclang_lexer.hpp"
#include "waf/fastpath/tx_state.hpp"

namespace gatehouse::waf::fastpath {
namespace {

using Kind = VariableKind;

/// The text an expression of letters, digits and escaped punctuation searches for, lower case.
[[nodiscard]] std::optional<std::string> literal_of(const std::string& expression) {
  std::string text;
  for (std::size_t i = 0; i < expression.size(); ++i) {
    const char c = expression[i];
    const auto plain = [](char x) {
      return (x >= 'a' && x <= 'z') || (x >= 'A' && x <= 'Z') || (x >= '0' && x <= '9') || x == '_';
    };
    if (plain(c) || c == '-' || c == '/') {
      text += c;
    } else if (c == '\\' && i + 1 < expression.size() && !plain(expression[i + 1]) && expression[i + 1] > ' ') {
      text += expression[++i];
    } else {
      return std::nullopt;
    }
  }
  return lower_case(text);
}

[[nodiscard]] CompiledTarget compile_target(const Variable& variable) {
  CompiledTarget target{variable.kind, variable.selector, variable.counted, {}, {}, {}};
  if (variable.selector == SelectorKind::exact) target.name = lower_case(variable.text);
  if (variable.selector == SelectorKind::regex) {
    target.expression.emplace("(?i)" + variable.text);
    target.literal = literal_of(variable.text);
  }
  return target;
}

/// A file of @pmFromFile is looked for from the working directory first, then beside the rule's file.
[[nodiscard]] std::optional<std::string> read_beside(const std::string& name, const std::string& rule_file) {
  const auto read = [](const std::string& path) -> std::optional<std::string> {
    std::ifstream file(path, std::ios::binary);
    if (!file) return std::nullopt;
    std::ostringstream text;
    text << file.rdbuf();
    return std::move(text).str();
  };
  if (auto text = read(name)) return text;
  const auto slash = rule_file.find_last_of("/\\");
  return read((slash == std::string::npos ? rule_file : rule_file.substr(0, slash)) + "/" + name);
}

/// What evaluation knows: parsed by us, set by the chain itself, or left alone by every request we parse.
[[nodiscard]] bool available(Kind kind) {
  switch (kind) {
    case Kind::tx:
    case Kind::matched_var:
    case Kind::matched_var_name:
    case Kind::matched_vars:
    case Kind::matched_vars_names:
    case Kind::response_body:
    case Kind::response_status:
    case Kind::response_headers:
    case Kind::response_headers_names: return true;
    // No request that we parse has an XML document.
    case Kind::xml: return true;
    default: return RequestValues::models(kind);
  }
}

}  // namespace

bool of_response(Kind kind) noexcept {
  switch (kind) {
    case Kind::response_body:
    case Kind::response_content_length:
    case Kind::response_content_type:
    case Kind::response_headers:
    case Kind::response_headers_names:
    case Kind::response_protocol:
    case Kind::response_status:
    case Kind::status:
    case Kind::status_line:
    case Kind::outbound_data_error: return true;
    default: return false;
  }
}

bool set_by_parts(Kind kind) noexcept {
  switch (kind) {
    case Kind::files:
    case Kind::files_combined_size:
    case Kind::files_names:
    case Kind::files_sizes:
    case Kind::files_tmp_content:
    case Kind::files_tmp_names:
    case Kind::multipart_boundary_quoted:
    case Kind::multipart_boundary_whitespace:
    case Kind::multipart_crlf_lf_lines:
    case Kind::multipart_data_after:
    case Kind::multipart_data_before:
    case Kind::multipart_file_limit_exceeded:
    case Kind::multipart_filename:
    case Kind::multipart_header_folding:
    case Kind::multipart_invalid_header_folding:
    case Kind::multipart_invalid_part:
    case Kind::multipart_invalid_quoting:
    case Kind::multipart_lf_line:
    case Kind::multipart_missing_semicolon:
    case Kind::multipart_name:
    case Kind::multipart_part_headers:
    case Kind::multipart_semicolon_missing:
    case Kind::multipart_strict_error:
    case Kind::multipart_unmatched_boundary:
    case Kind::xml: return true;
    default: return false;
  }
}

bool depends_on_body(Kind kind) noexcept {
  switch (kind) {
    case Kind::args:
    case Kind::args_combined_size:
    case Kind::args_names:
    case Kind::args_post:
    case Kind::args_post_names:
    case Kind::full_request:
    case Kind::full_request_length:
    case Kind::inbound_data_error:
    case Kind::reqbody_error:
    case Kind::reqbody_error_msg:
    case Kind::reqbody_processor:
    case Kind::reqbody_processor_error:
    case Kind::reqbody_processor_error_msg:
    case Kind::request_body:
    case Kind::request_body_length:
    case Kind::url_encoded_error: return true;
    default: return set_by_parts(kind);
  }
}

bool CompiledTarget::chooses(std::string_view member, ExactScratch& scratch) const {
  switch (selector) {
    case SelectorKind::whole: return true;
    case SelectorKind::exact: return equal_ignoring_case(member, name);
    case SelectorKind::regex: return expression->matches(member, scratch);
    case SelectorKind::xpath:
    case SelectorKind::macro: return true;
  }
  return true;
}

bool CompiledTarget::may_choose(std::string_view beginning, bool number_follows) const {
  const auto of_number = [](char c) { return (c >= '0' && c <= '9') || c == '-'; };
  const auto start = lower_case(beginning);
  if (selector == SelectorKind::exact) {
    return name.starts_with(start) &&
           (!number_follows || std::ranges::all_of(std::string_view(name).substr(start.size()), of_number));
  }
  if (selector == SelectorKind::regex && literal && !literal->empty() && number_follows) {
    // Found, it ends either in the beginning or in the number.
    return start.find(*literal) != std::string::npos || of_number(literal->back());
  }
  return true;
}

RuleProgram::RuleProgram(std::shared_ptr<const Plan> plan) : plan_(std::move(plan)) {
  for (const auto& rule : plan_->rules) {
    rules_.push_back(compile(rule));
    const auto& links = rules_.back().links;
    const auto holds = [](const CompiledLink& link) { return !link.opaque.empty() || link.link->always; };
    if (std::all_of(links.begin(), links.begin() + static_cast<std::ptrdiff_t>(rule.alarm_link) + 1, holds)) {
      refusal_ = "rule " + std::to_string(rule.id) + " cannot be disproved: " + links.front().opaque;
    }
  }
  for (const auto& rule : plan_->producers) producers_.push_back(compile(rule));
  for (const auto& choice : plan_->body_processors) body_processors_.push_back(compile(choice.rule));
}

CompiledRule RuleProgram::compile(const LiveRule& rule) {
  CompiledRule compiled;
  compiled.live = &rule;
  for (const auto& link : rule.links) compiled.links.push_back(compile(link, rule));
  return compiled;
}

CompiledLink RuleProgram::compile(const Link& link, const LiveRule& rule) {
  CompiledLink compiled;
  compiled.link = &link;
  compiled.opaque = link.opaque;
  if (!compiled.opaque.empty() || link.always) return compiled;
  for (const auto& variable : link.targets) {
    if (!available(variable.kind)) {
      compiled.opaque = std::string(name(variable.kind)) + " has no native form";
      return compiled;
    }
    // Phase 1 sees fewer members than we look at: fine for what is searched, not for what is counted. A scalar has another
    // value then.
    const bool grows = fastpath::shape(variable.kind) == VariableShape::collection && !variable.counted;
    if (rule.phase == 1 && depends_on_body(variable.kind) && !grows) {
      compiled.opaque = std::string(name(variable.kind)) + " in phase 1";
      return compiled;
    }
    if (rule.phase <= 2 && of_response(variable.kind)) {
      compiled.opaque = std::string(name(variable.kind)) + " before the response";
      return compiled;
    }
    compiled.targets.push_back(compile_target(variable));
  }
  for (const auto& variable : link.exclusions) compiled.exclusions.push_back(compile_target(variable));
  for (const auto step : link.transformations) {
    if (!is_supported(step)) {
      compiled.opaque = "t:" + std::string(name(step)) + " has no native form";
      return compiled;
    }
  }
  compiled.node = chains_.add(link.transformations);
  compile_operator(link, rule, compiled);
  return compiled;
}

void RuleProgram::compile_operator(const Link& link, const LiveRule& rule, CompiledLink& compiled) {
  const bool phrases = link.op.kind == OperatorKind::pm || link.op.kind == OperatorKind::pm_from_file;
  if (phrases) {
    if (link.op.negated) {
      // The library's automaton misses some phrases, and which is not modelled.
      compiled.opaque = "a negated @pm";
      return;
    }
    if (link.op.has_macro) {
      compiled.opaque = "@pm with a macro";
      return;
    }
    const bool bodies = std::ranges::any_of(link.targets, [](const Variable& target) {
      return target.kind == Kind::request_body || target.kind == Kind::response_body;
    });
    if (link.op.kind == OperatorKind::pm) {
      compiled.phrases = PhraseList(pm_phrases(link.op.parameter), bodies);
    } else if (const auto text = read_beside(link.op.parameter, rule.origin.file)) {
      compiled.phrases = PhraseList(pm_file_phrases(*text), bodies);
    } else {
      compiled.opaque = "@pmFromFile " + link.op.parameter + " cannot be read";
      return;
    }
    return;
  }
  Operator op = link.op;
  if (const auto parameter = constant_text(link.parameter)) {
    op.parameter = *parameter;
    op.has_macro = false;
  }
  std::string refusal;
  compiled.op = ExactOperator::compile(op, refusal);
  if (!compiled.op) compiled.opaque = refusal;
}

}  // namespace gatehouse::waf::fastpath
