#include "proxy/exchange/thread_state.hpp"

#include <fmt/format.h>

namespace gatehouse::exchange {
namespace {

constexpr std::size_t kMostDynamicClusters = 1024;  // a client must not be able to grow the table without bound

}  // namespace

std::shared_ptr<upstream::ClusterRuntime> ThreadState::dynamic_cluster(
    std::string_view host, std::uint16_t port, std::shared_ptr<const config::ResolverSettings> resolver_settings) {
  std::string key = fmt::format("{}:{}", host, port);
  if (const auto known = dynamic_clusters.find(key); known != dynamic_clusters.end()) return known->second;
  if (dynamic_clusters.size() >= kMostDynamicClusters) {
    std::erase_if(dynamic_clusters, [](const auto& entry) { return entry.second.use_count() == 1; });
  }
  config::Upstream spec;
  spec.name = key;
  spec.implicit = true;
  spec.resolver = std::move(resolver_settings);
  config::UpstreamServer server;
  server.name = key;
  server.host = std::string(host);
  server.port = port;
  server.address = SocketAddress::parse(host, port);
  spec.servers.push_back(std::move(server));
  auto cluster = std::make_shared<upstream::ClusterRuntime>(reactor, spec, random_state);
  dynamic_clusters.emplace(std::move(key), cluster);
  upstream::refresh_names(cluster, resolver);
  return cluster;
}

}  // namespace gatehouse::exchange
