// What happens to a response's head before it is sent.
#pragma once

#include "proxy/exchange/exchange.hpp"
#include "proxy/http/framing.hpp"

namespace gatehouse::exchange {

/// Fills Exchange::response from an upstream's head: hop-by-hop and hidden fields left out, Location and Refresh rewritten by
/// proxy_redirect, framing for the client decided, Server and Date our own. Where a cache has a part in the response, the client's
/// conditions are judged here, which the upstream has not seen. Then add_header. False: a local reply took the response's place.
[[nodiscard]] bool adopt_upstream_head(Exchange& exchange, const http::ResponseHead& head,
                                       const http::ResponseSemantics& semantics);

/// Begins a response that is made here: status, Server, Date. The caller adds what it knows, then calls settle_head().
void begin_local_head(Exchange& exchange, int status);

/// Conditions of the request (a 200 becomes 304 or 412), expires, add_header, then the choice of filters and ranges. False: a local reply
/// took the response's place.
[[nodiscard]] bool settle_head(Exchange& exchange);

/// As the end of settle_head(): filters are chosen; false when the request's range made it a 416.
[[nodiscard]] bool settle_output(Exchange& exchange);

/// Fills Exchange::response for a local reply: status, Content-Type and Content-Length of `body`, Location (left out if empty), Server,
/// Date; then add_header.
void make_local_head(Exchange& exchange, int status, std::string_view content_type, std::string_view body,
                     std::string_view location = {});

}  // namespace gatehouse::exchange
