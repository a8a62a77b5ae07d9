#include "proxy/exchange/run_exchange.hpp"

#include <array>
#include <chrono>

#include "proxy/config/settings/auth.hpp"
#include "proxy/exchange/access_log.hpp"
#include "proxy/exchange/browser.hpp"
#include "proxy/exchange/content/content.hpp"
#include "proxy/exchange/debug_log.hpp"
#include "proxy/exchange/decided_answer.hpp"
#include "proxy/exchange/error_pages.hpp"
#include "proxy/exchange/filters/access.hpp"
#include "proxy/exchange/filters/guards.hpp"
#include "proxy/exchange/filters/real_address.hpp"
#include "proxy/exchange/filters/rewrite.hpp"
#include "proxy/exchange/filters/routing.hpp"
#include "proxy/exchange/proxy.hpp"
#include "proxy/exchange/response_filters.hpp"
#include "proxy/exchange/response_output.hpp"
#include "proxy/exchange/subrequest.hpp"
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

// Limits, passwords, subrequests, copies: what a place without them does not pay for.
io::Task<Step> guard(Exchange& exchange) {
  auto limiting = check_limits(exchange);
  if (const Step step = co_await limiting; step == Step::answered) co_return step;
  auto admitting = check_admission(exchange);
  if (const Step step = co_await admitting; step == Step::answered) co_return step;
  auto mirroring = start_mirrors(exchange);
  co_return co_await mirroring;
}

io::Task<void> answer(Exchange& exchange) {
  // Rewriting decides before limits and access rules are asked, as in nginx.
  if (exchange.route->guards && !exchange.decided) {
    auto guarding = guard(exchange);
    if (const Step guarded = co_await guarding; guarded == Step::answered) co_return;
  }
  // Once an exchange, whatever rewriting and error pages make of it: the WAF judges what the client sent.
  if (exchange.judge() != nullptr && !exchange.waf && exchange.parent == nullptr) {
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
  } else if (needs_content(exchange)) {
    auto serving = serve_content(exchange);
    co_await serving;
  } else {
    auto serving = serve_from_upstream(exchange);
    co_await serving;
  }
}

void start_post_action(Exchange& exchange) {
  const std::string& uri = exchange.settings().mirror->post_action;
  if (uri.empty()) return;
  if (!exchange.background) exchange.background = std::make_unique<BackgroundSubrequests>();
  exchange.background->start(exchange, uri, SubrequestBody::none);
}

io::Task<void> send_local_reply(Exchange& exchange) {
  if (exchange.response.status == http::kCloseSilently || exchange.response.status == 0) {
    exchange.downstream.abort();
    co_return;
  }
  std::string_view body = exchange.local_body;
  if (exchange.route->shapes_output || exchange.allow_ranges) {
    if (!settle_output(exchange)) body = exchange.local_body;
  }
  if (exchange.is_head()) body = {};
  auto sending = send_response_head(exchange, body, true);
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
  metrics.requests_finished.add();
  const std::uint32_t route = exchange.route->metrics_route;
  exchange.debug("http finalize request: {}, \"{}?{}\"", exchange.response.status, exchange.path, exchange.args);
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
  exchange.answered_whole = exchange.downstream.head_sent() && !exchange.downstream.aborted();
  exchange.debug("http log handler");
  write_access_log(exchange);
}

// One coroutine for both kinds, since a frame more is what every request would pay for. `listener` is null for a subrequest.
io::Task<void> run(Exchange& exchange, const ListenerRuntime* listener) {
  Step step = Step::next;
  if (listener != nullptr) {
    exchange.thread.metrics.requests_begun.add();
    step = find_server(exchange, *listener);
    if (exchange.debugs()) tell_request(exchange);
  }
  // All phases until something answers; a redirect begins them again.
  for (;;) {
    exchange.redirected = false;
    if (step == Step::next) step = before_inspection(exchange);
    if (exchange.method == http::Method::post || exchange.settings().browser) respect_old_browser(exchange);
    if (step == Step::next) {
      auto answering = answer(exchange);
      co_await answering;
    }
    step = Step::next;
    if (exchange.redirected) continue;
    if (!exchange.local || exchange.downstream.head_sent() || !take_error_page(exchange)) break;
  }
  if (exchange.local && !exchange.downstream.head_sent() && !exchange.downstream.aborted()) {
    auto sending = send_local_reply(exchange);
    co_await sending;
  }
  if (listener == nullptr) co_return;
  if (exchange.settings().mirror && exchange.downstream.head_sent()) start_post_action(exchange);
  if (exchange.background) {
    auto joining = exchange.background->join();
    co_await joining;
  }
  finish(exchange);
}

}  // namespace

io::Task<void> run_exchange(Exchange& exchange, const ListenerRuntime& listener) { return run(exchange, &listener); }

io::Task<void> run_subrequest(Exchange& exchange) { return run(exchange, nullptr); }

io::Task<void> refuse_exchange(Exchange& exchange, const ListenerRuntime& listener, Reason why) {
  exchange.thread.metrics.requests_begun.add();
  use_default_route(exchange, listener);
  exchange.downstream.close_after_response();
  exchange.fail(why);
  auto sending = send_local_reply(exchange);
  co_await sending;
  finish(exchange);
}

}  // namespace gatehouse::exchange
