#include "proxy/exchange/client_shares.hpp"

#include <algorithm>
#include <utility>

namespace gatehouse::exchange {

ClientShares::Lease::Lease(Lease&& other) noexcept
    : counts_(std::exchange(other.counts_, nullptr)),
      place_(other.place_),
      granted_(std::exchange(other.granted_, false)) {}

ClientShares::Lease::~Lease() {
  if (counts_ != nullptr && --place_->second == 0) counts_->erase(place_);
}

ClientShares::Lease ClientShares::take(const SocketAddress& client) {
  Lease lease;
  const auto bytes = client.bytes();
  if (bytes.empty()) {
    lease.granted_ = true;
    return lease;
  }
  Key key{static_cast<std::uint8_t>(bytes.size())};
  std::copy_n(bytes.begin(), std::min<std::size_t>(bytes.size(), key.size() - 1), key.begin() + 1);
  const auto place = counts_.try_emplace(key, 0).first;
  if (place->second >= limit_) return lease;
  ++place->second;
  lease.counts_ = &counts_;
  lease.place_ = place;
  lease.granted_ = true;
  return lease;
}

}  // namespace gatehouse::exchange
