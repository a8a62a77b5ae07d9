#include "proxy/exchange/filters/access.hpp"

#include "proxy/exchange/exchange.hpp"
#include "proxy/exchange/filters/real_address.hpp"

namespace gatehouse::exchange {

Step check_access(Exchange& exchange) {
  if (exchange.route->guards) return Step::next;  // check_admission() asks, with all else that it asks
  const auto& rules = *exchange.settings().access;
  if (rules.empty()) return Step::next;
  const config::NetworkRule* rule = match_network(rules, exchange.client);
  if (rule == nullptr || rule->allow) return Step::next;
  exchange.fail(Reason::access_denied);
  return Step::answered;
}

}  // namespace gatehouse::exchange
