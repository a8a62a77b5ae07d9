// The plan in words, for `gatehouse -t --explain-waf`.
#pragma once

#include <string>

#include "waf/fastpath/build.hpp"

namespace gatehouse::waf::fastpath {

/// How much of an explanation is wanted.
enum class Detail : std::uint8_t {
  summary,    ///< counts, and everything that costs speed
  each_rule,  ///< one line per rule too
};

/// How the rules were classified, what is refused and why, and which kinds of requests cannot be proven clean. Several
/// lines, each ended.
[[nodiscard]] std::string explain(const UnderstoodRules& understood, const BuiltFastPath& built, Detail detail);

}  // namespace gatehouse::waf::fastpath
