// Reading a request's body from the client into Exchange::body.
#pragma once

#include "proxy/exchange/exchange.hpp"
#include "proxy/io/task.hpp"

namespace gatehouse::exchange {

/// Reads the whole body, in memory up to client_body_buffer_size and in a file beyond it; counts it against client_max_body_size. On
/// failure the exchange is answered already (413, 408, 400, 500) or the client is gone, and the error says so. A second call does
/// nothing.
[[nodiscard]] io::Task<Result<void>> collect_request_body(Exchange& exchange);

/// Answers an exchange whose body could not be read, by the reason's row; the connection closes.
void fail_reading_body(Exchange& exchange, Error error);

}  // namespace gatehouse::exchange
