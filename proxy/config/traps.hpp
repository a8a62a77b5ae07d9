// `-t` warns of what is valid and rarely meant: nginx's well-known traps.
#pragma once

#include "proxy/config/directive.hpp"

namespace gatehouse::config {

/// Looks at a server's or location's own statements once they are bound, and warns at the place of each trap, with its reason and the
/// remedy. Does nothing unless LoadOptions::warn_of_traps is set.
void warn_of_traps(Level& level);

}  // namespace gatehouse::config
