// Counting on the hot path: one thread writes, the scrape reads; nothing crosses cores but the reader's loads.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "proxy/base/error.hpp"
#include "proxy/http/message.hpp"
#include "waf/fastpath/full_path_reason.hpp"

namespace gatehouse::exchange {

/// A number that its thread increments and any thread reads: a plain load and store, no locked instruction.
class Counter {
 public:
  void add(std::uint64_t amount = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  void subtract(std::uint64_t amount = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) - amount, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// Upper bounds of the latency histograms' buckets in microseconds; the last bucket is +Inf. ingress-nginx' bounds, with finer ones below.
inline constexpr std::array<std::uint64_t, 14> kLatencyBounds = {
    500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000};

/// Bounds in nanoseconds for what takes microseconds: the fast path's checks.
inline constexpr std::array<std::uint64_t, 12> kCheckBounds = {1000,   2500,   5000,   10000,   25000,   50000,
                                                               100000, 250000, 500000, 1000000, 2500000, 10000000};

/// A histogram over `Bounds`, in their unit; bucket counts are not cumulative.
template <const auto& Bounds>
struct BasicHistogram {
  std::array<Counter, Bounds.size() + 1> buckets;
  Counter sum;

  void observe(std::uint64_t value) noexcept {
    std::size_t i = 0;
    while (i < Bounds.size() && value > Bounds[i]) ++i;
    buckets[i].add();
    sum.add(value);
  }
};
using Histogram = BasicHistogram<kLatencyBounds>;
using CheckHistogram = BasicHistogram<kCheckBounds>;

/// What the WAF decided about an exchange, as the metrics label it.
enum class WafOutcome : std::uint8_t { off, clean, matched, denied, failed };
inline constexpr std::array<std::string_view, 5> kWafOutcomes = {"off", "clean", "matched", "denied", "failed"};

/// Why the fast path was not asked, so that a request took the full one.
enum class WafUnasked : std::uint8_t { switched_off, refused, distrusted, shadow, large_body };
inline constexpr std::array<std::string_view, 5> kWafUnasked = {"switched_off", "refused", "distrusted", "shadow",
                                                                "large_body"};

/// Requests by the way they took through the WAF.
struct WafWays {
  Counter off;        ///< not inspected here
  Counter proven;     ///< proven clean, no rule came near
  Counter near_miss;  ///< proven clean, after patterns named rules that were then disproved
  std::array<Counter, waf::fastpath::full_path_reason_count> full;  ///< by what the fast path said
  std::array<Counter, kWafUnasked.size()> unasked;                  ///< full, by why it was not asked
};

/// Counters of one route on one thread.
struct RouteMetrics {
  /// Requests by method (http::Method, `other` last) and status class slot; the slots are made when first used.
  struct ByStatus {
    std::uint16_t status;
    http::Method method;
    Counter requests;
  };
  std::vector<std::unique_ptr<ByStatus>>
      by_status;  ///< guarded by ThreadMetrics::growth for growth and reads by others
  Histogram request_duration;
  Histogram upstream_duration;  ///< of the last try: from connect to the end of the response
  Counter request_bytes, response_bytes;
  std::array<Counter, kWafOutcomes.size()> waf;
};

/// Process-wide identity of a route's metrics: they outlive reloads by name.
struct RouteKey {
  std::string server;
  std::string route;
  friend auto operator<=>(const RouteKey&, const RouteKey&) = default;
};

/// Counters of one event thread. The owning thread writes without locks; growth of a table takes `growth`, which the scrape holds while
/// it reads.
class ThreadMetrics {
 public:
  ThreadMetrics();
  ~ThreadMetrics();
  ThreadMetrics(const ThreadMetrics&) = delete;
  ThreadMetrics& operator=(const ThreadMetrics&) = delete;

  /// The route's counters; stable for the thread's life. Owner thread only, at a change of generation.
  [[nodiscard]] RouteMetrics& route(const RouteKey& key);
  /// Points the generation's route numbers to their counters. Owner thread only.
  void use_routes(const std::vector<RouteKey>& keys);

  /// Counts a finished exchange.
  void count(std::uint32_t route, http::Method method, int status);
  [[nodiscard]] RouteMetrics& current(std::uint32_t route) noexcept { return *current_[route]; }
  void count_rule_hit(std::int64_t rule_id, bool denied);

  Counter connections_accepted, connections_closed, connections_dropped;
  Counter connections_waiting;                ///< idle between requests, now
  Counter requests_begun, requests_finished;  ///< exchanges
  Counter handshakes_tls12_full, handshakes_tls12_resumed, handshakes_tls13_full, handshakes_tls13_resumed,
      handshakes_failed;
  Counter upstream_connections_opened, upstream_requests_reused, upstream_connect_failures, upstream_retries;
  Counter waf_pool_evaluations, waf_pool_rejected, waf_share_exceeded, waf_narrowed;
  Histogram waf_duration;
  Histogram waf_queue_time;  ///< of these, until a thread of the pool began
  WafWays waf_ways;
  CheckHistogram waf_request_check;  ///< the fast path's time for a request
  CheckHistogram waf_response_check;
  Counter waf_values, waf_remembered, waf_scans, waf_near_misses;
  std::array<Counter, 128> ends;  ///< by Reason: why exchanges ended that did not end by an upstream's answer

  /// Calls `visit(RouteKey, RouteMetrics)` for every route under the growth lock. Any thread.
  template <class Visit>
  void visit_routes(Visit&& visit) const {
    const std::lock_guard lock(growth_);
    for (const auto& [key, metrics] : routes_) visit(key, *metrics);
  }
  /// Calls `visit(rule id, denied, count)`. Any thread.
  template <class Visit>
  void visit_rule_hits(Visit&& visit) const {
    const std::lock_guard lock(growth_);
    for (const auto& [key, counter] : rule_hits_) visit(key.first, key.second, counter->value());
  }

 private:
  mutable std::mutex growth_;
  std::map<RouteKey, std::unique_ptr<RouteMetrics>> routes_;
  std::vector<RouteMetrics*> current_;
  std::map<std::pair<std::int64_t, bool>, std::unique_ptr<Counter>> rule_hits_;
};

/// Connections and requests of the whole process, as stub_status tells them.
struct ConnectionCounts {
  std::uint64_t accepted = 0, active = 0, reading = 0, writing = 0, waiting = 0, requests = 0;
};
[[nodiscard]] ConnectionCounts connection_counts();

}  // namespace gatehouse::exchange
