// Keeps the names of a cluster resolved.
#include <algorithm>

#include "proxy/upstream/cluster_runtime.hpp"
#include "proxy/upstream/resolver.hpp"

namespace gatehouse::upstream {
namespace {

void apply(ClusterRuntime& cluster, const std::string& host, const LookupResult& result, TimePoint now) {
  // The names may have been replaced since: the host finds its place, of two servers of one host any that waits.
  auto& names = cluster.names();
  const auto name = std::find_if(names.begin(), names.end(), [&](const ClusterRuntime::Name& candidate) {
    return candidate.host == host && candidate.resolution.in_flight();
  });
  if (name == names.end()) return;
  const AddressChange change = result ? name->resolution.on_answer(result->addresses, result->ttl, now)
                                      : name->resolution.on_failure(result.error(), now);
  if (change == AddressChange::changed)
    cluster.apply_resolutions();
  else if (!result)
    cluster.report_failure();
}

}  // namespace

void refresh_names(const std::shared_ptr<ClusterRuntime>& cluster, Resolver& resolver) {
  for (auto& name : cluster->names()) {
    if (!name.resolution.due(resolver.now())) continue;
    name.resolution.on_started();
    resolver.lookup(name.host, cluster->spec().resolver.get(),
                    [weak = std::weak_ptr(cluster), host = name.host, &resolver](const LookupResult& result) {
                      if (const auto alive = weak.lock()) apply(*alive, host, result, resolver.now());
                    });
  }
}

}  // namespace gatehouse::upstream
