// The answer of `proxy_pass`: a peer is chosen, the request sent, the response relayed; failures are retried where that is safe.
#pragma once

#include "proxy/exchange/exchange.hpp"
#include "proxy/io/task.hpp"

namespace gatehouse::exchange {

/// Serves the exchange from its upstream. When it ends, the response was sent, or Exchange holds a local reply that is still to be sent,
/// or the connection was given up (Downstream::abort).
[[nodiscard]] io::Task<void> serve_from_upstream(Exchange& exchange);

}  // namespace gatehouse::exchange
