// A PCRE2 pattern as RE2 text that matches at least every text the PCRE2 pattern matches.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "waf/fastpath/pcre_syntax.hpp"

namespace gatehouse::waf::fastpath {

/// A pattern ready for an RE2::Set, or why there is none.
struct Translation {
  std::optional<pcre::Node> tree;  ///< absent: the syntax is not modelled
  std::string re2;                 ///< Latin-1, no flags needed; meaningful only if `tree` is present
  bool exact = false;              ///< the RE2 text matches exactly the same texts
  std::string refusal;             ///< why `tree` is absent, in words
};

/// Translates what `@rx pattern` means in libmodsecurity (DOTALL | MULTILINE, no UTF).
///
/// The language of `re2` is a superset: look-arounds are dropped, back references become "anything", atomic groups and
/// possessive repeats may backtrack, counts beyond what RE2 takes are widened. Hence never use it for a negated
/// operator. Precondition: PCRE2 compiles the pattern. Loading time only.
[[nodiscard]] Translation translate(std::string_view pattern);

/// RE2 text of what is left of a pattern in texts whose bytes are all in `alphabet`: for such texts, and only for them,
/// a superset of what the pattern matches. Nothing if no such text can match.
[[nodiscard]] std::optional<std::string> restricted_pattern(const pcre::Node& tree, const pcre::ByteSet& alphabet);

/// RE2 text that finds `phrase`, in either case of ASCII letters if `caseless`.
[[nodiscard]] std::string phrase_pattern(std::string_view phrase, bool caseless);

/// The same as a syntax tree: a sequence of byte sets.
[[nodiscard]] pcre::Node phrase_tree(std::string_view phrase, bool caseless);

/// RE2 text of one byte set, as used by translate(): "\x41" or "[\x41-\x5a]".
[[nodiscard]] std::string byte_set_pattern(const pcre::ByteSet& bytes);

/// True when the linked PCRE2 is the version (10.42) and build (newline is LF) whose syntax the translation models.
[[nodiscard]] bool models_linked_pcre2();

}  // namespace gatehouse::waf::fastpath
