// The choice of a peer, one function a balancing directive. Each is nginx's, named in its comment; a change of
// arithmetic here moves clients to other peers than an nginx with the same configuration would choose.
#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

#include "proxy/upstream/cluster.hpp"

namespace gatehouse::upstream {
namespace {

// After so many peers that can't be used, a hashing or random balancer leaves the choice to round robin.
constexpr std::uint32_t kMaxMisses = 20;

// Weights are counted in these parts, so that slow_start has steps between 0 and 1.
constexpr std::int64_t kParts = 1024;

// What is there of a weight at `now`: all of it, or the share that slow_start has given back. Never nothing.
std::int64_t present(PeerState& state, const PeerSpec& spec, std::int64_t weight, TimePoint now) noexcept {
  if (!state.slow) return weight * kParts;
  if (state.slow_since == TimePoint{}) state.slow_since = now;
  const auto passed = now - state.slow_since;
  if (passed >= spec.slow_start) {
    state.slow = false;
    return weight * kParts;
  }
  const auto parts = passed * kParts / std::chrono::duration_cast<Clock::duration>(spec.slow_start);
  return std::max<std::int64_t>(weight * parts, weight == 0 ? 0 : 1);
}

// One peer's turn in the smooth rotation: it gains its weight, and recovers a little from its failures.
std::int64_t gain(PeerState& state, const PeerSpec& spec, TimePoint now) noexcept {
  const std::int64_t weight = present(state, spec, state.effective_weight, now);
  state.current_weight += weight;
  if (state.effective_weight < spec.weight) ++state.effective_weight;
  return weight;
}

}  // namespace

bool Cluster::usable(const Peer& peer, const Attempt& attempt, TimePoint now) const noexcept {
  return !attempt.tried_.contains(peer.slot) && !peer.spec.draining && peer.available(now);
}

// ngx_http_upstream_get_rr_peer_by_sid: the peer that `sticky` names, a draining one too.
Peer* Cluster::pick_sticky(const Group& group, std::string_view id, const Attempt& attempt,
                           TimePoint now) const noexcept {
  if (id.empty()) return nullptr;
  const auto named = std::ranges::find_if(group.peers, [&](const Peer* peer) { return peer->spec.sticky_id == id; });
  if (named == group.peers.end()) return nullptr;
  Peer* const peer = *named;
  return attempt.tried_.contains(peer->slot) || !peer->available(now) ? nullptr : peer;
}

Peer* Cluster::at_weight(const Group& group, std::uint64_t weight) const noexcept {
  const auto end = std::upper_bound(group.weight_ends.begin(), group.weight_ends.end(), weight);
  return group.peers[static_cast<std::size_t>(end - group.weight_ends.begin())];
}

Peer* Cluster::pick_primary(const PickKey& key, Attempt& attempt, TimePoint now) {
  Peer* peer = nullptr;
  if (primary_.peers.empty()) return nullptr;
  if (Peer* const bound = pick_sticky(primary_, key.sticky, attempt, now)) return bound;
  switch (balancing_) {
    case Balancing::round_robin: break;
    case Balancing::least_conn: return pick_least_conn(primary_, attempt, now);
    case Balancing::least_time: return pick_least_time(primary_, attempt, now);
    case Balancing::ip_hash: peer = pick_ip_hash(key, attempt, now); break;
    case Balancing::hash: peer = pick_hash(key, attempt, now); break;
    case Balancing::hash_consistent: peer = pick_hash_consistent(key, attempt, now); break;
    case Balancing::random: peer = pick_random(attempt, now); break;
    case Balancing::random_two:
    case Balancing::random_two_least_time: peer = pick_random_two(attempt, now); break;
  }
  return peer != nullptr ? peer : pick_weighted(primary_, attempt, now);
}

Peer* Cluster::pick_backup(const PickKey& key, const Attempt& attempt, TimePoint now) const noexcept {
  if (Peer* const bound = pick_sticky(backup_, key.sticky, attempt, now)) return bound;
  if (balancing_ == Balancing::least_conn) return pick_least_conn(backup_, attempt, now);
  if (balancing_ == Balancing::least_time) return pick_least_time(backup_, attempt, now);
  return pick_weighted(backup_, attempt, now);
}

// ngx_http_upstream_get_round_robin_peer, peers->single: neither failures nor earlier tries count.
Peer* Cluster::pick_single() const noexcept {
  Peer* peer = primary_.peers.front();
  const bool full = peer->spec.max_conns != 0 && peer->state.conns >= peer->spec.max_conns;
  return peer->spec.down || full ? nullptr : peer;
}

// ngx_http_upstream_get_peer: smooth weighted round robin.
Peer* Cluster::pick_weighted(const Group& group, const Attempt& attempt, TimePoint now) const noexcept {
  Peer* best = nullptr;
  std::int64_t total = 0;
  for (Peer* peer : group.peers) {
    if (!usable(*peer, attempt, now)) continue;
    total += gain(peer->state, peer->spec, now);
    if (best == nullptr || peer->state.current_weight > best->state.current_weight) best = peer;
  }
  if (best != nullptr) best->state.current_weight -= total;
  return best;
}

// The peer with the least load for its weight, smooth rotation among equals.
template <class Load>
Peer* Cluster::pick_least(const Group& group, const Attempt& attempt, TimePoint now, Load&& load) const noexcept {
  // Loads and weights are compared crosswise, so that nothing is divided.
  struct Share {
    unsigned __int128 load = 0;
    unsigned __int128 weight = 1;
  };
  const auto share_of = [&](Peer& peer) {
    return Share{load(peer), static_cast<std::uint64_t>(present(peer.state, peer.spec, peer.spec.weight, now))};
  };
  const auto compare = [](const Share& a, const Share& b) {
    const auto left = a.load * b.weight;
    const auto right = b.load * a.weight;
    return (left > right) - (left < right);
  };
  Peer* best = nullptr;
  Share least;
  bool many = false;
  for (Peer* peer : group.peers) {
    if (!usable(*peer, attempt, now)) continue;
    const Share share = share_of(*peer);
    const int order = best == nullptr ? -1 : compare(share, least);
    if (order < 0) {
      best = peer;
      least = share;
      many = false;
    } else if (order == 0) {
      many = true;
    }
  }
  if (best == nullptr || !many) return best;
  // The first of the equals is compared with itself as well, as there: peers before it carry more load.
  std::int64_t total = 0;
  for (Peer* peer : group.peers) {
    if (!usable(*peer, attempt, now) || compare(share_of(*peer), least) != 0) continue;
    total += gain(peer->state, peer->spec, now);
    if (peer->state.current_weight > best->state.current_weight) best = peer;
  }
  best->state.current_weight -= total;
  return best;
}

// ngx_http_upstream_get_least_conn_peer: fewest connections for the weight.
Peer* Cluster::pick_least_conn(const Group& group, const Attempt& attempt, TimePoint now) const noexcept {
  return pick_least(group, attempt, now, [](const Peer& peer) { return peer.state.conns; });
}

// ngx_http_upstream_get_least_time_peer: the least time for the weight that what it has to do, and one more, would take it.
Peer* Cluster::pick_least_time(const Group& group, const Attempt& attempt, TimePoint now) const noexcept {
  for (Peer* peer : group.peers) {
    PeerState& state = peer->state;
    if (state.in_flight == 0 || !usable(*peer, attempt, now)) continue;
    const auto since = std::chrono::duration_cast<Milliseconds>(now - state.in_flight_changed).count();
    average(state.in_flight_time, state.in_flight_spent / state.in_flight + since);
  }
  return pick_least(group, attempt, now, [&](const Peer& peer) { return expected_time(peer, now); });
}

// ngx_http_upstream_least_time_eta: times of a peer that nobody asked for long are halved again and again, very long ones are all the
// same, and near ones too.
std::uint64_t Cluster::expected_time(const Peer& peer, TimePoint now) const noexcept {
  constexpr std::uint64_t kLongest = 5000;  // milliseconds
  constexpr std::uint64_t kStep = 20;
  std::uint64_t time = time_rules_.whole_response ? peer.state.response_time : peer.state.header_time;
  const auto idle = now - peer.state.checked;
  if (idle > peer.spec.fail_timeout) {
    const auto times =
        idle / (std::chrono::duration_cast<Clock::duration>(peer.spec.fail_timeout) + std::chrono::seconds(1));
    time = times < 64 ? time >> times : 0;
  }
  if (peer.state.in_flight > 0) time = std::max<std::uint64_t>(time, peer.state.in_flight_time);
  time = time > kLongest ? kLongest : time + kStep - time % kStep;
  return time * (1 + peer.state.conns);
}

// ngx_http_upstream_get_ip_hash_peer: the first three octets of an IPv4 address, all of an IPv6 one.
Peer* Cluster::pick_ip_hash(const PickKey& key, Attempt& attempt, TimePoint now) const noexcept {
  static constexpr std::array<std::uint8_t, 3> kNoAddress{};
  std::span<const std::uint8_t> bytes = kNoAddress;
  if (key.client_address.size() == 4) bytes = key.client_address.first(3);
  if (key.client_address.size() == 16) bytes = key.client_address;
  if (!attempt.hash_started_) {
    attempt.hash_started_ = true;
    attempt.hash_ = 89;
  }
  std::uint32_t hash = attempt.hash_;
  while (attempt.misses_ <= kMaxMisses) {
    for (const std::uint8_t byte : bytes) hash = (hash * 113 + byte) % 6271;
    Peer* peer = at_weight(primary_, hash % primary_.total_weight);
    if (usable(*peer, attempt, now)) {
      attempt.hash_ = hash;
      return peer;
    }
    ++attempt.misses_;
  }
  return nullptr;
}

// ngx_http_upstream_get_hash_peer: compatible with Cache::Memcached; each round adds to the hash of those before.
Peer* Cluster::pick_hash(const PickKey& key, Attempt& attempt, TimePoint now) const noexcept {
  if (key.hash_key.empty()) return nullptr;
  while (attempt.misses_ <= kMaxMisses) {
    std::uint32_t crc = 0;
    if (attempt.rehash_ > 0) {
      char digits[12];
      const char* end = std::to_chars(digits, digits + sizeof digits, attempt.rehash_).ptr;
      crc = crc32({digits, static_cast<std::size_t>(end - digits)});
    }
    attempt.hash_ += (crc32(key.hash_key, crc) >> 16) & 0x7fff;
    ++attempt.rehash_;
    Peer* peer = at_weight(primary_, attempt.hash_ % primary_.total_weight);
    if (usable(*peer, attempt, now)) return peer;
    ++attempt.misses_;
  }
  return nullptr;
}

// ngx_http_upstream_get_chash_peer: walks the ring from the key's point; among peers of one name the rotation decides.
Peer* Cluster::pick_hash_consistent(const PickKey& key, Attempt& attempt, TimePoint now) const noexcept {
  if (key.hash_key.empty() || ring_.empty()) return nullptr;
  if (!attempt.hash_started_) {
    attempt.hash_started_ = true;
    attempt.hash_ = ring_.find(crc32(key.hash_key));
  }
  while (attempt.misses_ <= kMaxMisses) {
    const std::uint32_t server = ring_.at(attempt.hash_);
    Peer* best = nullptr;
    std::int64_t total = 0;
    for (Peer* peer : primary_.peers) {
      if (peer->server != server || !usable(*peer, attempt, now)) continue;
      total += gain(peer->state, peer->spec, now);
      if (best == nullptr || peer->state.current_weight > best->state.current_weight) best = peer;
    }
    if (best != nullptr) {
      best->state.current_weight -= total;
      return best;
    }
    ++attempt.hash_;
    ++attempt.misses_;
  }
  return nullptr;
}

// ngx_http_upstream_get_random_peer.
Peer* Cluster::pick_random(Attempt& attempt, TimePoint now) noexcept {
  if (primary_.peers.size() < 2) return nullptr;
  while (attempt.misses_ <= kMaxMisses) {
    Peer* peer = at_weight(primary_, random_.below(primary_.total_weight));
    if (usable(*peer, attempt, now)) return peer;
    ++attempt.misses_;
  }
  return nullptr;
}

// ngx_http_upstream_get_random2_peer: the less loaded of two different ones.
Peer* Cluster::pick_random_two(Attempt& attempt, TimePoint now) noexcept {
  if (primary_.peers.size() < 2) return nullptr;
  Peer* first = nullptr;
  while (attempt.misses_ <= kMaxMisses) {
    Peer* peer = at_weight(primary_, random_.below(primary_.total_weight));
    if (peer != first && usable(*peer, attempt, now)) {
      if (first == nullptr) {
        first = peer;
        continue;
      }
      const bool by_time = balancing_ == Balancing::random_two_least_time;
      const auto load = [&](const Peer& one) { return by_time ? expected_time(one, now) : one.state.conns; };
      return load(*peer) * first->spec.weight > load(*first) * peer->spec.weight ? first : peer;
    }
    ++attempt.misses_;
  }
  return nullptr;
}

}  // namespace gatehouse::upstream
