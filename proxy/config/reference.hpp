// The reference of directives, made from their rows.
#pragma once

#include <string>

namespace gatehouse::config {

/// One line for each directive: name, arguments, contexts, default (`--list-directives`).
[[nodiscard]] std::string list_directives();

/// The page conf/DIRECTIVES.md (`--list-directives=markdown`).
[[nodiscard]] std::string directives_markdown();

}  // namespace gatehouse::config
