// A cluster: the peers of one `upstream` block (or of one proxy_pass address) and the choice among them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/base/error.hpp"
#include "proxy/base/units.hpp"
#include "proxy/config/model.hpp"
#include "proxy/upstream/consistent_hash.hpp"
#include "proxy/upstream/keepalive.hpp"
#include "proxy/upstream/peer.hpp"
#include "proxy/upstream/random.hpp"
#include "proxy/upstream/tried_set.hpp"

namespace gatehouse::upstream {

/// How a cluster chooses a peer: the balancing directive of its `upstream` block.
using Balancing = config::BalanceMethod;

/// What least_time compares.
struct TimeRules {
  bool whole_response = false;  ///< `last_byte`; else the time to the response's head
  bool in_flight = false;       ///< `inflight`: what is not answered yet counts with its age

  friend bool operator==(const TimeRules&, const TimeRules&) = default;
};

/// What the configuration says of a cluster.
struct ClusterSpec {
  std::string name;  ///< the `upstream` block's name, or host:port of an implicit one
  Balancing balancing = Balancing::round_robin;
  TimeRules time_rules;
  std::vector<PeerSpec> peers;  ///< in the configuration's order; empty while no name resolved
  KeepaliveSpec keepalive;
  bool is_implicit = false;  ///< made from the address in proxy_pass, not from an `upstream` block
};

/// What a request brings to the choice. Everything is borrowed for the call.
struct PickKey {
  std::span<const std::uint8_t> client_address;  ///< 4 or 16 bytes (SocketAddress::bytes()); for ip_hash
  std::string_view hash_key{};  ///< the value of the `hash` directive's key; the same in each pick of a request
  std::string_view sticky{};    ///< PeerSpec::sticky_id of the peer that `sticky` binds the request to; empty: none
};

/// The state of one request over its tries. Make one per request; the first pick fills it in.
class Attempt {
 public:
  /// Whether the primary peers were exhausted, so that further picks are among the backups only.
  [[nodiscard]] bool on_backup() const noexcept { return on_backup_; }

 private:
  friend class Cluster;
  std::uint64_t generation_ = 0;  ///< of the cluster at the last pick; 0 before the first one
  TriedSet tried_;
  std::uint32_t hash_ = 0;    ///< running hash, or the point of the ring
  std::uint32_t rehash_ = 0;  ///< rounds of `hash` so far
  std::uint32_t misses_ = 0;  ///< unusable peers met by a hashing or random balancer
  bool hash_started_ = false;
  bool on_backup_ = false;
};

/// What a counted failure did to its peer; `disabled` deserves nginx's warning "upstream server temporarily disabled".
enum class FailureEffect : std::uint8_t { none, counted, disabled };

/// The peers of one cluster as one event thread sees them. Single-threaded; knows no clock. All arithmetic is nginx's
/// (ngx_http_upstream_round_robin.c and its siblings), except that time has the clock's resolution and not a second's.
class Cluster {
 public:
  /// `seed` starts the sequence of Balancing::random; threads should have different ones.
  explicit Cluster(ClusterSpec spec, std::uint64_t seed = 0);
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  /// Chooses the peer of a request's next try and counts a connection on it; pair it with release().
  /// Never returns a peer that this attempt had before, one that is down, resting or at max_conns (a cluster of a
  /// single peer is spared the first and the third of these). Allocates only above 64 peers. Errors: no_live_upstream;
  /// unresolved while the cluster has no peers at all.
  [[nodiscard]] Result<Peer*> pick(const PickKey& key, Attempt& attempt, TimePoint now);

  /// The peer answered, or the request ended without the peer's fault (the client went away): ends a probe, and forgets
  /// the failures if their window is over. A probe that nobody reports rests the peer for another fail_timeout.
  void on_success(Peer& peer) noexcept;
  /// The peer failed in a way that counts.
  FailureEffect on_failure(Peer& peer, TimePoint now) noexcept;
  /// For least_time: how long a response's head, and the whole response, took.
  void on_times(Peer& peer, Milliseconds header, Milliseconds response) noexcept;
  /// For least_time with `inflight`: pick() counted a request in flight, which was answered after `taken`, or given up (nothing).
  void on_answer(Peer& peer, std::optional<Milliseconds> taken, TimePoint now) noexcept;
  [[nodiscard]] const TimeRules& time_rules() const noexcept { return time_rules_; }
  /// Ends the connection that pick() counted. The peer must not be touched afterwards: a removed one goes with its last
  /// release.
  void release(Peer& peer) noexcept;

  /// Takes a new list of peers (re-resolved names). Those that stay, by name, address and group, keep their state.
  void replace_peers(std::vector<PeerSpec> peers);
  /// Takes a new configuration (reload); peers that stay keep their state, weights included if unchanged.
  void reconfigure(ClusterSpec spec);

  /// How many peers a request may try: those not marked down, backups included; `limit` (proxy_next_upstream_tries)
  /// caps it, 0 doesn't.
  [[nodiscard]] std::uint32_t tries(std::uint32_t limit) const noexcept;

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] Balancing balancing() const noexcept { return balancing_; }
  [[nodiscard]] const KeepaliveSpec& keepalive() const noexcept { return keepalive_; }
  [[nodiscard]] bool is_implicit() const noexcept { return is_implicit_; }
  /// The peers in the configuration's order; valid until the next replace_peers() or reconfigure().
  [[nodiscard]] std::span<Peer* const> primary() const noexcept { return primary_.peers; }
  [[nodiscard]] std::span<Peer* const> backup() const noexcept { return backup_.peers; }

 private:
  struct Group {
    std::vector<Peer*> peers;
    std::vector<std::uint64_t>
        weight_ends;  ///< running sums of the weights: the peer of weight w is the first with end > w
    std::uint64_t total_weight = 0;
    std::uint32_t not_down = 0;
  };

  void synchronise(Attempt& attempt) const noexcept;
  static void rebuild(Group& group, std::vector<Peer*> peers);
  void rebuild_ring();
  [[nodiscard]] Peer* adopt(Peer* old, PeerSpec spec);
  void retire(Peer& peer) noexcept;
  [[nodiscard]] Peer* at_weight(const Group& group, std::uint64_t weight) const noexcept;
  [[nodiscard]] bool usable(const Peer& peer, const Attempt& attempt, TimePoint now) const noexcept;

  [[nodiscard]] Peer* pick_single() const noexcept;
  [[nodiscard]] Peer* pick_primary(const PickKey& key, Attempt& attempt, TimePoint now);
  [[nodiscard]] Peer* pick_weighted(const Group& group, const Attempt& attempt, TimePoint now) const noexcept;
  [[nodiscard]] Peer* pick_sticky(const Group& group, std::string_view id, const Attempt& attempt,
                                  TimePoint now) const noexcept;
  [[nodiscard]] Peer* pick_backup(const PickKey& key, const Attempt& attempt, TimePoint now) const noexcept;
  template <class Load>
  [[nodiscard]] Peer* pick_least(const Group& group, const Attempt& attempt, TimePoint now, Load&& load) const noexcept;
  [[nodiscard]] Peer* pick_least_conn(const Group& group, const Attempt& attempt, TimePoint now) const noexcept;
  [[nodiscard]] Peer* pick_least_time(const Group& group, const Attempt& attempt, TimePoint now) const noexcept;
  [[nodiscard]] std::uint64_t expected_time(const Peer& peer, TimePoint now) const noexcept;
  [[nodiscard]] Peer* pick_ip_hash(const PickKey& key, Attempt& attempt, TimePoint now) const noexcept;
  [[nodiscard]] Peer* pick_hash(const PickKey& key, Attempt& attempt, TimePoint now) const noexcept;
  [[nodiscard]] Peer* pick_hash_consistent(const PickKey& key, Attempt& attempt, TimePoint now) const noexcept;
  [[nodiscard]] Peer* pick_random(Attempt& attempt, TimePoint now) noexcept;
  [[nodiscard]] Peer* pick_random_two(Attempt& attempt, TimePoint now) noexcept;

  std::string name_;
  KeepaliveSpec keepalive_;
  std::uint64_t generation_ = 0;
  Group primary_;
  Group backup_;
  std::vector<std::unique_ptr<Peer>> slots_;  ///< owns every peer, retired ones too; null where a slot is free
  HashRing ring_;                             ///< for hash_consistent; empty otherwise
  Random random_;
  Balancing balancing_ = Balancing::round_robin;
  TimeRules time_rules_;
  bool single_ = false;  ///< one primary, no backup: it is used whatever its failures
  bool is_implicit_ = false;
};

/// A pick that releases itself: move-only, so that an exchange that is cut short still gives its connection count back.
/// The cluster must outlive it; same thread.
class PeerLease {
 public:
  PeerLease() = default;
  PeerLease(Cluster& cluster, Peer& peer) noexcept
      : cluster_(&cluster), peer_(&peer), in_flight_(cluster.time_rules().in_flight) {}
  PeerLease(PeerLease&& other) noexcept
      : cluster_(std::exchange(other.cluster_, nullptr)),
        peer_(std::exchange(other.peer_, nullptr)),
        in_flight_(std::exchange(other.in_flight_, false)) {}
  PeerLease& operator=(PeerLease&& other) noexcept {
    PeerLease moved(std::move(other));
    std::swap(cluster_, moved.cluster_);
    std::swap(peer_, moved.peer_);
    std::swap(in_flight_, moved.in_flight_);
    return *this;
  }
  ~PeerLease() { reset(); }

  [[nodiscard]] explicit operator bool() const noexcept { return peer_ != nullptr; }
  [[nodiscard]] Peer& operator*() const noexcept { return *peer_; }
  [[nodiscard]] Peer* operator->() const noexcept { return peer_; }
  void reset() noexcept {
    if (peer_ == nullptr) return;
    on_answer(std::nullopt, TimePoint{});
    cluster_->release(*peer_);
    peer_ = nullptr;
  }
  /// What least_time waits for has come, `taken` after the pick; the first call counts.
  void on_answer(std::optional<Milliseconds> taken, TimePoint now) noexcept {
    if (std::exchange(in_flight_, false)) cluster_->on_answer(*peer_, taken, now);
  }

 private:
  Cluster* cluster_ = nullptr;
  Peer* peer_ = nullptr;
  bool in_flight_ = false;
};

}  // namespace gatehouse::upstream
