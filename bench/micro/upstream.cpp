// Cost of choosing a peer, per balancing method and number of peers.
#include <cstdint>
#include <string>

#include <benchmark/benchmark.h>

#include "proxy/upstream/cluster.hpp"

namespace gatehouse::upstream {
namespace {

ClusterSpec cluster_of(Balancing balancing, std::int64_t peers) {
  ClusterSpec spec;
  spec.name = "bench";
  spec.balancing = balancing;
  for (std::int64_t i = 0; i < peers; ++i) {
    PeerSpec peer;
    peer.address =
        SocketAddress::ipv4({10, 0, static_cast<std::uint8_t>(i / 256), static_cast<std::uint8_t>(i % 256)}, 80);
    peer.name = peer.address.to_string();
    spec.peers.push_back(std::move(peer));
  }
  return spec;
}

void pick(benchmark::State& state, Balancing balancing) {
  Cluster cluster(cluster_of(balancing, state.range(0)), 1);
  const TimePoint now = TimePoint{} + std::chrono::hours(1);
  std::uint32_t client = 0;
  for (auto _ : state) {
    ++client;
    const std::uint8_t address[] = {192, 0, static_cast<std::uint8_t>(client >> 8), static_cast<std::uint8_t>(client)};
    const std::string_view key(reinterpret_cast<const char*>(&client), sizeof client);
    Attempt attempt;
    const auto picked = cluster.pick({address, key}, attempt, now);
    if (!picked) return state.SkipWithError("no peer");
    cluster.on_success(**picked);
    cluster.release(**picked);
  }
}
BENCHMARK_CAPTURE(pick, round_robin, Balancing::round_robin)->Arg(1)->Arg(4)->Arg(64);
BENCHMARK_CAPTURE(pick, least_conn, Balancing::least_conn)->Arg(4)->Arg(64);
BENCHMARK_CAPTURE(pick, ip_hash, Balancing::ip_hash)->Arg(4)->Arg(64);
BENCHMARK_CAPTURE(pick, hash_consistent, Balancing::hash_consistent)->Arg(4)->Arg(64);
BENCHMARK_CAPTURE(pick, random_two, Balancing::random_two)->Arg(4)->Arg(64);

}  // namespace
}  // namespace gatehouse::upstream
