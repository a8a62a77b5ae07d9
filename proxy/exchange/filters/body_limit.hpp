// client_max_body_size for bodies that announce their length.
#pragma once

#include "proxy/exchange/filters/filter.hpp"

namespace gatehouse::exchange {

/// 413 before anything of a body that is announced too long is read. Chunked bodies are counted while they are read.
[[nodiscard]] Step check_announced_body(Exchange& exchange);

}  // namespace gatehouse::exchange
