#include "proxy/upstream/cluster_runtime.hpp"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "proxy/base/digest.hpp"
#include "proxy/upstream/resolver.hpp"

namespace gatehouse::upstream {
namespace {

KeepaliveSpec keepalive_of(const config::Upstream& spec) {
  return {.connections = spec.keepalive,
          .requests = spec.keepalive_requests,
          .time = spec.keepalive_time,
          .timeout = spec.keepalive_timeout};
}

RetryBudgetSpec budget_of(const config::Upstream& spec) {
  return {.percent = spec.retry_budget, .min_per_second = spec.retry_budget_min, .unlimited = spec.retry_budget >= 100};
}

PeerSpec peer_of(const config::Upstream& spec, const config::UpstreamServer& server, SocketAddress address) {
  PeerSpec peer;
  // nginx's: the MD5 of the address, so that every instance, and every start, gives a peer the same name.
  if (spec.sticky) {
    peer.sticky_id = server.route.empty() ? hex(digest_of(address.to_string())) : server.route;
  }
  peer.slow_start = server.slow_start;
  peer.draining = server.drain;
  peer.address = std::move(address);
  peer.name = server.name;
  peer.weight = server.weight;
  peer.max_fails = server.max_fails;
  peer.fail_timeout = server.fail_timeout;
  peer.max_conns = server.max_conns;
  peer.backup = server.backup;
  peer.down = server.down;
  return peer;
}

ResolutionPolicy policy_of(const config::Upstream& spec, const config::UpstreamServer& server) {
  ResolutionPolicy policy;
  if (spec.resolver) policy.valid = spec.resolver->valid;
  if (server.resolve) policy.on_missing = OnMissing::drop;
  return policy;
}

}  // namespace

ClusterRuntime::ClusterRuntime(io::Reactor& reactor, const config::Upstream& spec, std::uint64_t seed)
    : spec_(spec), pool_(keepalive_of(spec)), retry_budget_(budget_of(spec)), resolved_(reactor) {
  for (const auto& server : spec_.servers) {
    if (!server.address) names_.push_back({server.host, server.port, Resolution(policy_of(spec_, server))});
  }
  cluster_ = std::make_unique<Cluster>(cluster_spec(), seed);
}

ClusterRuntime::~ClusterRuntime() = default;

ClusterSpec ClusterRuntime::cluster_spec() const {
  ClusterSpec result;
  result.name = spec_.name;
  result.balancing = spec_.method;
  result.time_rules = {.whole_response = spec_.least_time_whole, .in_flight = spec_.least_time_in_flight};
  result.keepalive = keepalive_of(spec_);
  result.is_implicit = spec_.implicit;
  std::size_t name = 0;
  for (const auto& server : spec_.servers) {
    if (server.address) {
      result.peers.push_back(peer_of(spec_, server, *server.address));
      continue;
    }
    for (const SocketAddress& address : names_[name].resolution.addresses()) {
      result.peers.push_back(peer_of(spec_, server, address.with_port(server.port)));
    }
    ++name;
  }
  return result;
}

void ClusterRuntime::reconfigure(const config::Upstream& spec) {
  std::vector<Name> old = std::exchange(names_, {});
  spec_ = spec;
  for (const auto& server : spec_.servers) {
    if (server.address) continue;
    const auto known = std::find_if(old.begin(), old.end(), [&](const Name& name) { return name.host == server.host; });
    names_.push_back({server.host, server.port, Resolution(policy_of(spec_, server))});
    if (known == old.end()) continue;
    names_.back().resolution = std::move(known->resolution);
    names_.back().resolution.set_policy(policy_of(spec_, server));
    old.erase(known);
  }
  cluster_->reconfigure(cluster_spec());
  retry_budget_.reconfigure(budget_of(spec_));
  pool_.reconfigure(keepalive_of(spec_), [](ConnectionPtr connection) { connection->stream.close(); });
}

void ClusterRuntime::apply_resolutions() {
  cluster_->replace_peers(cluster_spec().peers);
  resolved_.notify_all();
}

bool ClusterRuntime::awaits_first_answer() const noexcept {
  if (names_.empty() || !cluster_->primary().empty() || !cluster_->backup().empty()) return false;
  return std::any_of(names_.begin(), names_.end(), [](const Name& name) { return name.resolution.failures() == 0; });
}

ConnectionPtr ClusterRuntime::take_idle(const PoolKey& key, TimePoint now) {
  while (auto taken = pool_.take(key, now)) {
    ConnectionPtr connection = std::move(taken->connection);
    if (connection->stream.socket().looks_quiet()) return connection;
    // An edge was seen since the last read: either it was answered by that read, or the peer closed or spoke unasked.
    if (!connection->stream.has_buffered() && connection->stream.socket().is_quiet()) return connection;
    connection->stream.close();
  }
  return nullptr;
}

void ClusterRuntime::put_idle(ConnectionPtr connection, TimePoint now) {
  const ConnectionUsage usage = connection->usage;
  PoolKey key = connection->key;
  auto put = pool_.put(std::move(key), std::move(connection), usage, now);
  if (put.to_close) (*put.to_close)->stream.close();
}

void ClusterRuntime::sweep(TimePoint now) {
  const auto close = [](ConnectionPtr&& connection) { connection->stream.close(); };
  pool_.expire(now, close);
  pool_.remove_closed(
      [](const ConnectionPtr& connection) { return connection->stream.socket().descriptor().peer_closed; }, close);
}

Clusters carry_over(const std::vector<config::Upstream>& upstreams, const Clusters& old, io::Reactor& reactor,
                    Resolver& resolver, std::uint64_t seed) {
  Clusters clusters;
  for (const auto& spec : upstreams) {
    const auto known = std::ranges::find_if(old, [&](const auto& cluster) {
      return cluster->spec().name == spec.name && cluster->spec().implicit == spec.implicit;
    });
    auto cluster =
        known != old.end() ? *known : std::make_shared<ClusterRuntime>(reactor, spec, seed ^ clusters.size());
    if (known != old.end()) cluster->reconfigure(spec);
    refresh_names(cluster, resolver);
    clusters.push_back(std::move(cluster));
  }
  return clusters;
}

}  // namespace gatehouse::upstream
