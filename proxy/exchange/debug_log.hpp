// The longer debug messages of an exchange: heads as they came and go, in nginx's words.
#pragma once

#include <string_view>

#include "proxy/exchange/exchange.hpp"

namespace gatehouse::exchange {

// Ask exchange.debugs() first. All run on the exchange's thread and write at once.

/// The request line, what it was taken apart into, and each header field.
void tell_request(const Exchange& exchange);
/// The head that goes up.
void tell_upstream_request(const Exchange& exchange, std::string_view head);
/// Status and fields of the upstream's answer.
void tell_upstream_response(const Exchange& exchange, const http::ResponseHead& head);
/// Status and fields of the answer to the client, before framing and connection fields are added.
void tell_response(const Exchange& exchange);
/// The location whose settings hold from here on.
void tell_location(const Exchange& exchange);

}  // namespace gatehouse::exchange
