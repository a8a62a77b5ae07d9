// Builders shared by the tests of the upstream layer's decisions.
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "proxy/upstream/cluster.hpp"

namespace gatehouse::upstream {

/// A time on the test's own clock.
inline TimePoint at(double seconds) {
  return TimePoint{} + std::chrono::hours(1) + Milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

/// The peer 10.0.0.<n>:80, named so.
inline PeerSpec peer(int n, std::uint32_t weight = 1) {
  PeerSpec spec;
  spec.address = SocketAddress::ipv4({10, 0, 0, static_cast<std::uint8_t>(n)}, 80);
  spec.name = spec.address.to_string();
  spec.weight = weight;
  return spec;
}

inline PeerSpec down(PeerSpec spec) {
  spec.down = true;
  return spec;
}

inline PeerSpec backup(PeerSpec spec) {
  spec.backup = true;
  return spec;
}

inline PeerSpec max_conns(PeerSpec spec, std::uint32_t limit) {
  spec.max_conns = limit;
  return spec;
}

inline PeerSpec max_fails(PeerSpec spec, std::uint32_t limit, int fail_timeout_seconds = 10) {
  spec.max_fails = limit;
  spec.fail_timeout = std::chrono::seconds(fail_timeout_seconds);
  return spec;
}

inline ClusterSpec cluster_of(std::vector<PeerSpec> peers, Balancing balancing = Balancing::round_robin) {
  ClusterSpec spec;
  spec.name = "backend";
  spec.balancing = balancing;
  spec.peers = std::move(peers);
  return spec;
}

/// The last octet of the chosen peer's address; 0 for a failed pick.
inline int number_of(const Result<Peer*>& picked) {
  return picked.has_value() ? (*picked)->spec.address.bytes()[3] : 0;
}

/// A request that takes one peer and releases it at once; returns its number, 0 for none.
inline int pick_and_release(Cluster& cluster, const PickKey& key = {}, TimePoint now = at(0)) {
  Attempt attempt;
  const Result<Peer*> picked = cluster.pick(key, attempt, now);
  const int number = number_of(picked);
  if (picked.has_value()) cluster.release(**picked);
  return number;
}

/// The numbers of the peers that one request gets when each of them fails, in order.
inline std::vector<int> tries_of_one_request(Cluster& cluster, const PickKey& key = {}, TimePoint now = at(0)) {
  Attempt attempt;
  std::vector<int> numbers;
  while (numbers.size() < 1000) {
    const Result<Peer*> picked = cluster.pick(key, attempt, now);
    if (!picked.has_value()) break;
    numbers.push_back(number_of(picked));
    cluster.release(**picked);
  }
  return numbers;
}

}  // namespace gatehouse::upstream
