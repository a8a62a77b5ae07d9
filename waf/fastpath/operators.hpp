// The operators of libmodsecurity 3.0.9 over one value, each with exactly its outcome.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "waf/fastpath/byte_classes.hpp"
#include "waf/fastpath/exact_pattern.hpp"
#include "waf/fastpath/ir.hpp"
#include "waf/fastpath/pcre_syntax.hpp"

namespace gatehouse::waf::fastpath {

/// A rule's condition ready to be asked: the same answer as the library's, negation included.
///
/// Immutable and shared by threads; the scratch is the thread's own.
class ExactOperator {
 public:
  /// Nothing, with the reason in `refusal`, for an operator without an exact native form: it reads files or the
  /// network, or (pm, pmFromFile) the library's automaton has quirks that only a superset covers.
  [[nodiscard]] static std::optional<ExactOperator> compile(const Operator& op, std::string& refusal);

  ~ExactOperator();
  ExactOperator(ExactOperator&&) noexcept;
  ExactOperator& operator=(ExactOperator&&) noexcept;

  /// Whether the condition holds for `value`. `classes` is classify(value); it only makes the answer cheaper.
  [[nodiscard]] bool matches(std::string_view value, ByteClasses classes, ExactScratch& scratch) const;

  /// As matches(), with the parameter expanded at run time (an operator whose parameter holds a macro).
  /// For rx, ipMatch and validateByteRange this compiles anew: costly, and meant for constants resolved while loading.
  [[nodiscard]] bool matches_with(std::string_view parameter, std::string_view value, ByteClasses classes,
                                  ExactScratch& scratch) const;

  /// The compiled expression of rx, for its captures; null for every other operator.
  [[nodiscard]] const ExactPattern* pattern() const noexcept;
  [[nodiscard]] OperatorKind kind() const noexcept { return kind_; }
  [[nodiscard]] bool negated() const noexcept { return negated_; }

 private:
  struct Compiled;
  ExactOperator(OperatorKind kind, bool negated, std::string parameter);
  [[nodiscard]] bool holds(std::string_view parameter, std::string_view value, ByteClasses classes,
                           ExactScratch& scratch) const;

  OperatorKind kind_;
  bool negated_;
  std::string parameter_;
  std::unique_ptr<Compiled> compiled_;
};

/// The phrases that @pm's parameter lists, split and unescaped by the library's own function.
[[nodiscard]] std::vector<std::string> pm_phrases(const std::string& parameter);

/// The phrases of a @pmFromFile file's text: its lines, without comments and empty ones.
[[nodiscard]] std::vector<std::string> pm_file_phrases(std::string_view text);

/// RE2 text for a union that finds every value a positive operator may match: a superset, exact confirmation must
/// follow. Nothing for an operator that is not a search for text (numbers, byte ranges, libinjection ...) or matches
/// everything. rx is not handled here but by translate(). `phrases` are those of pm and pmFromFile, and ignored for the
/// others.
[[nodiscard]] std::optional<std::string> union_pattern(const Operator& op, const std::vector<std::string>& phrases);

/// The tree of what union_pattern() writes, for PatternSet::add(): most phrases can't match inside a plain word. Nothing
/// where union_pattern() gives nothing, and for @pm without phrases.
[[nodiscard]] std::optional<pcre::Node> union_tree(const Operator& op, const std::vector<std::string>& phrases);

/// The number a text stands for: std::stoi with 0 for whatever it throws at (@eq), and atoll (@ge @gt @le @lt).
[[nodiscard]] int library_stoi(std::string_view text) noexcept;
[[nodiscard]] long long library_atoll(std::string_view text) noexcept;

/// libinjection 3.9.2 as linked into the library, behind proofs that need not call it:
/// a single word or decimal number is one token, and no fingerprint of one token (but a comment's) is on its list;
/// without '<' and '=' the HTML tokenizer reaches no token that can be an attack.
[[nodiscard]] bool detect_sqli(std::string_view value, ByteClasses classes);
[[nodiscard]] bool detect_xss(std::string_view value, ByteClasses classes);

/// True when the proof above applies, so that detect_sqli() or detect_xss() is false without asking libinjection.
[[nodiscard]] bool proven_not_sqli(std::string_view value, ByteClasses classes) noexcept;
[[nodiscard]] bool proven_not_xss(std::string_view value, ByteClasses classes) noexcept;

}  // namespace gatehouse::waf::fastpath
