#include "proxy/server/scrape.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>

namespace gatehouse::server {
namespace {

constexpr std::chrono::seconds kPatience{1};

/// Filled by the event threads, which may answer after the scrape has stopped waiting: shared with them.
struct PeerCollection {
  std::mutex mutex;
  std::condition_variable complete;
  std::size_t missing = 0;
  std::map<std::pair<std::string, std::string>, PeerSample> peers;
  std::uint64_t idle = 0;

  void add(const std::vector<EventThread::PeerFigure>& figures, std::uint64_t idle_connections) {
    const std::lock_guard lock(mutex);
    for (const auto& figure : figures) {
      PeerSample& sample = peers[{figure.upstream, figure.peer}];
      sample.upstream = figure.upstream;
      sample.peer = figure.peer;
      sample.up = sample.up && figure.up;
      sample.active += figure.active;
      sample.failures = std::max<std::uint64_t>(sample.failures, figure.fails);
    }
    idle += idle_connections;
    if (--missing == 0) complete.notify_one();
  }
};

}  // namespace

void scrape_threads(const EventThreads& threads, MetricsInput& input) {
  const auto collection = std::make_shared<PeerCollection>();
  collection->missing = threads.size();
  for (const auto& thread : threads) {
    thread->collect_peers([collection](std::vector<EventThread::PeerFigure> figures, std::uint64_t idle) {
      collection->add(figures, idle);
    });
    input.threads.push_back(&thread->metrics());
    input.stream_threads.push_back(&thread->stream_metrics());
    input.connections += thread->connections();
    input.idle_connections += thread->idle_connections();
  }
  std::unique_lock lock(collection->mutex);
  collection->complete.wait_for(lock, kPatience, [&] { return collection->missing == 0; });
  for (const auto& [key, peer] : collection->peers) input.peers.push_back(peer);
  input.idle_upstream_connections = collection->idle;
}

std::vector<CertificateSample> certificate_samples(const exchange::Generation& generation,
                                                   const stream::Generation& streams) {
  std::vector<CertificateSample> samples;
  std::set<std::pair<std::string, std::string>> seen;
  const auto add = [&](const auto& server) {
    if (!server.tls) return;
    const std::string name = server.server->name.empty() ? "_" : server.server->name;
    for (const auto& certificate : server.tls->certificates()) {
      if (!seen.emplace(name, certificate.path).second) continue;
      const auto expiry = std::chrono::duration_cast<std::chrono::seconds>(certificate.not_after.time_since_epoch());
      samples.push_back({name, certificate.path, static_cast<double>(expiry.count())});
    }
  };
  for (const auto& server : generation.servers) add(server);
  for (const auto& server : streams.servers) add(server);
  return samples;
}

std::vector<FastPathSample> fast_path_samples(const exchange::Generation& generation) {
  std::set<FastPathSample> samples;
  for (const auto& location : generation.locations) {
    if (!location.fast_path) continue;
    const auto& path = *location.fast_path;
    std::string_view state = location.shadow ? "shadow" : "on";
    if (!path.trusted()) state = "distrusted";
    if (!path.refusal().empty()) state = "refused";
    samples.insert({path.rule_set(), state});
  }
  return {samples.begin(), samples.end()};
}

}  // namespace gatehouse::server
