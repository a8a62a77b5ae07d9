// Clients that stay with their server (nginx's ngx_http_upstream_sticky_module).
#pragma once

#include <string_view>

#include "proxy/config/model.hpp"
#include "proxy/exchange/exchange.hpp"

namespace gatehouse::exchange {

/// The peer (PeerSpec::sticky_id) that the request is bound to; empty: none. In the arena.
[[nodiscard]] std::string_view bound_server(Exchange& exchange, const config::Sticky& sticky);

/// For `sticky cookie`: the response tells the client that it belongs to `server`.
void tell_client(Exchange& exchange, const config::Sticky& sticky, std::string_view server);

/// For `sticky learn`: binds the session that the response begins, or that the request goes on with, to `server`.
void learn_session(Exchange& exchange, const config::Sticky& sticky, std::string_view server);

}  // namespace gatehouse::exchange
