// What happens to a response's head before it is sent.
#pragma once

#include "proxy/exchange/exchange.hpp"
#include "proxy/http/framing.hpp"

namespace gatehouse::exchange {

/// Fills Exchange::response from an upstream's head: hop-by-hop and hidden fields left out, Location and Refresh rewritten by
/// proxy_redirect, framing for the client decided, Server and Date our own. Then add_header.
void adopt_upstream_head(Exchange& exchange, const http::ResponseHead& head, const http::ResponseSemantics& semantics);

/// Fills Exchange::response for a local reply: status, Content-Type and Content-Length of `body`, Location (left out if empty), Server,
/// Date; then add_header.
void make_local_head(Exchange& exchange, int status, std::string_view content_type, std::string_view body,
                     std::string_view location = {});

}  // namespace gatehouse::exchange
