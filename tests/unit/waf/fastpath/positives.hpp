// Texts that a pattern is likely to match, made from its syntax tree, and the patterns of the installed rules.
#pragma once

#include <string>
#include <vector>

#include "tests/unit/waf/fastpath/library.hpp"
#include "waf/fastpath/pcre_syntax.hpp"

namespace gatehouse::waf::fastpath::testing {

/// A random text that matches `tree` if its assertions happen to hold.
[[nodiscard]] std::string positive(const pcre::Node& tree, Inputs& random);

/// The parameters of every @rx and !@rx of the installed CRS, as the library keeps them; empty if it is not installed.
[[nodiscard]] std::vector<std::string> installed_patterns();

}  // namespace gatehouse::waf::fastpath::testing
