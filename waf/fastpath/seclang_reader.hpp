// Rule texts -> RuleList: what the library was given to load, read a second time by us.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "waf/fastpath/ir.hpp"

namespace gatehouse::waf::fastpath {

/// One text that was handed to the library, in program order: innermost configuration level first.
struct RuleSource {
  std::string name;  ///< the file's path, or the name an inline text was loaded under; Include looks beside it
  std::string text;
};

/// Why the rules were not understood; the library may still load them, only the fast path is refused.
struct Misread {
  Origin where;
  std::string what;
};

/// The rules, or why there are none.
struct ReadRules {
  RuleList rules;
  std::optional<Misread> misread;
};

/// Reads every source with its Include files. Loading time only: opens files. Relative includes are looked up from the
/// working directory first and beside the including file second, as the library does (utils/system.cc find_resource).
[[nodiscard]] ReadRules read_rules(std::span<const RuleSource> sources);

}  // namespace gatehouse::waf::fastpath
