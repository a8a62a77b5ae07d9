#include "proxy/upstream/cluster.hpp"

#include <algorithm>
#include <chrono>
#include <unordered_map>

namespace gatehouse::upstream {
namespace {

std::size_t identity_hash(const PeerSpec& spec) {
  return spec.address.hash() ^ std::hash<std::string>{}(spec.name) ^ static_cast<std::size_t>(spec.backup);
}

bool same_identity(const PeerSpec& a, const PeerSpec& b) {
  return a.backup == b.backup && a.address == b.address && a.name == b.name;
}

// Removes and returns the first of the old peers that `spec` describes; null if there is none.
Peer* take_old(std::unordered_multimap<std::size_t, Peer*>& old, const PeerSpec& spec) {
  Peer* found = nullptr;
  const auto [begin, end] = old.equal_range(identity_hash(spec));
  auto at = end;
  for (auto i = begin; i != end; ++i) {
    if (!same_identity(i->second->spec, spec)) continue;
    // Two equal lines of a configuration keep their order, whatever the table's.
    if (found == nullptr || i->second->slot < found->slot) {
      found = i->second;
      at = i;
    }
  }
  if (found != nullptr) old.erase(at);
  return found;
}

std::int64_t milliseconds(Clock::duration time) { return std::chrono::duration_cast<Milliseconds>(time).count(); }

}  // namespace

void average(std::uint32_t& known, std::int64_t next) noexcept {
  const double value = known == 0 ? static_cast<double>(next) : 0.5 + static_cast<double>(next) * 0.05 + known * 0.95;
  known = static_cast<std::uint32_t>(std::clamp(value, 0.0, 1e9));
}

Cluster::Cluster(ClusterSpec spec, std::uint64_t seed) : random_(seed) { reconfigure(std::move(spec)); }

Cluster::~Cluster() = default;

void Cluster::reconfigure(ClusterSpec spec) {
  name_ = std::move(spec.name);
  keepalive_ = spec.keepalive;
  balancing_ = spec.balancing;
  time_rules_ = spec.time_rules;
  is_implicit_ = spec.is_implicit;
  replace_peers(std::move(spec.peers));
}

void Cluster::replace_peers(std::vector<PeerSpec> peers) {
  ++generation_;
  std::unordered_multimap<std::size_t, Peer*> old;
  for (const Group* group : {&primary_, &backup_}) {
    for (Peer* peer : group->peers) old.emplace(identity_hash(peer->spec), peer);
  }
  std::vector<Peer*> primary;
  std::vector<Peer*> backup;
  for (PeerSpec& spec : peers) {
    spec.weight = std::max(spec.weight, 1U);
    std::vector<Peer*>& group = spec.backup ? backup : primary;
    Peer* const known = take_old(old, spec);
    group.push_back(adopt(known, std::move(spec)));
  }
  for (const auto& [hash, peer] : old) retire(*peer);
  rebuild(primary_, std::move(primary));
  rebuild(backup_, std::move(backup));
  single_ = primary_.peers.size() == 1 && backup_.peers.empty();
  rebuild_ring();
}

Peer* Cluster::adopt(Peer* old, PeerSpec spec) {
  if (old != nullptr) {
    // Another weight starts the smooth rotation anew; the failures are still what they were.
    if (old->spec.weight != spec.weight) {
      old->state.current_weight = 0;
      old->state.effective_weight = spec.weight;
    }
    old->spec = std::move(spec);
    old->address_text = old->spec.address.to_string();
    return old;
  }
  auto slot = std::find(slots_.begin(), slots_.end(), nullptr);
  if (slot == slots_.end()) slot = slots_.emplace(slots_.end());
  *slot = std::make_unique<Peer>();
  Peer& peer = **slot;
  peer.address_text = spec.address.to_string();
  peer.state.effective_weight = spec.weight;
  peer.spec = std::move(spec);
  peer.slot = static_cast<std::uint32_t>(slot - slots_.begin());
  peer.added_in = generation_;
  return &peer;
}

void Cluster::retire(Peer& peer) noexcept {
  peer.retired = true;
  if (peer.state.conns == 0) slots_[peer.slot].reset();
}

void Cluster::rebuild(Group& group, std::vector<Peer*> peers) {
  group = Group{};
  group.weight_ends.reserve(peers.size());
  for (const Peer* peer : peers) {
    group.total_weight += peer->spec.weight;
    group.weight_ends.push_back(group.total_weight);
    if (!peer->spec.down) ++group.not_down;
  }
  group.peers = std::move(peers);
}

void Cluster::rebuild_ring() {
  ring_ = HashRing();
  if (balancing_ != Balancing::hash_consistent || single_) return;
  // Peers of one name are one server of the ring: its points are equal, and the choice among them is by weight.
  std::unordered_map<std::string_view, std::uint32_t> ids;
  std::vector<HashRing::Server> servers;
  for (Peer* peer : primary_.peers) {
    const std::uint32_t id = ids.try_emplace(peer->spec.name, static_cast<std::uint32_t>(ids.size())).first->second;
    peer->server = id;
    servers.push_back({peer->spec.name, peer->spec.weight, id});
  }
  ring_ = HashRing(servers);
}

void Cluster::synchronise(Attempt& attempt) const noexcept {
  // A slot may have got another peer since: that one was not tried.
  if (attempt.generation_ != 0) {
    for (const Group* group : {&primary_, &backup_}) {
      for (const Peer* peer : group->peers) {
        if (peer->added_in > attempt.generation_) attempt.tried_.erase(peer->slot);
      }
    }
  }
  attempt.generation_ = generation_;
}

Result<Peer*> Cluster::pick(const PickKey& key, Attempt& attempt, TimePoint now) {
  if (attempt.generation_ != generation_) synchronise(attempt);
  Peer* peer = nullptr;
  if (single_) {
    peer = pick_single();
  } else if (!attempt.on_backup_) {
    peer = pick_primary(key, attempt, now);
    attempt.on_backup_ = peer == nullptr && !backup_.peers.empty();
  }
  if (peer == nullptr && attempt.on_backup_) {
    peer = pick_backup(key, attempt, now);
  }
  if (peer == nullptr) {
    const bool unresolved = primary_.peers.empty() && backup_.peers.empty();
    return Error{unresolved ? Reason::unresolved : Reason::no_live_upstream};
  }
  if (!single_) {
    attempt.tried_.insert(peer->slot);
    // The first pick after the rest is the probe: until it ends, the others go on seeing a peer that rests.
    if (now - peer->state.checked > peer->spec.fail_timeout) peer->state.checked = now;
  }
  ++peer->state.conns;
  if (time_rules_.in_flight) {
    PeerState& state = peer->state;
    state.in_flight_spent += milliseconds(now - state.in_flight_changed) * state.in_flight;
    state.in_flight_changed = now;
    ++state.in_flight;
  }
  return peer;
}

void Cluster::on_times(Peer& peer, Milliseconds header, Milliseconds response) noexcept {
  average(peer.state.response_time, response.count());
  if (!time_rules_.in_flight || time_rules_.whole_response) average(peer.state.header_time, header.count());
}

void Cluster::on_answer(Peer& peer, std::optional<Milliseconds> taken, TimePoint now) noexcept {
  PeerState& state = peer.state;
  if (taken && !time_rules_.whole_response) average(state.header_time, taken->count());
  if (state.in_flight == 0) return;  // a reload brought `inflight` while the request was on its way
  const std::uint32_t before = state.in_flight--;
  if (state.in_flight == 0) {
    state.in_flight_spent = 0;
  } else if (taken) {
    state.in_flight_spent += milliseconds(now - state.in_flight_changed) * before - taken->count();
    state.in_flight_changed = now;
  } else {
    state.in_flight_spent -= state.in_flight_spent / before;  // an average share
  }
  state.in_flight_spent = std::max<std::int64_t>(state.in_flight_spent, 0);
}

void Cluster::on_success(Peer& peer) noexcept {
  if (!single_ && peer.state.accessed >= peer.state.checked) return;
  const bool rested = peer.spec.max_fails != 0 && peer.state.fails >= peer.spec.max_fails;
  if (rested && !single_ && peer.spec.slow_start.count() != 0) {
    peer.state.slow = true;
    peer.state.slow_since = {};
  }
  peer.state.fails = 0;
}

FailureEffect Cluster::on_failure(Peer& peer, TimePoint now) noexcept {
  PeerState& state = peer.state;
  if (single_) {
    state.fails = 0;
    return FailureEffect::none;
  }
  ++state.fails;
  state.accessed = now;
  state.checked = now;
  if (peer.spec.max_fails == 0) return FailureEffect::none;
  state.effective_weight -= peer.spec.weight / peer.spec.max_fails;
  state.effective_weight = std::max<std::int64_t>(state.effective_weight, 0);
  return state.fails >= peer.spec.max_fails ? FailureEffect::disabled : FailureEffect::counted;
}

void Cluster::release(Peer& peer) noexcept {
  --peer.state.conns;
  if (peer.retired && peer.state.conns == 0) slots_[peer.slot].reset();
}

std::uint32_t Cluster::tries(std::uint32_t limit) const noexcept {
  const std::uint32_t all = primary_.not_down + backup_.not_down;
  return limit == 0 ? all : std::min(all, limit);
}

}  // namespace gatehouse::upstream
