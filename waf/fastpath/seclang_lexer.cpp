#include "waf/fastpath/seclang_lexer.hpp"

#include <algorithm>
#include <optional>

namespace gatehouse::waf::fastpath {
namespace {

[[nodiscard]] bool blank(char c) noexcept { return c == ' ' || c == '\t'; }
[[nodiscard]] char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
[[nodiscard]] bool word_character(char c) noexcept {
  return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

template <class Kind>
[[nodiscard]] std::optional<Kind> find_by_name(std::string_view text, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    if (equal_ignoring_case(name(static_cast<Kind>(i)), text)) return static_cast<Kind>(i);
  }
  return std::nullopt;
}

[[nodiscard]] std::optional<Transformation> find_transformation(std::string_view text) {
  // The scanner knows both spellings, the library's own name has an s.
  if (equal_ignoring_case(text, "normalizePath")) return Transformation::normalise_path;
  if (equal_ignoring_case(text, "normalizePathWin")) return Transformation::normalise_path_win;
  return find_by_name<Transformation>(text, transformation_count);
}

[[nodiscard]] std::optional<OperatorKind> find_operator(std::string_view text) {
  if (equal_ignoring_case(text, "ipMatchF")) return OperatorKind::ip_match_from_file;
  if (equal_ignoring_case(text, "pmf")) return OperatorKind::pm_from_file;
  return find_by_name<OperatorKind>(text, operator_kind_count);
}

/// Operators that stand alone, without a parameter.
[[nodiscard]] bool without_parameter(OperatorKind kind) noexcept {
  switch (kind) {
    case OperatorKind::detect_sqli:
    case OperatorKind::detect_xss:
    case OperatorKind::geo_lookup:
    case OperatorKind::unconditional_match:
    case OperatorKind::validate_url_encoding:
    case OperatorKind::validate_utf8_encoding: return true;
    default: return false;
  }
}

/// Actions whose argument the scanner reads up to an unescaped closing quote.
[[nodiscard]] bool backslashes_escape(std::string_view text, std::size_t position) noexcept {
  std::size_t count = 0;
  while (count < position && text[position - 1 - count] == '\\') ++count;
  return count % 2 == 1;
}

}  // namespace

bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

void SeclangLexer::fail(std::string what) const { throw NotUnderstood{origin(), std::move(what)}; }

void SeclangLexer::advance(std::size_t count) {
  for (; count > 0 && !at_end(); --count, ++position_) {
    if (text_[position_] == '\n') ++line_;
  }
}

bool SeclangLexer::at_continuation() const noexcept {
  const auto rest = text_.substr(position_);
  return rest.starts_with("\\\n") || rest.starts_with("\\\r\n");
}

void SeclangLexer::skip_comment() {
  const auto line = text_.substr(position_, text_.find('\n', position_) - position_);
  auto body = line.substr(1);
  while (!body.empty() && blank(body.front())) body.remove_prefix(1);
  auto trimmed = line;
  while (!trimmed.empty() && (blank(trimmed.back()) || trimmed.back() == '\r')) trimmed.remove_suffix(1);
  const bool of_rule =
      equal_ignoring_case(body.substr(0, 7), "SecRule") || equal_ignoring_case(body.substr(0, 9), "SecAction");
  advance(line.size() + 1);
  if (!of_rule || !trimmed.ends_with('\\')) return;
  // A continued SecRule or SecAction that is commented out hides its continuation lines too.
  while (!at_end() && (peek() == '\n' || peek() == '\r')) fail("empty line inside a commented rule");
  while (!at_end()) {
    const auto next = text_.substr(position_, text_.find('\n', position_) - position_);
    auto end = next;
    while (!end.empty() && end.back() == '\r') end.remove_suffix(1);
    const bool continued = end.ends_with('\\');
    advance(next.size() + 1);
    if (!continued) return;
  }
}

void SeclangLexer::skip_to_directive() {
  while (!at_end()) {
    if (peek() == '#') {
      skip_comment();
    } else if (blank(peek()) || peek() == '\n' || peek() == '\r') {
      advance(1);
    } else if (at_continuation()) {
      fail("a continuation outside a directive");
    } else {
      return;
    }
  }
}

void SeclangLexer::skip_blanks() {
  while (!at_end()) {
    if (blank(peek())) {
      advance(1);
    } else if (at_continuation()) {
      advance(peek() == '\\' && text_[position_ + 1] == '\r' ? 3 : 2);
    } else {
      return;
    }
  }
}

std::string_view SeclangLexer::word() {
  const auto begin = position_;
  while (!at_end() && word_character(peek())) advance(1);
  return text_.substr(begin, position_ - begin);
}

std::string_view SeclangLexer::rest_of_line() {
  const auto begin = position_;
  const auto end = std::min(text_.find('\n', position_), text_.size());
  auto line = text_.substr(begin, end - begin);
  advance(line.size() + 1);
  while (!line.empty() && (blank(line.back()) || line.back() == '\r')) line.remove_suffix(1);
  if (line.ends_with('\\')) fail("a configuration directive over several lines");
  while (!line.empty() && blank(line.front())) line.remove_prefix(1);
  return line;
}

bool SeclangLexer::consume_line_end() {
  while (!at_end() && (blank(peek()) || peek() == '\r')) advance(1);
  if (at_end()) return true;
  if (peek() != '\n') return false;
  advance(1);
  return true;
}

bool SeclangLexer::consume(char wanted) {
  if (peek() != wanted || at_end()) return false;
  advance(1);
  return true;
}

std::vector<Variable> SeclangLexer::targets() {
  const bool quoted = consume('"');
  std::vector<Variable> result;
  do {
    result.push_back(target());
  } while (consume('|'));
  if (quoted && !consume('"')) fail("a quoted target list that does not end where it should");
  if (!blank(peek()) && !at_continuation()) fail("a character after a target");
  return result;
}

Variable SeclangLexer::target() {
  Variable variable;
  if (consume('!')) {
    variable.excluded = true;
  } else if (consume('&')) {
    variable.counted = true;
  }
  const auto text = word();
  const auto kind = find_by_name<VariableKind>(text, variable_kind_count);
  if (!kind) fail("unknown variable " + std::string(text));
  // Another name of the same variable.
  variable.kind =
      *kind == VariableKind::multipart_semicolon_missing ? VariableKind::multipart_missing_semicolon : *kind;
  if (peek() == ':' || peek() == '.') {
    advance(1);
    selector(variable);
  }
  return variable;
}

void SeclangLexer::selector(Variable& variable) {
  if (shape(variable.kind) == VariableShape::scalar) fail("a member of a variable that has none");
  const auto begin = position_;
  if (variable.kind == VariableKind::xml) {
    while (!at_end() && std::string_view("|, \t\n\"").find(peek()) == std::string_view::npos) advance(1);
    variable.selector = SelectorKind::xpath;
    variable.text = text_.substr(begin, position_ - begin);
    return;
  }
  if (peek() == '/' || peek() == '\'') {
    const bool quoted = consume('\'');
    if (!consume('/')) fail("a quoted member name");
    const auto first = position_;
    while (!at_end() && std::string_view(" \t\n\r\"',=|").find(peek()) == std::string_view::npos) advance(1);
    // The last slash ends the expression; one with any of the characters above is left to the full path.
    if (position_ == first || text_[position_ - 1] != '/') fail("a member expression that does not end in a slash");
    variable.selector = SelectorKind::regex;
    variable.text = text_.substr(first, position_ - 1 - first);
    if (quoted && !consume('\'')) fail("a quoted member expression that is not closed");
    if (variable.text.empty()) fail("an empty member expression");
    return;
  }
  while (!at_end() &&
         (word_character(peek()) || std::string_view("-.[]*$@+:^").find(peek()) != std::string_view::npos)) {
    advance(1);
  }
  variable.selector = SelectorKind::exact;
  variable.text = text_.substr(begin, position_ - begin);
  if (variable.text.empty()) fail("an empty or unusual member name");
}

std::string SeclangLexer::text_until(char end, std::string_view what) {
  const auto begin = position_;
  while (!at_end()) {
    const char c = peek();
    if (c == '\n') fail(std::string(what) + " over several lines");
    if (c == end && !backslashes_escape(text_.substr(begin), position_ - begin)) break;
    if (c == '{' && position_ > begin + 1 && text_[position_ - 1] == '%' && text_[position_ - 2] == '\\') {
      fail(std::string(what) + " with an escaped macro");
    }
    advance(1);
  }
  if (at_end()) fail(std::string(what) + " that is not closed");
  const auto text = text_.substr(begin, position_ - begin);
  advance(1);
  if (text.starts_with("\\\"")) fail(std::string(what) + " that begins with an escaped quote");
  return std::string(text);
}

Operator SeclangLexer::condition() {
  Operator op;
  const bool quoted = consume('"');
  if (!quoted) fail("a condition without quotes");
  skip_blanks();
  op.negated = consume('!');
  if (op.negated) skip_blanks();
  if (peek() != '@') {
    op.kind = OperatorKind::rx;
    op.parameter = text_until('"', "a condition");
  } else {
    advance(1);
    const auto text = word();
    const auto kind = find_operator(text);
    if (!kind) fail("unknown operator @" + std::string(text));
    op.kind = *kind;
    if (without_parameter(op.kind)) {
      while (consume(' ')) continue;
      if (!consume('"')) fail("a parameter of an operator that takes none");
    } else {
      if (!consume(' ')) fail("an operator without parameter");
      op.parameter = text_until('"', "a condition");
    }
  }
  if (op.parameter.empty() && !without_parameter(op.kind)) fail("an empty condition");
  op.has_macro = holds_macro(op.parameter);
  return op;
}

std::vector<Action> SeclangLexer::actions(std::vector<Transformation>& transformations) {
  if (!consume('"')) fail("actions without quotes");
  std::vector<Action> result;
  skip_blanks();
  for (;;) {
    action(result, transformations);
    skip_blanks();
    if (consume('"')) break;
    if (!consume(',')) fail("a character between actions");
    skip_blanks();
  }
  return result;
}

void SeclangLexer::action(std::vector<Action>& actions, std::vector<Transformation>& transformations) {
  const auto text = word();
  if (equal_ignoring_case(text, "t")) {
    if (!consume(':')) fail("t without a transformation");
    const auto step = word();
    const auto transformation = find_transformation(step);
    if (!transformation) fail("unknown transformation t:" + std::string(step));
    transformations.push_back(*transformation);
    return;
  }
  const auto kind = find_by_name<ActionKind>(text, action_kind_count);
  if (!kind) fail("unknown action " + std::string(text));
  std::string argument;
  if (consume(':')) argument = action_argument();
  actions.push_back({*kind, std::move(argument)});
}

std::string SeclangLexer::action_argument() {
  if (consume('\'')) {
    // Messages may run over lines; their text decides nothing, so a continuation is kept as the library keeps it.
    const auto begin = position_;
    while (!at_end() && (peek() != '\'' || backslashes_escape(text_.substr(begin), position_ - begin))) advance(1);
    if (at_end()) fail("an action argument that is not closed");
    std::string text(text_.substr(begin, position_ - begin));
    advance(1);
    return text;
  }
  std::string text;
  while (!at_end() && peek() != ',' && peek() != '"' && peek() != '\n' && !at_continuation()) {
    if (peek() == '\'') {
      // initcol:ip='%{remote_addr}': a quote after the equals sign.
      fail("a quote inside an action argument");
    }
    text += peek();
    advance(1);
  }
  while (!text.empty() && blank(text.back())) text.pop_back();
  if (text.empty()) fail("an empty action argument");
  return text;
}

}  // namespace gatehouse::waf::fastpath
