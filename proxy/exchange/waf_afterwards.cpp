#include "proxy/exchange/waf_afterwards.hpp"

#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "waf/evaluation.hpp"

namespace gatehouse::exchange {
namespace {

/// Copies of messages that wait for their evaluation hold no more than this in all.
constexpr ByteCount kMostBytes = 64 * kMiB;
/// Of a body in the log: enough for what fits into the fast path's forms.
constexpr std::size_t kLongestBody = std::size_t{64} * 1024;

Result<waf::Verdict> evaluate(waf::Evaluation& evaluation, const EvaluateAfterwards& job) {
  auto all = waf::evaluate_request(evaluation, job.recorded->request());
  const auto add = [&all](Result<waf::Verdict> next) {
    if (!next) {
      all = next.error();
      return;
    }
    all->matches.insert(all->matches.end(), std::make_move_iterator(next->matches.begin()),
                        std::make_move_iterator(next->matches.end()));
    if (!all->intervention) all->intervention = std::move(next->intervention);
  };
  if (const auto& response = job.recorded->response()) {
    if (all) add(evaluation.response_head(*response));
    if (all) add(evaluation.response_body(response->body));
  }
  if (all) add(evaluation.finish(job.status));
  return all;
}

}  // namespace

void WafTeller::tell(const std::vector<waf::RuleMatch>& matches) const {
  if (!use_error_log || !log->enabled(LogLevel::info)) return;
  for (const auto& match : matches) {
    log->write(LogLevel::info, connection, fmt::format("{}, client: {}", match.text, client));
  }
}

void report_disagreement(WafService& service, const waf::SharedFastPath& fast_path, const WafTeller& teller,
                         const waf::RecordedTransaction& recorded, const std::vector<std::int64_t>& rule_ids) {
  service.disagreements.fetch_add(1, std::memory_order_relaxed);
  const bool first = fast_path.distrust();
  teller.log->write(
      LogLevel::alert, teller.connection,
      fmt::format("the WAF's fast path called a message clean in which rules [{}] of rule set {} match{}: {}",
                  fmt::join(rule_ids, ", "), fast_path.rule_set(),
                  first ? "; the fast path is off for this rule set until it changes" : "",
                  recorded.describe(kLongestBody)));
}

bool submit(WafService& service, EvaluateAfterwards job) {
  const ByteCount bytes = job.recorded->bytes();
  const auto lose = [&] {
    service.afterwards_lost.fetch_add(1, std::memory_order_relaxed);
    return false;
  };
  if (service.afterwards_bytes.fetch_add(bytes) + bytes > kMostBytes) {
    service.afterwards_bytes.fetch_sub(bytes);
    return lose();
  }
  auto shared = std::make_shared<const EvaluateAfterwards>(std::move(job));
  const bool queued = service.pool.submit([&service, shared, bytes] {
    waf::Evaluation evaluation(service.engine, shared->rules, shared->overlay);
    const auto verdict = evaluate(evaluation, *shared);
    service.afterwards.fetch_add(1, std::memory_order_relaxed);
    service.afterwards_bytes.fetch_sub(bytes);
    if (!verdict) return;
    shared->teller.tell(verdict->matches);
    if (shared->claim == Claim::none || (verdict->matches.empty() && !verdict->intervention)) return;
    std::vector<std::int64_t> ids;
    for (const auto& match : verdict->matches) ids.push_back(match.rule_id);
    report_disagreement(service, *shared->fast_path, shared->teller, *shared->recorded, ids);
  });
  if (queued) return true;
  service.afterwards_bytes.fetch_sub(bytes);
  return lose();
}

}  // namespace gatehouse::exchange
