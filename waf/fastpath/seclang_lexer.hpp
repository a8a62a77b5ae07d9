// The characters of a rule file: blanks, continuations, quoted texts and the tokens of targets, conditions and actions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "waf/fastpath/ir.hpp"

namespace gatehouse::waf::fastpath {

/// Thrown while loading: the text is not of the form we know. The library may still accept it, so only the fast path
/// ends.
struct NotUnderstood {
  Origin where;
  std::string what;
};

/// A position in one file's text. Accepts the part of libmodsecurity 3.0.9's grammar (src/parser/seclang-scanner.ll)
/// whose reading is beyond doubt and throws NotUnderstood for the rest.
class SeclangLexer {
 public:
  /// `text` must outlive the lexer.
  SeclangLexer(std::string_view text, std::string file) : text_(text), file_(std::move(file)) {}

  [[nodiscard]] bool at_end() const noexcept { return position_ >= text_.size(); }
  [[nodiscard]] Origin origin() const { return {file_, line_}; }
  [[nodiscard]] char peek() const noexcept { return at_end() ? '\0' : text_[position_]; }

  /// Skips blanks, empty lines and comments between directives.
  void skip_to_directive();
  /// Skips blanks and continued line ends inside a directive.
  void skip_blanks();
  /// Letters and digits up to the next other character.
  [[nodiscard]] std::string_view word();
  /// The rest of the line without trailing blanks; throws when the line is continued.
  [[nodiscard]] std::string_view rest_of_line();
  /// True when only blanks are left on the line; consumes them and the line end.
  [[nodiscard]] bool consume_line_end();
  [[nodiscard]] bool consume(char wanted);

  /// "ARGS|!ARGS:foo|&TX:x", quoted or not.
  [[nodiscard]] std::vector<Variable> targets();
  /// "!@rx ^a" with or without quotes.
  [[nodiscard]] Operator condition();
  /// "id:1,phase:2,t:none" in double quotes; transformations go to `transformations`.
  [[nodiscard]] std::vector<Action> actions(std::vector<Transformation>& transformations);

  [[noreturn]] void fail(std::string what) const;

 private:
  void advance(std::size_t count);
  void skip_comment();
  [[nodiscard]] bool at_continuation() const noexcept;
  [[nodiscard]] Variable target();
  void selector(Variable& variable);
  [[nodiscard]] std::string text_until(char end, std::string_view what);
  void action(std::vector<Action>& actions, std::vector<Transformation>& transformations);
  [[nodiscard]] std::string action_argument();

  std::string_view text_;
  std::string file_;
  std::size_t position_ = 0;
  int line_ = 1;
};

/// True when both are equal without regard to ASCII case.
[[nodiscard]] bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept;

/// True when the text holds a macro, %{...}.
[[nodiscard]] inline bool holds_macro(std::string_view text) noexcept {
  return text.find("%{") != std::string_view::npos;
}

}  // namespace gatehouse::waf::fastpath
