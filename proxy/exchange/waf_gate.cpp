#include "proxy/exchange/waf_gate.hpp"

#include <chrono>

#include <fmt/format.h>

#include "proxy/exchange/exchange.hpp"
#include "proxy/exchange/read_body.hpp"
#include "proxy/exchange/variables.hpp"
#include "proxy/http/local_reply.hpp"
#include "proxy/io/worker_pool.hpp"

namespace gatehouse::exchange {
namespace {

std::string_view version_of(http::Version version) {
  switch (version) {
    case http::Version::http10: return "1.0";
    case http::Version::http11: return "1.1";
    case http::Version::http2: return "2.0";
  }
  return "1.1";
}

std::vector<waf::HeaderView> views_of(const http::Fields& fields) {
  std::vector<waf::HeaderView> views;
  views.reserve(fields.size());
  for (const auto& field : fields) views.push_back({field.name, field.value});
  return views;
}

}  // namespace

/// What the phases share; phase 5 may run after the exchange is gone, so everything that it needs is owned here.
struct WafGate::Transaction {
  Transaction(waf::Engine& engine, std::shared_ptr<const waf::RuleSet> rules) : evaluation(engine, std::move(rules)) {}
  waf::Evaluation evaluation;
  std::string client_ip, server_ip, uri, unique_id;
  std::string spill_path;
};

WafGate::WafGate(Exchange& exchange, const LocationRuntime& judge) : exchange_(exchange), route_(judge) {}
WafGate::~WafGate() = default;

io::Task<Step> WafGate::inspect_request() {
  Exchange& ex = exchange_;
  auto guarded = waf::guard_request_target(ex.semantics.path_and_query);
  if (!guarded) {
    ex.downstream.close_after_response();
    ex.fail(guarded.error().reason);
    co_return Step::answered;
  }
  transaction_ = std::make_shared<Transaction>(ex.thread.waf.engine, route_.rules);
  Transaction& transaction = *transaction_;
  transaction.client_ip = ex.client_ip;
  transaction.server_ip = ex.connection.local.ip_string();
  transaction.uri = std::move(*guarded);
  if (const auto& id = ex.settings().modsecurity_transaction_id) transaction.unique_id = evaluate(*id, ex);

  const std::vector<waf::HeaderView> headers = views_of(ex.head.fields);
  waf::RequestInput input;
  input.client = {transaction.client_ip, ex.client.port()};
  input.server = {transaction.server_ip, ex.connection.local.port()};
  input.method = ex.head.method_text;
  input.uri = transaction.uri;
  input.version = version_of(ex.head.version);
  input.headers = headers;
  input.unique_id = transaction.unique_id;

  const bool has_body = ex.semantics.framing.kind != http::BodyKind::none && !ex.body_dropped;
  const TimePoint began = Clock::now();
  if (!has_body) {
    auto both = io::Offload(ex.thread.waf.pool, ex.thread.reactor,
                            [&] { return waf::evaluate_request(transaction.evaluation, input); });
    const auto verdict = co_await both;
    ex.thread.metrics.waf_duration.observe(static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began).count()));
    if (!verdict) co_return on_engine_failure(Reason::waf_overloaded);
    co_return apply(*verdict);
  }

  // Phase 1 first: a request that its head alone condemns must not make us take its body.
  auto head_phase =
      io::Offload(ex.thread.waf.pool, ex.thread.reactor, [&] { return transaction.evaluation.request_head(input); });
  const auto head_verdict = co_await head_phase;
  if (!head_verdict) {
    co_return on_engine_failure(Reason::waf_overloaded);
  }
  if (apply(*head_verdict) == Step::answered) co_return Step::answered;
  if (failed_) co_return Step::next;

  auto collecting = collect_request_body(ex);
  const auto collected = co_await collecting;
  if (!collected) co_return Step::answered;

  const std::string_view memory = ex.body.memory();
  if (ex.body.spilled()) transaction.spill_path = fmt::format("/proc/self/fd/{}", ex.body.fd());
  const std::span<const std::string_view> segments(&memory, memory.empty() ? 0 : 1);
  const waf::BodyView body{segments, transaction.spill_path, false};
  auto body_phase =
      io::Offload(ex.thread.waf.pool, ex.thread.reactor, [&] { return transaction.evaluation.request_body(body); });
  const auto body_verdict = co_await body_phase;
  ex.thread.metrics.waf_duration.observe(
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began).count()));
  if (!body_verdict) co_return on_engine_failure(Reason::waf_overloaded);
  co_return apply(*body_verdict);
}

bool WafGate::wants_response_body(const http::ResponseHead& head) const {
  if (!transaction_ || failed_ || outcome_ == WafOutcome::denied || exchange_.is_head()) return false;
  const auto& rules = *route_.rules;
  if (rules.facts().engine == waf::EngineState::off || !rules.facts().response_body_access) return false;
  const auto type = head.fields.value(http::FieldId::content_type);
  return rules.inspects_response_type(type.value_or(std::string_view{}));
}

ByteCount WafGate::response_body_limit() const { return route_.rules->facts().response_body.bytes; }

io::Task<Step> WafGate::inspect_response(const http::ResponseHead& head, std::string_view body, bool truncated) {
  Exchange& ex = exchange_;
  // What is answered instead of a refused response is not judged again.
  if (!transaction_ || failed_ || outcome_ == WafOutcome::denied) co_return Step::next;
  const std::vector<waf::HeaderView> headers = views_of(head.fields);
  waf::ResponseInput input;
  input.status = head.status;
  input.protocol = http::version_text(head.version);
  input.headers = headers;
  const std::span<const std::string_view> segments(&body, body.empty() ? 0 : 1);
  const waf::BodyView view{segments, {}, truncated};
  Transaction& transaction = *transaction_;
  auto phases = io::Offload(ex.thread.waf.pool, ex.thread.reactor, [&]() -> Result<waf::Verdict> {
    auto verdict = transaction.evaluation.response_head(input);
    if (!verdict || verdict->intervention) return verdict;
    auto second = transaction.evaluation.response_body(view);
    if (!second) return second;
    second->matches.insert(second->matches.begin(), std::make_move_iterator(verdict->matches.begin()),
                           std::make_move_iterator(verdict->matches.end()));
    return second;
  });
  const auto verdict = co_await phases;
  if (!verdict) co_return on_engine_failure(Reason::waf_overloaded);
  co_return apply(*verdict);
}

void WafGate::finish() {
  if (!transaction_ || failed_) return;
  // Logging must not delay the client, and must happen even when the queue is full: then it runs here and now.
  const int status = exchange_.response.status;
  auto job = [transaction = transaction_, status, log = exchange_.route->error_log, route = exchange_.generation,
              number = exchange_.connection.number, use_log = exchange_.settings().modsecurity_use_error_log,
              client = std::string(exchange_.client_ip)] {
    const auto verdict = transaction->evaluation.finish(status);
    if (!verdict || !use_log) return;
    for (const auto& match : verdict->matches) {
      if (log->enabled(LogLevel::info)) {
        log->write(LogLevel::info, number, fmt::format("{}, client: {}", match.text, client));
      }
    }
  };
  if (!exchange_.thread.waf.pool.submit(job)) job();
}

void WafGate::log_matches(const waf::Verdict& verdict) {
  const bool use_log = exchange_.settings().modsecurity_use_error_log;
  for (const auto& match : verdict.matches) {
    exchange_.thread.metrics.count_rule_hit(match.rule_id, match.denied);
    if (use_log && !match.denied) exchange_.log(LogLevel::info, match.text);
  }
  if (use_log && verdict.intervention && !verdict.intervention->log.empty()) {
    exchange_.log(LogLevel::error, verdict.intervention->log);
  }
}

Step WafGate::apply(const Result<waf::Verdict>& verdict) {
  if (!verdict) return on_engine_failure(verdict.error().reason);
  exchange_.thread.metrics.waf_pool_evaluations.add();
  log_matches(*verdict);
  if (!verdict->matches.empty() && outcome_ == WafOutcome::clean) outcome_ = WafOutcome::matched;
  if (!verdict->intervention) return Step::next;
  outcome_ = WafOutcome::denied;
  const waf::Intervention& order = *verdict->intervention;
  switch (order.answer) {
    case waf::Answer::drop:
      exchange_.reason = Reason::waf_denied;
      exchange_.local = true;
      exchange_.response.status = http::kCloseSilently;
      break;
    case waf::Answer::redirect: {
      const bool printable =
          std::all_of(order.url.begin(), order.url.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f; });
      if (!printable || order.url.empty()) {
        exchange_.reply(403, Reason::waf_denied);
        break;
      }
      exchange_.reason = Reason::waf_denied;
      exchange_.redirect(order.status, exchange_.arena.copy(order.url));
      break;
    }
    case waf::Answer::deny: exchange_.reply(order.status, Reason::waf_denied); break;
  }
  return Step::answered;
}

Step WafGate::on_engine_failure(Reason reason) {
  failed_ = true;
  outcome_ = WafOutcome::failed;
  if (reason == Reason::waf_overloaded) exchange_.thread.metrics.waf_pool_rejected.add();
  if (exchange_.settings().waf_on_error == config::LocationSettings::WafOnError::pass) {
    exchange_.log(LogLevel::error,
                  fmt::format("{}; the request passes uninspected (waf_on_error pass)", row(reason).text));
    return Step::next;
  }
  exchange_.fail(reason);
  return Step::answered;
}

}  // namespace gatehouse::exchange
