// What the User-Agent says of a client's browser (ngx_http_browser_module, and nginx's keepalive_disable).
#pragma once

#include <optional>
#include <string_view>

#include "proxy/config/settings/browser.hpp"

namespace gatehouse::exchange {

struct Exchange;

/// Whether the browser is modern by the place's list; one without a User-Agent is unlisted. nginx's order: Netscape 4, modern
/// browsers, ancient strings, `unlisted`.
[[nodiscard]] bool is_modern(const config::BrowserSettings& settings, std::optional<std::string_view> agent) noexcept;

/// Internet Explorer up to 10, and Chrome with its kin, as ngx_http_process_user_agent tells them apart.
[[nodiscard]] bool is_msie(std::string_view agent) noexcept;
[[nodiscard]] bool is_chrome(std::string_view agent) noexcept;

/// Internet Explorer 4 to 6, without Service Pack 2 ("SV1"): nginx's "msie6".
[[nodiscard]] bool is_old_msie(std::string_view agent) noexcept;

/// Whether keep-alive is not for this browser by the words of keepalive_disable.
[[nodiscard]] bool dislikes_keepalive(std::uint32_t disable, bool is_post, std::string_view agent) noexcept;

/// Ends keep-alive for a browser that keepalive_disable names.
void respect_old_browser(Exchange& exchange);

/// "1" for a User-Agent of Internet Explorer.
[[nodiscard]] std::optional<std::string_view> msie(Exchange& exchange, std::string_view);
[[nodiscard]] std::optional<std::string_view> modern_browser(Exchange& exchange, std::string_view);
[[nodiscard]] std::optional<std::string_view> ancient_browser(Exchange& exchange, std::string_view);

}  // namespace gatehouse::exchange
