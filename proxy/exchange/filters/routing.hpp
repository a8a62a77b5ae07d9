// Host and path -> server, location; and what makes a request unfit for the server it asks for.
#pragma once

#include "proxy/exchange/filters/filter.hpp"
#include "proxy/exchange/generation.hpp"

namespace gatehouse::exchange {

/// Chooses the server by the request's authority, checks it against the connection's TLS (client certificate, 421), normalises the
/// path and enters the server's own level.
[[nodiscard]] Step find_server(Exchange& exchange, const ListenerRuntime& listener);

/// Chooses the location by Exchange::path and enters it. `answered`: the location is internal and the client asked for it, or it
/// wants a slash at the path's end.
[[nodiscard]] Step find_location(Exchange& exchange);

/// Makes a location's settings those of the exchange.
void enter(Exchange& exchange, const config::Location& location);

/// The server that the exchange was routed to.
[[nodiscard]] const ServerRuntime& server_of(const Exchange& exchange);

/// Puts the listener's default server's own level in place, so that a refusal has settings and a route to be logged under.
void use_default_route(Exchange& exchange, const ListenerRuntime& listener);

}  // namespace gatehouse::exchange
