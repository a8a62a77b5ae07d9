#include "proxy/exchange/metrics.hpp"

#include <algorithm>
#include <set>

namespace gatehouse::exchange {
namespace {

// Bounds of the labels' cardinality, per thread. Routes outlive the reload that removed them, so they need one too.
constexpr std::size_t kRuleHitLimit = 4096;
constexpr std::size_t kRouteLimit = 4096;
constexpr std::size_t kStatusLimit = 256;  // pairs of status and method of one route; upstreams may send any status

}  // namespace

RouteMetrics& ThreadMetrics::route(const RouteKey& key) {
  const std::lock_guard lock(growth_);
  const bool full = routes_.size() >= kRouteLimit && !routes_.contains(key);
  auto& slot = routes_[full ? RouteKey{"other", "other"} : key];
  if (!slot) slot = std::make_unique<RouteMetrics>();
  return *slot;
}

void ThreadMetrics::use_routes(const std::vector<RouteKey>& keys) {
  std::vector<RouteMetrics*> routes;
  routes.reserve(keys.size());
  for (const RouteKey& key : keys) routes.push_back(&route(key));
  current_ = std::move(routes);
}

void ThreadMetrics::count(std::uint32_t route, http::Method method, int status) {
  RouteMetrics& metrics = *current_[route];
  if (metrics.by_status.size() >= kStatusLimit && !std::ranges::any_of(metrics.by_status, [&](const auto& entry) {
        return entry->status == status && entry->method == method;
      })) {
    status = status / 100 * 100;
    method = http::Method::other;
  }
  for (const auto& entry : metrics.by_status) {
    if (entry->status == status && entry->method == method) {
      entry->requests.add();
      return;
    }
  }
  auto entry = std::make_unique<RouteMetrics::ByStatus>();
  entry->status = static_cast<std::uint16_t>(status);
  entry->method = method;
  entry->requests.add();
  const std::lock_guard lock(growth_);
  metrics.by_status.push_back(std::move(entry));
}

void ThreadMetrics::count_rule_hit(std::int64_t rule_id, bool denied) {
  const auto key = std::pair(rule_id, denied);
  if (const auto found = rule_hits_.find(key); found != rule_hits_.end()) {
    found->second->add();
    return;
  }
  const std::lock_guard lock(growth_);
  if (rule_hits_.size() >= kRuleHitLimit) return;
  auto& slot = rule_hits_[key];
  slot = std::make_unique<Counter>();
  slot->add();
}

namespace {

// Every thread's metrics, for what is told of the whole process.
struct Everyone {
  std::mutex mutex;
  std::set<const ThreadMetrics*> threads;
};
Everyone& everyone() {
  static Everyone instance;
  return instance;
}

}  // namespace

ThreadMetrics::ThreadMetrics() {
  const std::lock_guard lock(everyone().mutex);
  everyone().threads.insert(this);
}

ThreadMetrics::~ThreadMetrics() {
  const std::lock_guard lock(everyone().mutex);
  everyone().threads.erase(this);
}

ConnectionCounts connection_counts() {
  ConnectionCounts counts;
  const std::lock_guard lock(everyone().mutex);
  for (const auto* metrics : everyone().threads) {
    const std::uint64_t accepted = metrics->connections_accepted.value();
    counts.accepted += accepted;
    counts.active += accepted - std::min(accepted, metrics->connections_closed.value());
    counts.waiting += metrics->connections_waiting.value();
    const std::uint64_t begun = metrics->requests_begun.value();
    counts.requests += begun;
    counts.writing += begun - std::min(begun, metrics->requests_finished.value());
  }
  counts.reading = counts.active - std::min(counts.active, counts.waiting + counts.writing);
  return counts;
}

}  // namespace gatehouse::exchange
