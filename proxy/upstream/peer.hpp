// One peer of a cluster: what the configuration says about it, and what this thread learned about it.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "proxy/base/address.hpp"
#include "proxy/base/units.hpp"

namespace gatehouse::upstream {

/// One address of one `server` line of an `upstream` block. A name with several addresses gives several peers of one
/// name.
struct PeerSpec {
  SocketAddress address;
  std::string name;          ///< as written in the configuration: the key of `hash ... consistent`, and the logs' name
  std::uint32_t weight = 1;  ///< at least 1
  std::uint32_t max_fails = 1;                           ///< 0: failures are not counted
  Milliseconds fail_timeout = std::chrono::seconds(10);  ///< both the window of max_fails and the time of rest
  std::uint32_t max_conns = 0;                           ///< 0: no limit; per event thread
  bool backup = false;
  bool down = false;

  friend bool operator==(const PeerSpec&, const PeerSpec&) = default;
};

/// What one event thread knows of a peer; the fields and their arithmetic are those of nginx's round robin balancer.
struct PeerState {
  std::int64_t current_weight = 0;
  std::int64_t effective_weight = 0;  ///< from 0 to weight; sinks on failures, rises by one a pick
  std::uint32_t fails = 0;            ///< failures in the running window
  std::uint32_t conns = 0;            ///< picks that were not released yet
  TimePoint accessed{};               ///< the last failure
  TimePoint checked{};                ///< start of the running window, or of the probe after the rest

  friend bool operator==(const PeerState&, const PeerState&) = default;
};

/// A peer in a Cluster. Belongs to the cluster; a pick keeps it alive until its release, even if the peer is removed
/// meanwhile.
struct Peer {
  PeerState state;
  PeerSpec spec;
  std::string address_text;    ///< of spec.address, made once: every request names its peer
  std::uint32_t slot = 0;      ///< index in the cluster's table: stable for the peer's life, reused after it
  std::uint32_t server = 0;    ///< peers of one name and group share it
  std::uint64_t added_in = 0;  ///< generation of the cluster that brought it in
  bool retired = false;        ///< removed from the cluster, waiting for its last release

  /// Whether a request may be sent to it now, apart from whether the request tried it already.
  [[nodiscard]] bool available(TimePoint now) const noexcept {
    return !spec.down && !resting(now) && (spec.max_conns == 0 || state.conns < spec.max_conns);
  }
  /// Whether it failed max_fails times and fail_timeout is not over.
  [[nodiscard]] bool resting(TimePoint now) const noexcept {
    return spec.max_fails != 0 && state.fails >= spec.max_fails && now - state.checked <= spec.fail_timeout;
  }
};

}  // namespace gatehouse::upstream
