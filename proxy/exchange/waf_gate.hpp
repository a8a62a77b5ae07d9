// The WAF on the way of one exchange: what it is given, when it is asked, what its answer does.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/error.hpp"
#include "proxy/exchange/filters/filter.hpp"
#include "proxy/exchange/metrics.hpp"
#include "proxy/http/message.hpp"
#include "proxy/io/task.hpp"
#include "waf/evaluation.hpp"

namespace gatehouse::exchange {

struct Exchange;
struct LocationRuntime;

/// One exchange's transaction. Every call that evaluates runs on the WAF's pool while the exchange waits on its reactor.
class WafGate {
 public:
  /// `judge` is the location whose rules judge; it must have some.
  WafGate(Exchange& exchange, const LocationRuntime& judge);
  ~WafGate();
  WafGate(const WafGate&) = delete;
  WafGate& operator=(const WafGate&) = delete;

  /// Phases 1 and 2; reads the request body into Exchange::body when there is one. `answered`: the response is a local reply now.
  [[nodiscard]] io::Task<Step> inspect_request();

  /// Whether the response's body has to be held back and inspected: response body access is on for this Content-Type.
  [[nodiscard]] bool wants_response_body(const http::ResponseHead& head) const;
  /// How many bytes of it are held back at most.
  [[nodiscard]] ByteCount response_body_limit() const;
  /// Phases 3 and, if `body` was collected, 4.
  [[nodiscard]] io::Task<Step> inspect_response(const http::ResponseHead& head, std::string_view body, bool truncated);

  /// Phase 5 with the status that was sent, and what the matches mean for logs and metrics. Does not wait for the pool.
  void finish();

  [[nodiscard]] WafOutcome outcome() const noexcept { return outcome_; }

 private:
  struct Transaction;
  [[nodiscard]] Step apply(const Result<waf::Verdict>& verdict);
  [[nodiscard]] Step on_engine_failure(Reason reason);
  void log_matches(const waf::Verdict& verdict);

  Exchange& exchange_;
  const LocationRuntime& route_;              ///< stays the judge wherever an error page sends the exchange
  std::shared_ptr<Transaction> transaction_;  ///< shared with the job of phase 5
  WafOutcome outcome_ = WafOutcome::clean;
  bool failed_ = false;
};

}  // namespace gatehouse::exchange
