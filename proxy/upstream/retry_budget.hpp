// A bound on retries, so that a failing cluster is not buried under the repetitions of its own failures.
#pragma once

#include <chrono>
#include <cstdint>

#include "proxy/base/units.hpp"

namespace gatehouse::upstream {

/// How many retries a cluster's requests may cause.
struct RetryBudgetSpec {
  std::uint32_t percent = 20;        ///< of the requests in the window
  std::uint32_t min_per_second = 3;  ///< always allowed, so that rare traffic is retried too
  bool unlimited = false;            ///< nginx's behaviour

  friend bool operator==(const RetryBudgetSpec&, const RetryBudgetSpec&) = default;
};

/// Counts requests and retries over a sliding window of ten seconds. One per cluster and event thread; knows no clock.
class RetryBudget {
 public:
  static constexpr std::chrono::seconds kWindow{10};

  explicit RetryBudget(RetryBudgetSpec spec = {}) noexcept : spec_(spec) {}

  /// Takes another specification (reload); what was counted stays.
  void reconfigure(RetryBudgetSpec spec) noexcept { spec_ = spec; }

  /// A request (not a retry) begins.
  void on_request(TimePoint now) noexcept;
  /// Takes one retry if the budget has one left.
  [[nodiscard]] bool try_spend(TimePoint now) noexcept;

 private:
  struct Counts {
    std::uint64_t requests = 0;
    std::uint64_t retries = 0;
  };

  void advance(TimePoint now) noexcept;

  RetryBudgetSpec spec_;
  TimePoint window_start_{};
  Counts current_;
  Counts previous_;  ///< fades linearly while the current window grows
};

}  // namespace gatehouse::upstream
