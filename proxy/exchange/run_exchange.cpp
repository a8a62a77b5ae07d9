#include "proxy/exchange/run_exchange.hpp"

#include <array>
#include <chrono>

#include "proxy/exchange/access_log.hpp"
#include "proxy/exchange/decided_answer.hpp"
#include "proxy/exchange/error_pages.hpp"
#include "proxy/exchange/filters/access.hpp"
#include "proxy/exchange/filters/real_address.hpp"
#include "proxy/exchange/filters/rewrite.hpp"
#include "proxy/exchange/filters/routing.hpp"
#include "proxy/exchange/proxy.hpp"
#include "proxy/exchange/waf_gate.hpp"
#include "proxy/http/local_reply.hpp"

namespace gatehouse::exchange {
namespace {

// What happens between the choice of the server and the WAF, in this order: what refuses cheaply comes first.
constexpr std::array kBeforeInspection = {
    RequestFilter{"real_address", find_real_address,
                  "everything behind it judges and logs the client by its real address"},
    RequestFilter{"rewrite", rewrite_and_route,
                  "chooses the location, whose settings hold from here on; refuses a body that is too long; `return` "
                  "answers before access rules are asked, as in nginx"},
    RequestFilter{"real_address_of_location", find_real_address,
                  "a location may trust proxies that its server does not"},
    RequestFilter{"access", check_access, "the last cheap refusal; the WAF behind it is the costly one"},
};

Step before_inspection(Exchange& exchange) {
  for (const RequestFilter& filter : kBeforeInspection) {
    if (filter.run(exchange) == Step::answered) return Step::answered;
  }
  return Step::next;
}

io::Task<Step> inspect(Exchange& exchange) {
  auto inspecting = exchange.waf->inspect_request();
  co_return co_await inspecting;
}

io::Task<void> answer(Exchange& exchange) {
  // Once an exchange, whatever rewriting and error pages make of it: the WAF judges what the client sent.
  if (exchange.judge() != nullptr && !exchange.waf) {
    exchange.waf = std::make_unique<WafGate>(exchange, *exchange.judge());
    if (const auto step = exchange.waf->decide_request()) {
      if (*step == Step::answered) co_return;
    } else {
      auto inspecting = inspect(exchange);
      if (const Step awaited = co_await inspecting; awaited == Step::answered) co_return;
    }
  }
  if (exchange.decided) {
    answer_decided(exchange);
  } else if (exchange.route->location->proxy_pass) {
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
  if (exchange.waf) {
    exchange.waf->finish();
  } else {
    metrics.waf_ways.off.add();
  }
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
  Step step = find_server(exchange, listener);
  for (;;) {
    if (step == Step::next) step = before_inspection(exchange);
    if (step == Step::next) {
      auto answering = answer(exchange);
      co_await answering;
    }
    if (!exchange.local || exchange.downstream.head_sent() || !take_error_page(exchange)) break;
    step = Step::next;
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
