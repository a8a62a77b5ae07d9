// The syntax tree of a PCRE2 pattern as libmodsecurity compiles it: DOTALL | MULTILINE, bytes, no UTF.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace gatehouse::waf::fastpath::pcre {

using ByteSet = std::bitset<256>;

/// What a node of the tree is. Case folding, classes and flags are already resolved into byte sets and assertions.
enum class NodeKind : std::uint8_t {
  empty,                      ///< matches the empty text
  set,                        ///< one byte of `bytes`
  sequence,                   ///< children one after the other
  choice,                     ///< one of the children
  repeat,                     ///< the only child, `min` to `max` times
  atomic,                     ///< the only child, without backtracking into it
  group,                      ///< the only child, captured as `group`
  back_reference,             ///< what some group captured
  look_around,                ///< the only child as an assertion about the text around; the text itself is not consumed
  line_start,                 ///< ^ under (?m): the start, or after a newline that is not the last byte
  line_end,                   ///< $ under (?m)
  text_start,                 ///< \A, \G, ^ without m
  text_end,                   ///< \z
  text_end_or_final_newline,  ///< \Z, $ without m
  word_boundary,              ///< \b
  not_word_boundary,          ///< \B
};

inline constexpr std::uint32_t unbounded = UINT32_MAX;

struct Node {
  NodeKind kind = NodeKind::empty;
  ByteSet bytes;  ///< set
  std::vector<Node> children;
  std::uint32_t min = 0;    ///< repeat
  std::uint32_t max = 0;    ///< repeat; `unbounded` for none
  bool possessive = false;  ///< repeat
  bool negated = false;     ///< look_around
  bool behind = false;      ///< look_around
  std::uint32_t group = 0;  ///< group
};

/// Why a pattern has no tree: a construct that is not modelled (recursion, conditionals, verbs, Unicode properties
/// ...).
struct Refusal {
  std::string reason;
  std::size_t offset = 0;  ///< byte of the pattern where it was met
};

/// Parses a pattern that PCRE2 10.42 accepts. Of one that it does not accept the outcome is a refusal or any tree.
/// Source: pcre2pattern(3), pcre2compat(3) of 10.42.
[[nodiscard]] std::variant<Node, Refusal> parse(std::string_view pattern);

/// The tree as texts whose bytes are all in `alphabet` see it: byte sets lose what is outside, branches that need such
/// a byte are gone. Nothing if no such text can match: a proof. Assertions count as satisfiable, back references too.
[[nodiscard]] std::optional<Node> restrict_to(const Node& tree, const ByteSet& alphabet);

/// The tree of texts whose lower case (of ASCII letters) `tree` matches: a set takes whatever becomes one of its bytes.
/// What else the tree says is the same of a text and its lower case.
[[nodiscard]] Node before_lowercase(const Node& tree);

}  // namespace gatehouse::waf::fastpath::pcre
