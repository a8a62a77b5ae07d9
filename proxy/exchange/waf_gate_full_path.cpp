// The full path: libmodsecurity on the pool, for what the fast path could not prove.
#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "proxy/exchange/read_body.hpp"
#include "proxy/exchange/variables.hpp"
#include "proxy/exchange/waf_gate_parts.hpp"
#include "proxy/io/worker_pool.hpp"

namespace gatehouse::exchange {
namespace {

/// Phases 3 and 4 in one call; the phases' matches in one verdict.
Result<waf::Verdict> evaluate_response(waf::Evaluation& evaluation, const waf::ResponseInput& input) {
  auto verdict = evaluation.response_head(input);
  if (!verdict || verdict->intervention) return verdict;
  auto second = evaluation.response_body(input.body);
  if (!second) return second;
  second->matches.insert(second->matches.begin(), std::make_move_iterator(verdict->matches.begin()),
                         std::make_move_iterator(verdict->matches.end()));
  return second;
}

}  // namespace

void WafGate::begin_transaction() {
  Exchange& ex = exchange_;
  std::optional<waf::Narrowing> narrowing;
  if (candidates_ && !route_.shadow) {
    narrowing = {route_.fast_path->narrowed(), *candidates_};
    ex.thread.metrics.waf_narrowed.add();
  }
  transaction_ =
      std::make_shared<Transaction>(ex.thread.waf.engine, route_.rules, route_.overlay, std::move(narrowing));
  Transaction& transaction = *transaction_;
  transaction.server_ip = ex.connection.local.ip_string();
  if (const auto& id = ex.settings().modsecurity_transaction_id) transaction.unique_id = evaluate(*id, ex);
  view(ex.head.fields, transaction.headers);
}

void WafGate::observe_wait(TimePoint began, TimePoint started) {
  const auto microseconds = [](Clock::duration duration) {
    return static_cast<std::uint64_t>(
        std::max<std::int64_t>(0, std::chrono::duration_cast<std::chrono::microseconds>(duration).count()));
  };
  exchange_.thread.metrics.waf_queue_time.observe(microseconds(started - began));
  exchange_.thread.metrics.waf_duration.observe(microseconds(Clock::now() - began));
}

// Nothing: the queue was full. A job that waited longer in it than the place allows is not begun; one that was begun is waited
// for, since it looks at what belongs to the exchange.
template <class Evaluate>
io::Task<std::optional<Result<waf::Verdict>>> WafGate::on_pool(Evaluate evaluate) {
  Exchange& ex = exchange_;
  const TimePoint queued = Clock::now();
  TimePoint started;
  auto running = io::Offload(ex.thread.waf.pool, ex.thread.reactor, [&]() -> Result<waf::Verdict> {
    started = Clock::now();
    if (started > queued + ex.settings().waf_timeout) return Error{Reason::waf_overloaded};
    return evaluate();
  });
  auto verdict = co_await running;
  if (verdict) observe_wait(queued, started);
  co_return verdict;
}

io::Task<Step> WafGate::inspect_request() {
  Exchange& ex = exchange_;
  const bool short_body =
      ex.semantics.framing.kind != http::BodyKind::length || ex.semantics.framing.length <= kLongestCheckedBody;
  if (has_body() && !unasked_ && short_body) {
    auto proving = prove_with_body();
    const auto proven = co_await proving;
    if (proven) co_return *proven;
  } else if (has_body() && !unasked_) {
    unasked_ = WafUnasked::large_body;
  }
  const auto share = ex.thread.waf_shares.take(ex.client);
  if (!share) {
    ex.thread.metrics.waf_share_exceeded.add();
    co_return on_engine_failure(Reason::waf_overloaded);
  }
  begin_transaction();
  if (!has_body() || ex.downstream.body_finished()) {
    auto evaluating = evaluate_whole();
    co_return co_await evaluating;
  }
  auto evaluating = evaluate_by_phase();
  co_return co_await evaluating;
}

// The body is here, or there is none.
io::Task<Step> WafGate::evaluate_whole() {
  Exchange& ex = exchange_;
  Transaction& transaction = *transaction_;
  auto request = input(transaction.server_ip, transaction.unique_id);
  request.headers = transaction.headers;
  transaction.memory = ex.body.memory();
  if (ex.body.spilled()) transaction.spill_path = fmt::format("/proc/self/fd/{}", ex.body.fd());
  request.body = {{&transaction.memory, transaction.memory.empty() ? 0U : 1U}, transaction.spill_path, false};
  auto both = on_pool([&] { return waf::evaluate_request(transaction.evaluation, request); });
  const auto verdict = co_await both;
  if (!verdict) co_return on_engine_failure(Reason::waf_overloaded);
  co_return apply(*verdict);
}

// Phase 1 first: a request that its head alone condemns must not make us take its body.
io::Task<Step> WafGate::evaluate_by_phase() {
  Exchange& ex = exchange_;
  Transaction& transaction = *transaction_;
  auto request = input(transaction.server_ip, transaction.unique_id);
  request.headers = transaction.headers;
  auto head_phase = on_pool([&] { return transaction.evaluation.request_head(request); });
  const auto head_verdict = co_await head_phase;
  if (!head_verdict) co_return on_engine_failure(Reason::waf_overloaded);
  if (apply(*head_verdict) == Step::answered) co_return Step::answered;
  if (failed_) co_return Step::next;

  auto collecting = collect_request_body(ex);
  const auto collected = co_await collecting;
  if (!collected) co_return Step::answered;

  transaction.memory = ex.body.memory();
  if (ex.body.spilled()) transaction.spill_path = fmt::format("/proc/self/fd/{}", ex.body.fd());
  const waf::BodyView body{{&transaction.memory, transaction.memory.empty() ? 0U : 1U}, transaction.spill_path, false};
  auto body_phase = on_pool([&] { return transaction.evaluation.request_body(body); });
  const auto body_verdict = co_await body_phase;
  if (!body_verdict) co_return on_engine_failure(Reason::waf_overloaded);
  co_return apply(*body_verdict);
}

bool WafGate::wants_response_body(const http::ResponseHead& head) const {
  if (way_ == Way::off || failed_ || outcome_ == WafOutcome::denied || exchange_.is_head()) return false;
  const auto& rules = *route_.rules;
  if (!rules.facts().response_body_access) return false;
  const auto type = head.fields.value(http::FieldId::content_type);
  return rules.inspects_response_type(type.value_or(std::string_view{}));
}

ByteCount WafGate::response_body_limit() const { return route_.rules->facts().response_body.bytes; }

io::Task<Step> WafGate::inspect_response(const http::ResponseHead& head, std::string_view body, bool truncated) {
  Exchange& ex = exchange_;
  // What is answered instead of a refused response is not judged again.
  if (way_ == Way::off || failed_ || outcome_ == WafOutcome::denied) co_return Step::next;
  const auto share = ex.thread.waf_shares.take(ex.client);
  if (!share) {
    ex.thread.metrics.waf_share_exceeded.add();
    co_return on_engine_failure(Reason::waf_overloaded);
  }
  // The request was proven clean and the response is not: both now, as if the request had been evaluated from the start.
  const bool replay = !transaction_;
  if (replay) begin_transaction();
  Transaction& transaction = *transaction_;
  waf::RequestInput request = input(transaction.server_ip, transaction.unique_id);
  request.headers = transaction.headers;
  if (replay && ex.body.spilled()) transaction.spill_path = fmt::format("/proc/self/fd/{}", ex.body.fd());
  transaction.memory = ex.body.memory();
  request.body = {{&transaction.memory, transaction.memory.empty() ? 0U : 1U}, transaction.spill_path, false};

  std::vector<waf::HeaderView> headers;
  view(head.fields, headers);
  waf::ResponseInput response;
  response.status = head.status;
  response.protocol = http::version_text(head.version);
  response.headers = headers;
  response.body = {{&body, body.empty() ? 0U : 1U}, {}, truncated};
  Result<waf::Verdict> request_verdict = waf::Verdict{};
  auto phases = on_pool([&]() -> Result<waf::Verdict> {
    if (replay) {
      request_verdict = waf::evaluate_request(transaction.evaluation, request);
      if (!request_verdict || request_verdict->intervention) return waf::Verdict{};
    }
    return evaluate_response(transaction.evaluation, response);
  });
  const auto verdict = co_await phases;
  if (!verdict) {
    if (replay) transaction_ = nullptr;
    co_return on_engine_failure(Reason::waf_overloaded);
  }
  if (replay) {
    const Step step = apply(request_verdict);
    if (library_saw_) {
      record();
      report_disagreement(ex.thread.waf, *route_.fast_path, teller_of(ex), *recorded_, transaction.rule_ids);
    }
    if (step == Step::answered || failed_) co_return step;
  }
  co_return apply(*verdict);
}

}  // namespace gatehouse::exchange
