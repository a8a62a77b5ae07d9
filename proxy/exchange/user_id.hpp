// The cookie of userid (ngx_http_userid_module).
#pragma once

#include <optional>
#include <string_view>

namespace gatehouse::exchange {

struct Exchange;

/// Adds Set-Cookie (and P3P) to Exchange::response where the client has no good cookie yet.
void add_user_id(Exchange& exchange);

/// $uid_got: "NAME=HEX" of the client's cookie; nothing without one.
[[nodiscard]] std::optional<std::string_view> uid_got(Exchange& exchange, std::string_view);
/// $uid_set: the same of the cookie that is being set.
[[nodiscard]] std::optional<std::string_view> uid_set(Exchange& exchange, std::string_view);

}  // namespace gatehouse::exchange
