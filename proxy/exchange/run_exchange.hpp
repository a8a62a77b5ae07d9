// The way of one exchange from its parsed head to its log line.
#pragma once

#include "proxy/exchange/exchange.hpp"
#include "proxy/io/task.hpp"

namespace gatehouse::exchange {

/// Walks the phases: server, real address, rewriting and location, access, WAF, answer (return, proxy), error page, log. The response has been sent, or the
/// connection was given up, when it ends. `listener` is the generation's listener that the connection came in on.
[[nodiscard]] io::Task<void> run_exchange(Exchange& exchange, const ListenerRuntime& listener);

/// Answers a request whose head could not be used: local reply of `why`'s row, log line, metrics. `exchange` may have an empty head.
[[nodiscard]] io::Task<void> refuse_exchange(Exchange& exchange, const ListenerRuntime& listener, Reason why);

/// The phases of a subrequest, whose server and path are set: no choice of a server, no metrics, no log.
[[nodiscard]] io::Task<void> run_subrequest(Exchange& exchange);

}  // namespace gatehouse::exchange
