// Counters of stream servers: one thread writes, the scrape reads.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "proxy/exchange/metrics.hpp"

namespace gatehouse::stream {

/// The statuses a session can end with, as nginx has them.
inline constexpr std::array<int, 6> kStatuses = {200, 400, 403, 500, 502, 503};

/// Counters of one server on one thread.
struct ServerMetrics {
  exchange::Counter begun;
  exchange::Counter open;
  std::array<exchange::Counter, kStatuses.size()> ended;  ///< by status
  exchange::Counter received, sent;                       ///< bytes from and to clients
  exchange::Counter upstream_connects, upstream_failures;

  void count_end(int status) noexcept {
    for (std::size_t i = 0; i < kStatuses.size(); ++i) {
      if (kStatuses[i] == status) ended[i].add();
    }
  }
};

/// Counters of one event thread, by the servers' labels; they outlive reloads. Growth takes a lock that the scrape
/// holds while it reads.
class ThreadMetrics {
 public:
  /// Stable for the thread's life. Owner thread only.
  [[nodiscard]] ServerMetrics& server(const std::string& label) {
    const std::lock_guard lock(growth_);
    auto& entry = servers_[label];
    if (!entry) entry = std::make_unique<ServerMetrics>();
    return *entry;
  }
  /// Calls `visit(label, ServerMetrics)`. Any thread.
  template <class Visit>
  void visit(Visit&& visit) const {
    const std::lock_guard lock(growth_);
    for (const auto& [label, metrics] : servers_) visit(label, *metrics);
  }

 private:
  mutable std::mutex growth_;
  std::map<std::string, std::unique_ptr<ServerMetrics>> servers_;
};

}  // namespace gatehouse::stream
