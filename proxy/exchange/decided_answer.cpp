#include "proxy/exchange/decided_answer.hpp"

#include <algorithm>
#include <string>

#include "proxy/exchange/content/content.hpp"
#include "proxy/exchange/exchange.hpp"
#include "proxy/exchange/response_filters.hpp"
#include "proxy/exchange/variables.hpp"
#include "proxy/http/local_reply.hpp"
#include "proxy/http/status.hpp"

namespace gatehouse::exchange {
namespace {

// nginx's rewriting runs before its access phase, so the answer needs no access rules; but the WAF sees what it answers.
Step decide(Exchange& exchange, DecidedAnswer answer) {
  exchange.decided = answer;
  if (exchange.judge() != nullptr && !exchange.waf) return Step::next;
  answer_decided(exchange);
  return Step::answered;
}

}  // namespace

Step decide_return(Exchange& exchange, const config::ReturnAction& action) {
  DecidedAnswer answer{action.status, std::nullopt};
  if (action.text) answer.text = evaluate(*action.text, exchange);
  return decide(exchange, answer);
}

Step decide_redirect(Exchange& exchange, int status, std::string_view location) {
  return decide(exchange, {status, location});
}

void answer_decided(Exchange& exchange) {
  const DecidedAnswer answer = *exchange.decided;
  exchange.decided.reset();
  if (answer.status == http::kCloseSilently) {
    exchange.response.status = http::kCloseSilently;
    exchange.error_status = 0;
    exchange.local = true;
  } else if (http::is_redirect(answer.status)) {
    exchange.redirect(answer.status, answer.text.value_or(std::string_view{}));
  } else if (answer.text && (answer.status < 400 || !answer.text->empty())) {
    make_local_head(exchange, answer.status, type_of_uri(exchange, exchange.path), *answer.text);
  } else if (answer.status < 400) {
    make_local_head(exchange, answer.status, type_of_uri(exchange, exchange.path), {});
  } else {
    exchange.reply(answer.status, Reason::none);
  }
}

}  // namespace gatehouse::exchange
