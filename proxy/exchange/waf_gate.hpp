// The WAF on the way of one exchange: what it is given, when it is asked, what its answer does.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/error.hpp"
#include "proxy/exchange/filters/filter.hpp"
#include "proxy/exchange/metrics.hpp"
#include "proxy/http/message.hpp"
#include "proxy/io/frame_allocator.hpp"
#include "proxy/io/task.hpp"
#include "waf/evaluation.hpp"
#include "waf/fast_path_cache.hpp"
#include "waf/recorded_transaction.hpp"

namespace gatehouse::exchange {

struct Exchange;
struct LocationRuntime;

/// One exchange's way through the WAF.
///
/// The fast path is asked on the event thread. What it proves clean never meets libmodsecurity, unless the status turns out to
/// be one that the audit log wants, or a sample is due: then it is evaluated after the exchange. Everything else is evaluated
/// on the WAF's pool while the exchange waits on its reactor. A response that is not proven takes its request along: both are
/// evaluated then, as if the request had been from the start.
class WafGate {
 public:
  /// `judge` is the location whose rules judge; it must have some.
  WafGate(Exchange& exchange, const LocationRuntime& judge);
  ~WafGate();
  WafGate(const WafGate&) = delete;
  WafGate& operator=(const WafGate&) = delete;
  // From the thread's recycled memory: most requests have a gate, and none should cost a block of the heap.
  static void* operator new(std::size_t size) { return io::allocate_frame(size); }
  static void operator delete(void* gate, std::size_t size) noexcept { io::free_frame(gate, size); }

  /// What can be said of the request without waiting; nothing: inspect_request() has to be awaited.
  [[nodiscard]] std::optional<Step> decide_request();
  /// Phases 1 and 2; reads the request body into Exchange::body when there is one. `answered`: the response is a local reply now.
  [[nodiscard]] io::Task<Step> inspect_request();

  /// Whether the response's body has to be held back and inspected: response body access is on for this Content-Type.
  [[nodiscard]] bool wants_response_body(const http::ResponseHead& head) const;
  /// How many bytes of it are held back at most.
  [[nodiscard]] ByteCount response_body_limit() const;
  /// As decide_request(), for the response. `truncated`: the body is longer than what was held back.
  [[nodiscard]] std::optional<Step> decide_response(const http::ResponseHead& head, std::string_view body,
                                                    bool truncated);
  /// Phases 3 and, if `body` was collected, 4.
  [[nodiscard]] io::Task<Step> inspect_response(const http::ResponseHead& head, std::string_view body, bool truncated);

  /// Phase 5 with the status that was sent, and what the matches mean for logs and metrics. Does not wait for the pool.
  void finish();

  [[nodiscard]] WafOutcome outcome() const noexcept { return outcome_; }

 private:
  struct Transaction;
  enum class Way : std::uint8_t { off, proven, full };

  [[nodiscard]] bool has_body() const;
  [[nodiscard]] std::optional<WafUnasked> why_not_asked() const;
  [[nodiscard]] bool check_request(std::string_view body);
  [[nodiscard]] bool check_response(const waf::ResponseInput& response);
  void tell_outcome(std::string_view what) const;
  [[nodiscard]] waf::RequestInput input(std::string_view server_ip, std::string_view unique_id);
  void begin_transaction();
  [[nodiscard]] io::Task<std::optional<Step>> prove_with_body();
  [[nodiscard]] io::Task<Step> evaluate_whole();
  [[nodiscard]] io::Task<Step> evaluate_by_phase();
  [[nodiscard]] std::optional<std::string_view> body_in_memory(std::string& storage) const;
  [[nodiscard]] Step apply(const Result<waf::Verdict>& verdict);
  [[nodiscard]] Step on_engine_failure(Reason reason);
  void log_matches(const waf::Verdict& verdict);
  /// Runs `evaluate`, which returns a Result<waf::Verdict>, on the pool.
  template <class Evaluate>
  [[nodiscard]] io::Task<std::optional<Result<waf::Verdict>>> on_pool(Evaluate evaluate);
  void observe_wait(TimePoint began, TimePoint started);
  void record();
  void count_way();
  void finish_proven();
  void finish_transaction();

  Exchange& exchange_;
  const LocationRuntime& route_;  ///< stays the judge wherever an error page sends the exchange
  Way way_ = Way::full;
  std::optional<WafUnasked> unasked_;
  waf::fastpath::Outcome said_;                          ///< by the fast path, of the message it looked at last
  std::optional<waf::fastpath::Candidates> candidates_;  ///< all that may match of the request; nothing: not known
  bool claims_clean_ = false;                            ///< all that the fast path was shown so far is clean
  bool near_miss_ = false;
  bool failed_ = false;
  bool library_saw_ = false;                  ///< the library matched something
  int checked_status_ = 0;                    ///< of the response that was checked; 0: none was
  std::string_view uri_;                      ///< as the WAF is given it; views the head or the arena
  std::shared_ptr<Transaction> transaction_;  ///< shared with the job of phase 5; null while nothing is evaluated
  std::unique_ptr<waf::RecordedTransaction> recorded_;  ///< for after the exchange
  WafOutcome outcome_ = WafOutcome::clean;
};

}  // namespace gatehouse::exchange
