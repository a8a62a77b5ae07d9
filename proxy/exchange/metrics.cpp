#include "proxy/exchange/metrics.hpp"

namespace gatehouse::exchange {
namespace {

constexpr std::size_t kRuleHitLimit = 4096;  // distinct rules counted per thread: the label's cardinality is bounded

}  // namespace

RouteMetrics& ThreadMetrics::route(const RouteKey& key) {
  const std::lock_guard lock(growth_);
  auto& slot = routes_[key];
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

}  // namespace gatehouse::exchange
