// The process' one WAF engine: libmodsecurity's instance, the persistent collections, the audit log's thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "proxy/base/units.hpp"
#include "waf/rule_set.hpp"

namespace gatehouse::waf {

/// Bounds of the persistent collections (ip, global, session, user, resource). libmodsecurity 3.0.9 ignores expirevar,
/// so that without these an entry would live for ever.
struct CollectionLimits {
  ByteCount bytes = 16 * kMiB;           ///< per collection; the entries written longest ago go first
  std::chrono::seconds idle_time{3600};  ///< an entry not written for this long is gone
};

struct EngineOptions {
  std::string connector = "Gatehouse";  ///< shown in audit records
  CollectionLimits collections;
  ByteCount audit_queue_bytes = 16 * kMiB;  ///< records beyond it are dropped and counted
  std::function<TimePoint()> now;           ///< for the collections' expiry; empty: Clock::now
};

/// Values for metrics, all since the engine started.
struct EngineCounters {
  std::uint64_t transactions = 0;
  std::uint64_t interventions = 0;
  std::uint64_t failures = 0;
  std::uint64_t audit_records = 0;
  std::uint64_t audit_dropped = 0;  ///< queue full
  std::uint64_t audit_failed = 0;   ///< could not be written
  std::uint64_t collection_entries = 0;
  std::uint64_t collection_bytes = 0;
  std::uint64_t collection_evicted = 0;
  std::uint64_t collection_expired = 0;
};

/// One per process, made in the worker (it starts a thread). Outlives every Evaluation. Thread-safe.
class Engine {
 public:
  struct Impl;

  explicit Engine(const EngineOptions& options = {});
  /// Writes what is queued for the audit log, then stops.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Closes and reopens the audit files before the next record (SIGUSR1). Does not block.
  void reopen_logs();
  /// Waits until every audit record queued so far is written; for tests and shutdown.
  void flush_logs();
  [[nodiscard]] EngineCounters counters() const;
  /// "libmodsecurity3 version 3.0.9".
  [[nodiscard]] static std::string library_version();
  /// The connector's line for the log at start: "Gatehouse: libmodsecurity3 version 3.0.9 (rules loaded
  /// inline/local/remote: 0/921/0)".
  [[nodiscard]] std::string banner(const RuleCounts& counts) const;

  [[nodiscard]] Impl& impl() noexcept { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace gatehouse::waf
