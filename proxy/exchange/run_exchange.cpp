#include "proxy/exchange/run_exchange.hpp"

#include <array>
#include <chrono>

#include "proxy/exchange/access_log.hpp"
#include "proxy/exchange/filters/access.hpp"
#include "proxy/exchange/filters/body_limit.hpp"
#include "proxy/exchange/filters/real_address.hpp"
#include "proxy/exchange/filters/routing.hpp"
#include "proxy/exchange/proxy.hpp"
#include "proxy/exchange/response_filters.hpp"
#include "proxy/exchange/variables.hpp"
#include "proxy/exchange/waf_gate.hpp"
#include "proxy/http/local_reply.hpp"

namespace gatehouse::exchange {
namespace {

// A location without WAF answers `return` before access rules are asked, as nginx's rewrite phase does.
Step answer_return_uninspected(Exchange& exchange);

// What happens between routing and the WAF, in this order: what refuses cheaply comes first.
constexpr std::array kBeforeInspection = {
    RequestFilter{"real_address", find_real_address,
                  "everything behind it judges and logs the client by its real address"},
    RequestFilter{"body_limit", check_announced_body,
                  "a body that is too long is refused before anything else costs time"},
    RequestFilter{"return", answer_return_uninspected, "nginx's rewrite phase runs before its access phase"},
    RequestFilter{"access", check_access, "the last cheap refusal; the WAF behind it is the costly one"},
};

void answer_return(Exchange& exchange) {
  const config::ReturnAction& action = *exchange.route->location->return_action;
  if (action.status == http::kCloseSilently) {
    exchange.response.status = http::kCloseSilently;
    exchange.local = true;
    return;
  }
  const std::string_view text = action.text ? evaluate(*action.text, exchange) : std::string_view{};
  switch (action.status) {
    case 301:
    case 302:
    case 303:
    case 307:
    case 308: exchange.redirect(action.status, text); return;
    default: break;
  }
  if (!action.text) {
    if (action.status < 300)
      exchange.reply_empty(action.status);
    else
      exchange.reply(action.status, Reason::none);
    return;
  }
  make_local_head(exchange, action.status, exchange.settings().default_type, text);
}

Step answer_return_uninspected(Exchange& exchange) {
  if (!exchange.route->location->return_action || exchange.route->rules) return Step::next;
  answer_return(exchange);
  return Step::answered;
}

io::Task<Step> inspect(Exchange& exchange) {
  exchange.waf = std::make_unique<WafGate>(exchange);
  auto inspecting = exchange.waf->inspect_request();
  co_return co_await inspecting;
}

io::Task<void> answer(Exchange& exchange) {
  if (exchange.route->rules) {
    auto inspecting = inspect(exchange);
    if (const Step step = co_await inspecting; step == Step::answered) co_return;
  }
  const config::Location& location = *exchange.route->location;
  if (location.return_action) {
    answer_return(exchange);
  } else if (location.proxy_pass) {
    auto serving = serve_from_upstream(exchange);
    co_await serving;
  } else {
    exchange.fail(Reason::no_location);
  }
}

io::Task<void> send_local_reply(Exchange& exchange) {
  if (exchange.response.status == http::kCloseSilently || exchange.response.status == 0) {
    exchange.downstream.abort();
    co_return;
  }
  const std::string_view body = exchange.is_head() ? std::string_view{} : exchange.local_body;
  auto sending = exchange.downstream.send_head(exchange.response, body, true);
  const auto sent = co_await sending;
  if (!sent) exchange.fail_sending(sent.error());
}

std::uint64_t microseconds(Clock::duration duration) {
  return static_cast<std::uint64_t>(
      std::max<std::int64_t>(0, std::chrono::duration_cast<std::chrono::microseconds>(duration).count()));
}

// Every way out of an exchange: metrics, access log, the WAF's logging phase.
void finish(Exchange& exchange) {
  ThreadMetrics& metrics = exchange.thread.metrics;
  const std::uint32_t route = exchange.route->metrics_route;
  if (exchange.waf) exchange.waf->finish();
  metrics.count(route, exchange.head.method, exchange.response.status);
  RouteMetrics& counters = metrics.current(route);
  counters.request_duration.observe(microseconds(exchange.now() - exchange.started));
  if (!exchange.tries.empty() && exchange.tries.back().response_time.count() >= 0) {
    counters.upstream_duration.observe(microseconds(exchange.tries.back().response_time));
  }
  counters.request_bytes.add(exchange.downstream.request_bytes());
  counters.response_bytes.add(exchange.downstream.bytes_sent());
  counters.waf[static_cast<std::size_t>(exchange.waf ? exchange.waf->outcome() : WafOutcome::off)].add();
  if (exchange.reason != Reason::none) metrics.ends[static_cast<std::size_t>(exchange.reason)].add();
  write_access_log(exchange);
}

}  // namespace

io::Task<void> run_exchange(Exchange& exchange, const ListenerRuntime& listener) {
  Step step = find_route(exchange, listener);
  for (const RequestFilter& filter : kBeforeInspection) {
    if (step == Step::answered) break;
    step = filter.run(exchange);
  }
  if (step == Step::next) {
    auto answering = answer(exchange);
    co_await answering;
  }
  if (exchange.local && !exchange.downstream.head_sent()) {
    auto sending = send_local_reply(exchange);
    co_await sending;
  }
  finish(exchange);
}

io::Task<void> refuse_exchange(Exchange& exchange, const ListenerRuntime& listener, Reason why) {
  use_default_route(exchange, listener);
  exchange.downstream.close_after_response();
  exchange.fail(why);
  auto sending = send_local_reply(exchange);
  co_await sending;
  finish(exchange);
}

}  // namespace gatehouse::exchange
