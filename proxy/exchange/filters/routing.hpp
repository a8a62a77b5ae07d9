// Host and path -> server, location; and what makes a request unfit for the server it asks for.
#pragma once

#include "proxy/exchange/filters/filter.hpp"
#include "proxy/exchange/generation.hpp"

namespace gatehouse::exchange {

/// Chooses the server by the request's authority, checks it against the connection's TLS (client certificate, 421), normalises the
/// path and chooses the location.
[[nodiscard]] Step find_route(Exchange& exchange, const ListenerRuntime& listener);

/// Puts the listener's default server's own level in place, so that a refusal has settings and a route to be logged under.
void use_default_route(Exchange& exchange, const ListenerRuntime& listener);

}  // namespace gatehouse::exchange
