// The WAF as exchanges use it: one engine and one pool of threads for the whole process.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "proxy/base/units.hpp"
#include "proxy/io/worker_pool.hpp"
#include "waf/engine.hpp"

namespace gatehouse::exchange {

/// Process-wide; made before the event threads and gone after them. Thread-safe.
struct WafService {
  WafService(waf::Engine& engine_, io::WorkerPool& pool_, std::size_t client_share_)
      : engine(engine_), pool(pool_), client_share(client_share_) {}

  waf::Engine& engine;
  io::WorkerPool& pool;            ///< where libmodsecurity runs; its bounded queue is the overload limit
  const std::size_t client_share;  ///< how many evaluations of one client may wait or run, for each event thread

  std::atomic<std::uint64_t> disagreements = 0;    ///< messages proven clean in which the library saw something
  std::atomic<std::uint64_t> afterwards = 0;       ///< evaluations of proven messages after their exchange
  std::atomic<std::uint64_t> afterwards_lost = 0;  ///< such ones that found no room
  std::atomic<ByteCount> afterwards_bytes = 0;     ///< held by such ones that wait or run
};

}  // namespace gatehouse::exchange
