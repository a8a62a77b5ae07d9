#include "proxy/upstream/retry_budget.hpp"

#include <algorithm>

namespace gatehouse::upstream {

void RetryBudget::advance(TimePoint now) noexcept {
  const auto passed = now - window_start_;
  if (passed < kWindow) return;
  previous_ = passed < 2 * kWindow ? current_ : Counts{};
  current_ = Counts{};
  window_start_ = passed < 2 * kWindow ? window_start_ + kWindow : now;
}

void RetryBudget::on_request(TimePoint now) noexcept {
  advance(now);
  ++current_.requests;
}

bool RetryBudget::try_spend(TimePoint now) noexcept {
  if (spec_.unlimited) return true;
  advance(now);
  // The previous window counts for the share of it that the sliding window still covers, in milliseconds.
  using std::chrono::duration_cast;
  const auto window = static_cast<std::uint64_t>(Milliseconds(kWindow).count());
  const auto into = duration_cast<Milliseconds>(std::max(now - window_start_, Clock::duration::zero()));
  const std::uint64_t left = window - std::min(window, static_cast<std::uint64_t>(into.count()));
  const std::uint64_t requests = current_.requests * window + previous_.requests * left;
  const std::uint64_t retries = current_.retries * window + previous_.retries * left;
  const std::uint64_t floor =
      std::uint64_t{spec_.min_per_second} * static_cast<std::uint64_t>(kWindow.count()) * window;
  if (retries + window > std::max(requests * spec_.percent / 100, floor)) return false;
  ++current_.retries;
  return true;
}

}  // namespace gatehouse::upstream
