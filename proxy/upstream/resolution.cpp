#include "proxy/upstream/resolution.hpp"

#include <algorithm>

namespace gatehouse::upstream {

AddressChange Resolution::on_answer(std::span<const SocketAddress> addresses, Milliseconds ttl, TimePoint now) {
  if (addresses.empty()) return on_failure(LookupFailure::no_such_name, now);
  in_flight_ = false;
  failures_ = 0;
  const Milliseconds wanted = policy_.valid ? *policy_.valid : std::min(ttl, policy_.max_ttl);
  next_refresh_ = now + std::max(wanted, policy_.min_ttl);
  std::vector<SocketAddress> sorted(addresses.begin(), addresses.end());
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  if (sorted == addresses_) return AddressChange::none;
  addresses_ = std::move(sorted);
  return AddressChange::changed;
}

AddressChange Resolution::on_failure(LookupFailure failure, TimePoint now) {
  in_flight_ = false;
  // 2^20 times the first delay is over any sensible maximum; the shift must not overflow.
  const Milliseconds delay = policy_.first_retry * (1LL << std::min(failures_, 20U));
  next_refresh_ = now + std::min(delay, policy_.max_retry);
  ++failures_;
  if (failure != LookupFailure::no_such_name || policy_.on_missing != OnMissing::drop) return AddressChange::none;
  if (addresses_.empty()) return AddressChange::none;
  addresses_.clear();
  return AddressChange::changed;
}

}  // namespace gatehouse::upstream
