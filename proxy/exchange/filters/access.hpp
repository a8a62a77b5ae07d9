// allow and deny (ngx_http_access_module).
#pragma once

#include "proxy/exchange/filters/filter.hpp"

namespace gatehouse::exchange {

/// The first rule that holds the client's address decides; no rule allows. 403 with nginx's log line.
[[nodiscard]] Step check_access(Exchange& exchange);

}  // namespace gatehouse::exchange
