// The choice of a peer, one function a balancing directive. Each is nginx's, named in its comment; a change of
// arithmetic here moves clients to other peers than an nginx with the same configuration would choose.
#include <algorithm>
#include <array>
#include <charconv>

#include "proxy/upstream/cluster.hpp"

namespace gatehouse::upstream {
namespace {

// After so many peers that can't be used, a hashing or random balancer leaves the choice to round robin.
constexpr std::uint32_t kMaxMisses = 20;

// One peer's turn in the smooth rotation: it gains its weight, and recovers a little from its failures.
std::int64_t gain(PeerState& state, const PeerSpec& spec) noexcept {
  const std::int64_t weight = state.effective_weight;
  state.current_weight += weight;
  if (state.effective_weight < spec.weight) ++state.effective_weight;
  return weight;
}

// Sign of a.conns / a.weight - b.conns / b.weight.
int compare_load(const Peer& a, const Peer& b) noexcept {
  const std::uint64_t left = std::uint64_t{a.state.conns} * b.spec.weight;
  const std::uint64_t right = std::uint64_t{b.state.conns} * a.spec.weight;
  return (left > right) - (left < right);
}

}  // namespace

bool Cluster::usable(const Peer& peer, const Attempt& attempt, TimePoint now) const noexcept {
  return !attempt.tried_.contains(peer.slot) && peer.available(now);
}

Peer* Cluster::at_weight(const Group& group, std::uint64_t weight) const noexcept {
  const auto end = std::upper_bound(group.weight_ends.begin(), group.weight_ends.end(), weight);
  return group.peers[static_cast<std::size_t>(end - group.weight_ends.begin())];
}

Peer* Cluster::pick_primary(const PickKey& key, Attempt& attempt, TimePoint now) {
  Peer* peer = nullptr;
  if (primary_.peers.empty()) return nullptr;
  switch (balancing_) {
    case Balancing::round_robin: break;
    case Balancing::least_conn: return pick_least_conn(primary_, attempt, now);
    case Balancing::ip_hash: peer = pick_ip_hash(key, attempt, now); break;
    case Balancing::hash: peer = pick_hash(key, attempt, now); break;
    case Balancing::hash_consistent: peer = pick_hash_consistent(key, attempt, now); break;
    case Balancing::random: peer = pick_random(attempt, now); break;
    case Balancing::random_two: peer = pick_random_two(attempt, now); break;
  }
  return peer != nullptr ? peer : pick_weighted(primary_, attempt, now);
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
    total += gain(peer->state, peer->spec);
    if (best == nullptr || peer->state.current_weight > best->state.current_weight) best = peer;
  }
  if (best != nullptr) best->state.current_weight -= total;
  return best;
}

// ngx_http_upstream_get_least_conn_peer: fewest connections for the weight, smooth rotation among equals.
Peer* Cluster::pick_least_conn(const Group& group, const Attempt& attempt, TimePoint now) const noexcept {
  Peer* best = nullptr;
  bool many = false;
  for (Peer* peer : group.peers) {
    if (!usable(*peer, attempt, now)) continue;
    const int order = best == nullptr ? -1 : compare_load(*peer, *best);
    if (order < 0) {
      best = peer;
      many = false;
    } else if (order == 0) {
      many = true;
    }
  }
  if (best == nullptr || !many) return best;
  // The first of the equals is compared with itself as well, as there: peers before it carry more load.
  std::int64_t total = 0;
  const Peer* const least = best;
  for (Peer* peer : group.peers) {
    if (!usable(*peer, attempt, now) || compare_load(*peer, *least) != 0) continue;
    total += gain(peer->state, peer->spec);
    if (peer->state.current_weight > best->state.current_weight) best = peer;
  }
  best->state.current_weight -= total;
  return best;
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
      total += gain(peer->state, peer->spec);
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
      return compare_load(*peer, *first) > 0 ? first : peer;
    }
    ++attempt.misses_;
  }
  return nullptr;
}

}  // namespace gatehouse::upstream
