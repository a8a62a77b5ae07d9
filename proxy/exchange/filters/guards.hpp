// What may hold up or refuse a request before the WAF, beyond plain address rules: limits, passwords, subrequests, copies.
#pragma once

#include "proxy/config/model.hpp"
#include "proxy/exchange/filters/filter.hpp"
#include "proxy/io/task.hpp"

namespace gatehouse::exchange {

struct Exchange;

/// limit_req and limit_conn (nginx's preaccess phase), once for an exchange. May wait.
[[nodiscard]] io::Task<Step> check_limits(Exchange& exchange);

/// allow and deny, auth_basic, auth_request, as `satisfy` joins them (nginx's access phase). May wait.
[[nodiscard]] io::Task<Step> check_admission(Exchange& exchange);

/// Starts the copies that `mirror` asks for (nginx's precontent phase); reads the body first if they have it.
[[nodiscard]] io::Task<Step> start_mirrors(Exchange& exchange);

/// The settings of access rules: the location's, or limit_except's for other methods.
[[nodiscard]] const config::LocationSettings& admission_settings(const Exchange& exchange) noexcept;

}  // namespace gatehouse::exchange
