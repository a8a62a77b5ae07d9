// The metrics as Prometheus reads them: one table of what there is, and the text of a scrape.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/exchange/metrics.hpp"
#include "proxy/server/process_figures.hpp"
#include "proxy/stream/metrics.hpp"
#include "waf/engine.hpp"

namespace gatehouse::server {

enum class MetricType : std::uint8_t { counter, gauge, histogram };

// clang-format off
// X(identifier, name, type, help). Names and units follow Prometheus' conventions: base units, counters end in _total.
#define GATEHOUSE_METRICS(X)                                                                                                          \
  X(requests, "gatehouse_requests_total", counter, "Finished requests by server, route, method and status.")                          \
  X(request_duration, "gatehouse_request_duration_seconds", histogram, "Time from a request's first byte to its response's last.")    \
  X(upstream_duration, "gatehouse_upstream_duration_seconds", histogram, "Time from connecting to the end of the upstream's response, of a request's last try.") \
  X(request_bytes, "gatehouse_request_bytes_total", counter, "Bytes of requests received from clients.")                              \
  X(response_bytes, "gatehouse_response_bytes_total", counter, "Bytes of responses sent to clients.")                                 \
  X(exchange_ends, "gatehouse_exchange_ends_total", counter, "Exchanges that ended without the upstream's or a configured answer, by reason.") \
  X(connections, "gatehouse_connections", gauge, "Open client connections by state.")                                                 \
  X(connections_accepted, "gatehouse_connections_accepted_total", counter, "Client connections accepted.")                            \
  X(connections_closed, "gatehouse_connections_closed_total", counter, "Client connections closed.")                                  \
  X(connections_dropped, "gatehouse_connections_dropped_total", counter, "Client connections refused or cut because a limit was reached.") \
  X(tls_handshakes, "gatehouse_tls_handshakes_total", counter, "Completed TLS handshakes with clients by version and resumption.")    \
  X(tls_handshakes_failed, "gatehouse_tls_handshakes_failed_total", counter, "TLS handshakes with clients that failed.")              \
  X(tls_certificate_expiry, "gatehouse_tls_certificate_expiry_seconds", gauge, "When a certificate expires, in seconds since the epoch.") \
  X(upstream_peer_up, "gatehouse_upstream_peer_up", gauge, "Whether every event thread would choose the peer.")                       \
  X(upstream_peer_connections, "gatehouse_upstream_peer_active_connections", gauge, "Connections to the peer that serve a request.")  \
  X(upstream_peer_failures, "gatehouse_upstream_peer_recent_failures", gauge, "Failures counted against the peer within its fail_timeout.") \
  X(upstream_idle, "gatehouse_upstream_idle_connections", gauge, "Connections to upstreams kept for reuse.")                          \
  X(upstream_opened, "gatehouse_upstream_connections_opened_total", counter, "Connections opened to upstreams.")                      \
  X(upstream_reused, "gatehouse_upstream_requests_reused_total", counter, "Requests sent on a kept upstream connection.")             \
  X(upstream_connect_failures, "gatehouse_upstream_connect_failures_total", counter, "Connections to upstreams that failed.")         \
  X(upstream_retries, "gatehouse_upstream_retries_total", counter, "Tries beyond a request's first one.")                             \
  X(stream_sessions, "gatehouse_stream_sessions_total", counter, "Ended sessions of stream servers by server and status.") \
  X(stream_begun, "gatehouse_stream_sessions_begun_total", counter, "Sessions of stream servers that began.") \
  X(stream_open, "gatehouse_stream_open_sessions", gauge, "Sessions of stream servers that are under way.") \
  X(stream_bytes, "gatehouse_stream_bytes_total", counter, "Bytes of ended stream sessions by server and direction (received: from clients).") \
  X(stream_connects, "gatehouse_stream_upstream_connections_total", counter, "Connections of stream servers to upstreams by result.") \
  X(waf_verdicts, "gatehouse_waf_verdicts_total", counter, "What the WAF decided about requests by server and route.")                \
  X(waf_rule_hits, "gatehouse_waf_rule_hits_total", counter, "Matches of WAF rules by rule id; denied tells whether the match refused the request.") \
  X(waf_duration, "gatehouse_waf_evaluation_duration_seconds", histogram, "Time requests waited for the WAF's verdict.")              \
  X(waf_requests, "gatehouse_waf_requests_total", counter, "Requests by their way through the WAF: off, proven clean, proven after a near miss, or evaluated in full and why.") \
  X(waf_check_duration, "gatehouse_waf_fast_path_duration_seconds", histogram, "Time the WAF's fast path took for a message.") \
  X(waf_values, "gatehouse_waf_fast_path_values_total", counter, "Values the WAF's fast path looked at, by whether it remembered them.") \
  X(waf_scans, "gatehouse_waf_fast_path_scans_total", counter, "Scans of pattern sets by the WAF's fast path.") \
  X(waf_near_misses, "gatehouse_waf_fast_path_near_misses_total", counter, "Rules that a scan named and the exact evaluation disproved.") \
  X(waf_disagreements, "gatehouse_waf_fast_path_disagreements_total", counter, "Messages proven clean in which the WAF's rules matched: each is a bug.") \
  X(waf_fast_path_state, "gatehouse_waf_fast_path_state", gauge, "1, with the state of the fast path of a rule set as a label.") \
  X(waf_fast_paths_compiled, "gatehouse_waf_fast_paths_compiled_total", counter, "Fast paths compiled; equal ones are compiled once.") \
  X(waf_afterwards, "gatehouse_waf_evaluations_afterwards_total", counter, "Evaluations after the exchange: for audit records and samples; lost ones found no room.") \
  X(waf_queue_time, "gatehouse_waf_queue_duration_seconds", histogram, "Time evaluations waited for a WAF thread.") \
  X(waf_share_exceeded, "gatehouse_waf_client_share_exceeded_total", counter, "Evaluations refused because the client had its share of the WAF's queue.") \
  X(waf_evaluations, "gatehouse_waf_evaluations_total", counter, "Evaluations given to the WAF's threads.")                           \
  X(waf_narrowed, "gatehouse_waf_requests_narrowed_total", counter, "Requests evaluated with only the rules that may match them.")     \
  X(waf_rejected, "gatehouse_waf_evaluations_rejected_total", counter, "Evaluations refused because the queue was full, or not begun within waf_timeout.")       \
  X(waf_queue, "gatehouse_waf_queue_length", gauge, "Evaluations that wait for a WAF thread.")                                        \
  X(waf_threads, "gatehouse_waf_threads", gauge, "Threads that evaluate WAF rules.")                                                  \
  X(waf_transactions, "gatehouse_waf_transactions_total", counter, "Transactions that the WAF engine began.")                         \
  X(waf_interventions, "gatehouse_waf_interventions_total", counter, "Transactions that the WAF engine wanted to disrupt.")           \
  X(waf_failures, "gatehouse_waf_failures_total", counter, "Transactions that the WAF engine failed on.")                             \
  X(waf_audit_records, "gatehouse_waf_audit_records_total", counter, "Audit records by what became of them.")                         \
  X(waf_collection_entries, "gatehouse_waf_collection_entries", gauge, "Entries of the WAF's persistent collections.")                \
  X(waf_collection_bytes, "gatehouse_waf_collection_bytes", gauge, "Memory of the WAF's persistent collections.")                     \
  X(waf_collection_removed, "gatehouse_waf_collection_removed_total", counter, "Entries removed from the WAF's persistent collections by reason.") \
  X(waf_rule_sets_compiled, "gatehouse_waf_rule_sets_compiled_total", counter, "Rule sets compiled; equal ones are compiled once.")   \
  X(config_generation, "gatehouse_config_generation", gauge, "Number of the configuration that is served; the first one is 1.")       \
  X(config_last_reload_successful, "gatehouse_config_last_reload_successful", gauge, "Whether the last reload (or the start) succeeded.") \
  X(config_last_reload_time, "gatehouse_config_last_reload_success_timestamp_seconds", gauge, "When the configuration that is served was taken up.") \
  X(config_reloads, "gatehouse_config_reloads_total", counter, "Reloads of the configuration by result.")                             \
  X(worker_restarts, "gatehouse_worker_restarts_total", counter, "Worker processes that the supervisor started because one had died.") \
  X(build_info, "gatehouse_build_info", gauge, "1, with the versions as labels.")                                                     \
  X(process_cpu, "process_cpu_seconds_total", counter, "CPU time of the worker process, user and system.")                            \
  X(process_resident, "process_resident_memory_bytes", gauge, "Resident memory of the worker process.")                               \
  X(process_virtual, "process_virtual_memory_bytes", gauge, "Virtual memory of the worker process.")                                  \
  X(process_open_fds, "process_open_fds", gauge, "Open file descriptors of the worker process.")                                      \
  X(process_max_fds, "process_max_fds", gauge, "Limit of open file descriptors of the worker process.")                               \
  X(process_start, "process_start_time_seconds", gauge, "Start of the worker process in seconds since the epoch.")                    \
  X(process_threads, "process_threads", gauge, "Threads of the worker process.")
// clang-format on

enum class Metric : std::uint8_t {
#define GATEHOUSE_METRIC_ENUMERATOR(id, name, type, help) id,
  GATEHOUSE_METRICS(GATEHOUSE_METRIC_ENUMERATOR)
#undef GATEHOUSE_METRIC_ENUMERATOR
};

struct MetricRow {
  std::string_view name;
  MetricType type;
  std::string_view help;
};

/// The table, by Metric.
[[nodiscard]] std::span<const MetricRow> metric_rows() noexcept;

/// A peer over all event threads.
struct PeerSample {
  std::string upstream, peer;
  bool up = true;
  std::uint64_t active = 0;
  std::uint64_t failures = 0;
};

struct CertificateSample {
  std::string server, path;
  double expiry_seconds = 0;  ///< since the epoch
};

/// A rule set's fast path as the routes use it.
struct FastPathSample {
  std::string rule_set;    ///< its hash, shortened
  std::string_view state;  ///< "on", "shadow", "refused" or "distrusted"

  friend auto operator<=>(const FastPathSample&, const FastPathSample&) = default;
};

/// How reloads went, over the lives of workers.
struct ReloadFigures {
  std::uint64_t generation = 1;
  std::uint64_t succeeded = 0;
  std::uint64_t failed = 0;
  std::uint64_t worker_restarts = 0;
  bool last_successful = true;
  double last_success_seconds = 0;  ///< since the epoch
};

/// Everything a scrape shows. Counters of the threads are read while the threads write them.
struct MetricsInput {
  std::vector<const exchange::ThreadMetrics*> threads;
  std::vector<const stream::ThreadMetrics*> stream_threads;
  std::uint64_t connections = 0;
  std::uint64_t idle_connections = 0;
  std::vector<PeerSample> peers;
  std::uint64_t idle_upstream_connections = 0;
  waf::EngineCounters waf;
  std::string waf_version;
  std::uint64_t waf_queued = 0;
  std::uint64_t waf_threads = 0;
  std::uint64_t rule_sets_compiled = 0;
  std::uint64_t fast_paths_compiled = 0;
  std::vector<FastPathSample> fast_paths;
  std::uint64_t waf_disagreements = 0;
  std::uint64_t waf_afterwards = 0;
  std::uint64_t waf_afterwards_lost = 0;
  std::vector<CertificateSample> certificates;
  ReloadFigures reloads;
  ProcessFigures process;
};

/// The text exposition format (version 0.0.4) of everything, summed over threads. Any thread.
[[nodiscard]] std::string metrics_text(const MetricsInput& input);
inline constexpr std::string_view kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace gatehouse::server
