// Why a message was not proven clean and takes the full path: one row per reason.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace gatehouse::waf::fastpath {

// clang-format off
// X(name, metric label, text for explanations)
#define GATEHOUSE_WAF_FULL_PATH_REASONS(X)                                                                   \
  X(none,                 "none",                 "proven clean")                                            \
  X(rule_may_match,       "rule_may_match",       "a rule matches or may match")                             \
  X(scan_out_of_memory,   "scan_out_of_memory",   "a pattern automaton ran out of memory")                   \
  X(head_not_modelled,    "head_not_modelled",    "the request head has a form only the library parses")     \
  X(body_not_modelled,    "body_not_modelled",    "the body has a form only the library parses, or is broken") \
  X(body_not_in_memory,   "body_not_in_memory",   "the body was spilled to a file or cut off")               \
  X(body_over_limit,      "body_over_limit",      "the body is longer than SecRequestBodyLimit")             \
  X(too_many_values,      "too_many_values",      "more values than are worth looking at")                   \
  X(value_too_long,       "value_too_long",       "a value longer than an exact pattern may be run on")
// clang-format on

enum class FullPathReason : std::uint8_t {
#define GATEHOUSE_WAF_REASON_ENUMERATOR(name, label, text) name,
  GATEHOUSE_WAF_FULL_PATH_REASONS(GATEHOUSE_WAF_REASON_ENUMERATOR)
#undef GATEHOUSE_WAF_REASON_ENUMERATOR
};

#define GATEHOUSE_WAF_REASON_COUNT(...) +1  // NOLINT(bugprone-macro-parentheses): a sum is made of them
/// For counters indexed by reason.
inline constexpr std::size_t full_path_reason_count = 0 GATEHOUSE_WAF_FULL_PATH_REASONS(GATEHOUSE_WAF_REASON_COUNT);
#undef GATEHOUSE_WAF_REASON_COUNT

/// Metric label: "rule_may_match".
[[nodiscard]] std::string_view label(FullPathReason reason) noexcept;
/// In words, for `--explain-waf` and the log.
[[nodiscard]] std::string_view describe(FullPathReason reason) noexcept;

}  // namespace gatehouse::waf::fastpath
