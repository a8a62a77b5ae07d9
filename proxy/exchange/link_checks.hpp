// Variables that judge where a request comes from: $secure_link, $invalid_referer.
#pragma once

#include <optional>
#include <string_view>

namespace gatehouse::exchange {

struct Exchange;

/// nginx's ngx_http_secure_link_module: by secure_link and secure_link_md5 "" (wrong), "0" (expired) or "1"; by secure_link_secret the
/// link behind a right hash, or "".
[[nodiscard]] std::optional<std::string_view> secure_link(Exchange& exchange, std::string_view);

/// nginx's ngx_http_referer_module: "" for a referer that valid_referers lists, else "1".
[[nodiscard]] std::optional<std::string_view> invalid_referer(Exchange& exchange, std::string_view);

}  // namespace gatehouse::exchange
