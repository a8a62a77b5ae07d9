// When a name is looked up again, and which addresses hold meanwhile.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "proxy/base/address.hpp"
#include "proxy/base/units.hpp"

namespace gatehouse::upstream {

/// What an authoritative "no such name" means for addresses known before.
enum class OnMissing : std::uint8_t {
  keep,  ///< a plain host name: nginx would have looked it up once, at the start
  drop,  ///< `server ... resolve`: nginx removes the peers
};

/// How one name is kept fresh.
struct ResolutionPolicy {
  std::optional<Milliseconds> valid;  ///< `resolver ... valid=`: used in place of the answer's TTL
  Milliseconds min_ttl = std::chrono::seconds(1);
  Milliseconds max_ttl = std::chrono::hours(1);
  Milliseconds first_retry = std::chrono::seconds(1);  ///< after a failure; doubles with each further one
  Milliseconds max_retry = std::chrono::seconds(30);
  OnMissing on_missing = OnMissing::keep;
};

/// Why a lookup gave no addresses.
enum class LookupFailure : std::uint8_t {
  transient,     ///< time-out, refused, server failure: says nothing about the name
  no_such_name,  ///< NXDOMAIN or an answer without addresses
};

/// Whether the set of addresses is another one than before, so that the cluster's peers must be replaced.
enum class AddressChange : std::uint8_t { none, changed };

/// The life of one name. Pure: the owner looks it up when due() says so, and reports here. One thread.
class Resolution {
 public:
  /// The first lookup is due at once.
  explicit Resolution(ResolutionPolicy policy) noexcept : policy_(policy) {}

  /// A new configuration's policy: holds from the next outcome on.
  void set_policy(ResolutionPolicy policy) noexcept { policy_ = policy; }

  /// A lookup gave addresses. Their order and repetitions don't matter: a set equal to the known one is no change.
  AddressChange on_answer(std::span<const SocketAddress> addresses, Milliseconds ttl, TimePoint now);
  /// A lookup failed: the known addresses stay (but see OnMissing), and the next lookup backs off.
  AddressChange on_failure(LookupFailure failure, TimePoint now);

  /// Whether a lookup should start; never true again before its outcome is reported, if the owner calls on_started().
  [[nodiscard]] bool due(TimePoint now) const noexcept { return !in_flight_ && now >= next_refresh_; }
  void on_started() noexcept { in_flight_ = true; }
  [[nodiscard]] bool in_flight() const noexcept { return in_flight_; }
  /// When the next lookup is due; TimePoint::min() before the first one.
  [[nodiscard]] TimePoint next_refresh() const noexcept { return next_refresh_; }

  /// Sorted, without repetitions; empty while unresolved.
  [[nodiscard]] const std::vector<SocketAddress>& addresses() const noexcept { return addresses_; }
  /// Whether there is no address to use: requests end with Reason::unresolved, everything else goes on.
  [[nodiscard]] bool unresolved() const noexcept { return addresses_.empty(); }
  /// Failed lookups since the last answer.
  [[nodiscard]] std::uint32_t failures() const noexcept { return failures_; }

 private:
  ResolutionPolicy policy_;
  std::vector<SocketAddress> addresses_;
  TimePoint next_refresh_ = TimePoint::min();
  std::uint32_t failures_ = 0;
  bool in_flight_ = false;
};

}  // namespace gatehouse::upstream
