// The WAF as exchanges use it: one engine and one pool of threads for the whole process.
#pragma once

#include "proxy/io/worker_pool.hpp"
#include "waf/engine.hpp"

namespace gatehouse::exchange {

/// Process-wide; made before the event threads and gone after them. Thread-safe.
struct WafService {
  waf::Engine& engine;
  io::WorkerPool& pool;  ///< where libmodsecurity runs; its bounded queue is the overload limit
};

}  // namespace gatehouse::exchange
