// A cluster on one event thread: its balancer, its idle connections, its names being kept resolved.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proxy/config/model.hpp"
#include "proxy/io/reactor.hpp"
#include "proxy/io/signal.hpp"
#include "proxy/io/stream.hpp"
#include "proxy/upstream/cluster.hpp"
#include "proxy/upstream/pool_policy.hpp"
#include "proxy/upstream/resolution.hpp"
#include "proxy/upstream/retry_budget.hpp"

namespace gatehouse::upstream {

/// A connection to a peer, in use or idle.
struct Connection {
  io::Stream stream;
  ConnectionUsage usage;
  PoolKey key;
};
using ConnectionPtr = std::unique_ptr<Connection>;

/// One cluster of a configuration on one thread. Kept over reloads by name, with its peers' state and its idle connections.
class ClusterRuntime {
 public:
  ClusterRuntime(io::Reactor& reactor, const config::Upstream& spec, std::uint64_t seed);
  ~ClusterRuntime();
  ClusterRuntime(const ClusterRuntime&) = delete;
  ClusterRuntime& operator=(const ClusterRuntime&) = delete;

  /// Takes the new configuration of the same name.
  void reconfigure(const config::Upstream& spec);

  [[nodiscard]] Cluster& cluster() noexcept { return *cluster_; }
  [[nodiscard]] const Cluster& cluster() const noexcept { return *cluster_; }
  [[nodiscard]] RetryBudget& retry_budget() noexcept { return retry_budget_; }
  [[nodiscard]] const config::Upstream& spec() const noexcept { return spec_; }

  /// An idle connection for the key that has nothing to read and is not closed; null if there is none.
  [[nodiscard]] ConnectionPtr take_idle(const PoolKey& key, TimePoint now);
  /// Keeps a connection for reuse, or closes it.
  void put_idle(ConnectionPtr connection, TimePoint now);
  /// Closes connections that are over their idle time or were closed by the peer. Called about once a second.
  void sweep(TimePoint now);
  [[nodiscard]] std::size_t idle() const noexcept { return pool_.size(); }

  /// A host name of the cluster with the state of its resolution.
  struct Name {
    std::string host;
    std::uint16_t port = 0;
    Resolution resolution;
  };
  [[nodiscard]] std::vector<Name>& names() noexcept { return names_; }
  /// Rebuilds the peers from addresses and resolved names, and wakes who waits for the first of them.
  void apply_resolutions();
  /// No address is known yet, and the first lookups have not all been answered.
  [[nodiscard]] bool awaits_first_answer() const noexcept;
  /// Notified by apply_resolutions() and report_failure().
  [[nodiscard]] io::Signal& resolved() noexcept { return resolved_; }
  /// A lookup failed: requests that wait for the first answer stop waiting.
  void report_failure() { resolved_.notify_all(); }

 private:
  [[nodiscard]] ClusterSpec cluster_spec() const;

  config::Upstream spec_;
  std::vector<Name> names_;
  std::unique_ptr<Cluster> cluster_;
  IdlePool<ConnectionPtr> pool_;
  RetryBudget retry_budget_;
  io::Signal resolved_;
};

class Resolver;
using Clusters = std::vector<std::shared_ptr<ClusterRuntime>>;

/// The clusters of a configuration that comes into use: those of `old` with the same name go on with their peers' state, the
/// others are made. For the loop's thread.
[[nodiscard]] Clusters carry_over(const std::vector<config::Upstream>& upstreams, const Clusters& old,
                                  io::Reactor& reactor, Resolver& resolver, std::uint64_t seed);

}  // namespace gatehouse::upstream
