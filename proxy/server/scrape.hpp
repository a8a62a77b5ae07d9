// Gathers what a scrape shows from the running parts of a worker process.
#pragma once

#include <memory>
#include <vector>

#include "proxy/exchange/generation.hpp"
#include "proxy/server/event_thread.hpp"
#include "proxy/server/metrics_export.hpp"

namespace gatehouse::server {

using EventThreads = std::vector<std::unique_ptr<EventThread>>;

/// Counters, connections and peers of the threads. Waits for them to tell their peers' state, a second at most; not on an event thread.
void scrape_threads(const EventThreads& threads, MetricsInput& input);

/// When the generation's certificates expire, each once for a server name and file.
[[nodiscard]] std::vector<CertificateSample> certificate_samples(const exchange::Generation& generation,
                                                                 const stream::Generation& streams);

/// The states of the generation's fast paths, each once.
[[nodiscard]] std::vector<FastPathSample> fast_path_samples(const exchange::Generation& generation);

}  // namespace gatehouse::server
