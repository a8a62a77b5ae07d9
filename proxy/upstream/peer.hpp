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
  Milliseconds slow_start{0};                            ///< how long its weight takes to grow back after a rest
  std::string sticky_id;                                 ///< what `sticky` knows it by; empty without that directive
  bool backup = false;
  bool down = false;
  bool draining = false;  ///< takes only the requests that `sticky` binds to it

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
  bool slow = false;                  ///< it came back from a rest, and its weight grows (slow_start)
  TimePoint slow_since{};             ///< the first pick since then
  // For least_time; averages in milliseconds, 0 while nothing is known.
  std::uint32_t header_time = 0;
  std::uint32_t response_time = 0;
  std::uint32_t in_flight_time = 0;  ///< average age of what is in flight
  std::uint32_t in_flight = 0;       ///< requests whose answer is awaited, with `inflight`
  std::int64_t in_flight_spent = 0;  ///< their ages together at `in_flight_changed`, in milliseconds
  TimePoint in_flight_changed{};

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

/// nginx's moving average of times in milliseconds: a twentieth of what is new; the first time counts whole.
void average(std::uint32_t& known, std::int64_t next) noexcept;

}  // namespace gatehouse::upstream
