// What proxying rewrites in an upstream's response fields: Location, Refresh, Set-Cookie; and what it acts on: X-Accel-*.
#pragma once

#include <string_view>

#include "proxy/config/settings/proxy_transform.hpp"
#include "proxy/exchange/exchange.hpp"

namespace gatehouse::exchange {

/// A Location as proxy_redirect makes it; `value` itself, by address too, when no rule holds.
[[nodiscard]] std::string_view redirected(Exchange& exchange, std::string_view value);
/// The same behind the "url=" of a Refresh.
[[nodiscard]] std::string_view redirected_refresh(Exchange& exchange, std::string_view value);
/// A Set-Cookie as proxy_cookie_domain, _path and _flags make it.
[[nodiscard]] std::string_view rewritten_cookie(Exchange& exchange, std::string_view value);

/// Acts on X-Accel-Limit-Rate, -Buffering and -Charset, unless proxy_ignore_headers says not to.
void obey_accel_fields(Exchange& exchange, const http::Fields& fields);

}  // namespace gatehouse::exchange
