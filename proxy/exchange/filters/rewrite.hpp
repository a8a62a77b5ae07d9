// Rewriting: the programs of `set`, `if`, `rewrite`, `return` and `break`, and the location that comes of them.
#pragma once

#include "proxy/exchange/filters/filter.hpp"

namespace gatehouse::exchange {

/// Runs the server's program, finds the location, runs its program, and again while the URI changes: nginx's phases server_rewrite,
/// find_config, rewrite and post_rewrite. After an internal redirect to a named location it begins with that location's program.
/// `answered`: by `return`, a redirect, a body that is too long, or 500 for a URI that keeps changing. With Exchange::decided set it
/// says `next`: the answer waits for the WAF.
[[nodiscard]] Step rewrite_and_route(Exchange& exchange);

}  // namespace gatehouse::exchange
