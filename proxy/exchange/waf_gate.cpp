#include "proxy/exchange/waf_gate.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <boost/container/small_vector.hpp>
#include <fmt/format.h>

#include "proxy/exchange/exchange.hpp"
#include "proxy/exchange/read_body.hpp"
#include "proxy/exchange/variables.hpp"
#include "proxy/exchange/waf_gate_parts.hpp"
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

/// Room for the fields of most responses without asking the heap.
using ResponseHeaders = boost::container::small_vector<waf::HeaderView, 32>;

/// Counts a check and how long it took.
class CheckCount {
 public:
  CheckCount(ThreadMetrics& metrics, const waf::fastpath::FastPath::Worker& worker, CheckHistogram& histogram)
      : metrics_(metrics), worker_(worker), histogram_(histogram), before_(worker.counters()), began_(Clock::now()) {}
  ~CheckCount() {
    histogram_.observe(static_cast<std::uint64_t>((Clock::now() - began_) / std::chrono::nanoseconds(1)));
    const auto& now = worker_.counters();
    metrics_.waf_values.add(now.values - before_.values);
    metrics_.waf_remembered.add(now.remembered - before_.remembered);
    metrics_.waf_scans.add(now.scans - before_.scans);
    metrics_.waf_near_misses.add(near_misses());
  }
  CheckCount(const CheckCount&) = delete;
  CheckCount& operator=(const CheckCount&) = delete;
  [[nodiscard]] std::uint64_t near_misses() const { return worker_.counters().near_misses - before_.near_misses; }

 private:
  ThreadMetrics& metrics_;
  const waf::fastpath::FastPath::Worker& worker_;
  CheckHistogram& histogram_;
  const waf::fastpath::FastPathCounters before_;
  const TimePoint began_;
};

bool audit_wants(const waf::AuditSettings& audit, int status) {
  return audit.when == waf::AuditSettings::When::relevant_only && status >= 0 &&
         static_cast<std::size_t>(status) < audit.relevant.size() && audit.relevant[static_cast<std::size_t>(status)];
}

}  // namespace

WafGate::WafGate(Exchange& exchange, const LocationRuntime& judge) : exchange_(exchange), route_(judge) {}
WafGate::~WafGate() = default;

bool WafGate::has_body() const {
  return exchange_.semantics.framing.kind != http::BodyKind::none && !exchange_.body_dropped;
}

// ---- the fast path ----

std::optional<WafUnasked> WafGate::why_not_asked() const {
  if (!route_.fast_path) return WafUnasked::switched_off;
  if (route_.fast_path->worker(exchange_.thread.index) == nullptr) return WafUnasked::refused;
  if (!route_.fast_path->trusted()) return WafUnasked::distrusted;
  return std::nullopt;
}

std::optional<Step> WafGate::decide_request() {
  Exchange& ex = exchange_;
  const std::string_view target = ex.semantics.path_and_query;
  uri_ = target;
  if (!waf::is_guarded_request_target(target)) {
    const auto guarded = waf::guard_request_target(target);
    if (!guarded) {
      way_ = Way::off;
      ex.downstream.close_after_response();
      ex.fail(guarded.error().reason);
      return Step::answered;
    }
    uri_ = ex.arena.copy(*guarded);
  }
  const bool engine_off = route_.rules->facts().engine == waf::EngineState::off &&
                          (!route_.overlay || route_.overlay->mode == waf::Mode::inherit);
  if (engine_off) {
    way_ = Way::off;
    outcome_ = WafOutcome::off;
    return Step::next;
  }
  unasked_ = why_not_asked();
  if (unasked_ || has_body()) return std::nullopt;
  if (!check_request({})) return std::nullopt;
  if (route_.shadow) return std::nullopt;
  way_ = Way::proven;
  return Step::next;
}

waf::RequestInput WafGate::input(std::string_view server_ip, std::string_view unique_id) {
  Exchange& ex = exchange_;
  waf::RequestInput input;
  input.client = {ex.client_ip, ex.client.port()};
  input.server = {server_ip, ex.connection.local.port()};
  input.method = ex.head.method_text;
  input.uri = uri_;
  input.version = version_of(ex.head.version);
  input.unique_id = unique_id;
  return input;
}

bool WafGate::check_request(std::string_view body) {
  Exchange& ex = exchange_;
  auto& worker = *route_.fast_path->worker(ex.thread.index);
  const CheckCount count(ex.thread.metrics, worker, ex.thread.metrics.waf_request_check);
  const std::string server_ip = ex.connection.local.ip_string();
  view(ex.head.fields, ex.thread.waf_headers);
  auto request = input(server_ip, {});
  request.headers = ex.thread.waf_headers;
  request.body.segments = {&body, body.empty() ? 0U : 1U};
  said_ = worker.check_request(request);
  claims_clean_ = said_.clean();
  if (const auto* candidates = worker.candidates()) candidates_ = *candidates;
  near_miss_ = count.near_misses() > 0;
  tell_outcome("request");
  return claims_clean_;
}

bool WafGate::check_response(const waf::ResponseInput& response) {
  Exchange& ex = exchange_;
  auto& worker = *route_.fast_path->worker(ex.thread.index);
  const CheckCount count(ex.thread.metrics, worker, ex.thread.metrics.waf_response_check);
  const std::string server_ip = ex.connection.local.ip_string();
  std::vector<waf::HeaderView> headers;
  headers.swap(ex.thread.waf_headers);
  view(ex.head.fields, headers);
  auto request = input(server_ip, {});
  request.headers = headers;
  ScratchString storage(ex.thread);
  const auto body = body_in_memory(*storage);
  const std::string_view segment = body.value_or(std::string_view{});
  request.body = {{&segment, segment.empty() ? 0U : 1U}, {}, !body};
  said_ = worker.check_response(request, response);
  headers.swap(ex.thread.waf_headers);
  claims_clean_ = claims_clean_ && said_.clean();
  near_miss_ = near_miss_ || count.near_misses() > 0;
  tell_outcome("response");
  return said_.clean();
}

void WafGate::tell_outcome(std::string_view what) const {
  if (!exchange_.debugs()) return;
  if (said_.clean()) return exchange_.debug("waf: {} proven clean", what);
  if (said_.rule_id == 0)
    return exchange_.debug("waf: {} takes the full path: {}", what, waf::fastpath::describe(said_.reason));
  exchange_.debug("waf: {} takes the full path: {} {}", what, waf::fastpath::describe(said_.reason), said_.rule_id);
}

// A body that was spilled is in the page cache: reading it back costs less than the library's look at it by far.
std::optional<std::string_view> WafGate::body_in_memory(std::string& storage) const {
  const RequestBody& body = exchange_.body;
  if (!body.spilled()) return body.memory();
  if (body.size() > kLongestCheckedBody) return std::nullopt;
  storage.resize(body.size());
  std::size_t done = 0;
  while (done < storage.size()) {
    const auto got = body.read_at(done, storage.data() + done, storage.size() - done);
    if (!got || *got == 0) return std::nullopt;
    done += *got;
  }
  return storage;
}

io::Task<std::optional<Step>> WafGate::prove_with_body() {
  Exchange& ex = exchange_;
  auto collecting = collect_request_body(ex);
  const auto collected = co_await collecting;
  if (!collected) {
    way_ = Way::off;  // there was no whole request to inspect
    co_return Step::answered;
  }
  ScratchString storage(ex.thread);
  const auto body = body_in_memory(*storage);
  if (!body) {
    unasked_ = WafUnasked::large_body;
    co_return std::nullopt;
  }
  if (!check_request(*body) || route_.shadow) co_return std::nullopt;
  way_ = Way::proven;
  co_return Step::next;
}

std::optional<Step> WafGate::decide_response(const http::ResponseHead& head, std::string_view body, bool truncated) {
  if (way_ == Way::off || failed_ || outcome_ == WafOutcome::denied) return Step::next;
  // In shadow it is asked again on the way to the library.
  if (!claims_clean_ || (way_ != Way::proven && checked_status_ != 0)) return std::nullopt;
  Exchange& ex = exchange_;
  const waf::BodyLimit limit = route_.rules->facts().response_body;
  const bool cut = truncated || (limit.bytes > 0 && body.size() > limit.bytes);
  // Over the limit the library is given the beginning, unless it refuses the response.
  if (cut && limit.policy != waf::BodyLimitPolicy::inspect_prefix) {
    said_ = {waf::fastpath::FullPathReason::body_over_limit, 0};
    claims_clean_ = false;
    way_ = Way::full;
    return std::nullopt;
  }
  ResponseHeaders headers;
  view(head.fields, headers);
  waf::ResponseInput response;
  response.status = head.status;
  response.protocol = http::version_text(head.version);
  response.headers = headers;
  const std::string_view seen = limit.bytes > 0 ? body.substr(0, limit.bytes) : body;
  response.body.segments = {&seen, seen.empty() ? 0U : 1U};
  if (!check_response(response) || !route_.fast_path->trusted()) {
    way_ = Way::full;
    return std::nullopt;
  }
  checked_status_ = head.status;
  const std::uint32_t sample = route_.location->settings.waf_shadow_sample;
  const bool sampled = sample != 0 && ++ex.thread.waf_proven_requests % sample == 0;
  if (sampled || route_.shadow || audit_wants(route_.rules->facts().audit, head.status)) {
    record();
    response.body = {{&body, body.empty() ? 0U : 1U}, {}, truncated};
    recorded_->set_response(response);
  }
  if (way_ != Way::proven) return std::nullopt;  // shadow
  return Step::next;
}

void WafGate::record() {
  if (recorded_) return;
  Exchange& ex = exchange_;
  const std::string server_ip = ex.connection.local.ip_string();
  const std::string unique_id(ex.settings().modsecurity_transaction_id
                                  ? evaluate(*ex.settings().modsecurity_transaction_id, ex)
                                  : std::string_view{});
  std::vector<waf::HeaderView> headers;
  view(ex.head.fields, headers);
  auto request = input(server_ip, unique_id);
  request.headers = headers;
  ScratchString storage(ex.thread);
  const std::string_view body = body_in_memory(*storage).value_or(std::string_view{});
  request.body.segments = {&body, body.empty() ? 0U : 1U};
  recorded_ = std::make_unique<waf::RecordedTransaction>(request);
}

// ---- the end ----

void WafGate::finish() {
  if (transaction_ && !failed_) {
    finish_transaction();
  } else if (way_ == Way::proven) {
    finish_proven();
  }
  count_way();
}

void WafGate::count_way() {
  WafWays& ways = exchange_.thread.metrics.waf_ways;
  switch (way_) {
    case Way::off: ways.off.add(); return;
    case Way::proven: (near_miss_ ? ways.near_miss : ways.proven).add(); return;
    case Way::full: break;
  }
  auto why = unasked_;
  if (!why && claims_clean_) why = route_.shadow ? WafUnasked::shadow : WafUnasked::distrusted;
  if (why) {
    ways.unasked[static_cast<std::size_t>(*why)].add();
  } else {
    ways.full[static_cast<std::size_t>(said_.reason)].add();
  }
}

// Phase 5 of a proven message, and whatever has to be evaluated after all.
void WafGate::finish_proven() {
  Exchange& ex = exchange_;
  const int status = ex.response.status;
  if (checked_status_ != status) {
    // A local answer, or another status than the upstream's: the library would see no response but the status.
    waf::ResponseInput response;
    response.status = status;
    if (!check_response(response)) way_ = Way::full;
    const std::uint32_t sample = route_.location->settings.waf_shadow_sample;
    if (sample != 0 && checked_status_ == 0 && ++ex.thread.waf_proven_requests % sample == 0) record();
  }
  if (claims_clean_ && !recorded_ && !audit_wants(route_.rules->facts().audit, status)) return;
  record();
  EvaluateAfterwards job{route_.rules,
                         route_.overlay,
                         route_.fast_path,
                         std::shared_ptr<const waf::RecordedTransaction>(std::move(recorded_)),
                         teller_of(ex),
                         status,
                         claims_clean_ ? Claim::proven_clean : Claim::none};
  if (!submit(ex.thread.waf, std::move(job))) {
    ex.log(LogLevel::warn, "no room for the WAF's evaluation after the exchange; its audit record is lost");
  }
}

void WafGate::finish_transaction() {
  Exchange& ex = exchange_;
  const int status = ex.response.status;
  const bool compare = route_.shadow && claims_clean_;
  if (compare && checked_status_ != status && !library_saw_) {
    waf::ResponseInput response;
    response.status = status;
    (void)check_response(response);
  }
  std::shared_ptr<const waf::RecordedTransaction> recorded;
  if (compare && claims_clean_) {
    record();
    recorded = std::move(recorded_);
  }
  // Logging must not delay the client, and must happen even when the queue is full: then it runs here and now.
  auto job = [transaction = transaction_, status, teller = teller_of(ex), recorded, fast_path = route_.fast_path,
              saw = library_saw_, &service = ex.thread.waf] {
    const auto verdict = transaction->evaluation.finish(status);
    if (!verdict) return;
    teller.tell(verdict->matches);
    if (!recorded || (!saw && verdict->matches.empty())) return;
    auto ids = transaction->rule_ids;
    for (const auto& match : verdict->matches) ids.push_back(match.rule_id);
    report_disagreement(service, *fast_path, teller, *recorded, ids);
  };
  if (!ex.thread.waf.pool.submit(job)) job();
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
  if (!verdict) {
    if (verdict.error().reason == Reason::waf_overloaded) {
      exchange_.log(LogLevel::error, "the WAF's evaluation did not begin within waf_timeout");
    }
    return on_engine_failure(verdict.error().reason);
  }
  exchange_.thread.metrics.waf_pool_evaluations.add();
  log_matches(*verdict);
  for (const auto& match : verdict->matches) transaction_->rule_ids.push_back(match.rule_id);
  library_saw_ = library_saw_ || verdict->intervention || !verdict->matches.empty();
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
