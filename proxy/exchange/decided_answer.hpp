// Answers that rewriting decides on: `return`, `rewrite ... redirect`.
#pragma once

#include <string_view>

#include "proxy/exchange/filters/filter.hpp"

namespace gatehouse::config {
struct ReturnAction;
}

namespace gatehouse::exchange {

struct Exchange;

/// `return`: the answer at once, or, in a location with WAF, after the inspection.
[[nodiscard]] Step decide_return(Exchange& exchange, const config::ReturnAction& action);
/// As decide_return(), for a redirect to `location`.
[[nodiscard]] Step decide_redirect(Exchange& exchange, int status, std::string_view location);

/// Makes Exchange::decided the response.
void answer_decided(Exchange& exchange);

}  // namespace gatehouse::exchange
