#include "proxy/server/metrics_export.hpp"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <map>
#include <sstream>
#include <utility>

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include "proxy/base/error.hpp"
#include "proxy/http/message.hpp"

namespace gatehouse::server {
namespace {

constexpr std::array kRows = {
#define GATEHOUSE_METRIC_ROW(id, name, type, help) MetricRow{name, MetricType::type, help},
    GATEHOUSE_METRICS(GATEHOUSE_METRIC_ROW)
#undef GATEHOUSE_METRIC_ROW
};

using Labels = std::vector<prometheus::ClientMetric::Label>;

constexpr double kNanosecondsPerSecond = 1e9;
constexpr double kMicrosecondsPerSecond = 1e6;  // divided by: 100000 / 1e6 is 0.1, 100000 * 1e-6 is not

/// A histogram summed over threads; its unit is that of the bounds.
template <const auto& Bounds>
struct BasicHistogramSum {
  std::array<std::uint64_t, Bounds.size() + 1> buckets{};
  std::uint64_t sum = 0;

  void add(const exchange::BasicHistogram<Bounds>& histogram) {
    for (std::size_t i = 0; i < buckets.size(); ++i) buckets[i] += histogram.buckets[i].value();
    sum += histogram.sum.value();
  }
};
using HistogramSum = BasicHistogramSum<exchange::kLatencyBounds>;
using CheckHistogramSum = BasicHistogramSum<exchange::kCheckBounds>;

/// A route summed over threads.
struct RouteSum {
  std::map<std::pair<http::Method, std::uint16_t>, std::uint64_t> requests;
  HistogramSum request_duration, upstream_duration;
  std::uint64_t request_bytes = 0;
  std::uint64_t response_bytes = 0;
  std::array<std::uint64_t, exchange::kWafOutcomes.size()> waf{};

  void add(const exchange::RouteMetrics& route) {
    for (const auto& entry : route.by_status) requests[{entry->method, entry->status}] += entry->requests.value();
    request_duration.add(route.request_duration);
    upstream_duration.add(route.upstream_duration);
    request_bytes += route.request_bytes.value();
    response_bytes += route.response_bytes.value();
    for (std::size_t i = 0; i < waf.size(); ++i) waf[i] += route.waf[i].value();
  }
};

class Exposition {
 public:
  explicit Exposition(const MetricsInput& input) : input_(input) {
    for (const MetricRow& row : kRows) {
      prometheus::MetricFamily family;
      family.name = row.name;
      family.help = row.help;
      switch (row.type) {
        case MetricType::counter: family.type = prometheus::MetricType::Counter; break;
        case MetricType::gauge: family.type = prometheus::MetricType::Gauge; break;
        case MetricType::histogram: family.type = prometheus::MetricType::Histogram; break;
      }
      families_.push_back(std::move(family));
    }
  }

  std::string text() {
    add_routes();
    add_connections();
    add_upstreams();
    add_streams();
    add_waf();
    add_fast_path();
    add_process();
    std::ostringstream out;
    prometheus::TextSerializer().Serialize(out, families_);
    return std::move(out).str();
  }

 private:
  void add(Metric metric, Labels labels, double value) {
    auto& family = families_[static_cast<std::size_t>(metric)];
    prometheus::ClientMetric sample;
    sample.label = std::move(labels);
    if (family.type == prometheus::MetricType::Counter) {
      sample.counter.value = value;
    } else {
      sample.gauge.value = value;
    }
    family.metric.push_back(std::move(sample));
  }
  void add(Metric metric, Labels labels, std::uint64_t value) {
    add(metric, std::move(labels), static_cast<double>(value));
  }

  void add(Metric metric, Labels labels, const HistogramSum& sum) {
    add(metric, std::move(labels), sum, kMicrosecondsPerSecond);
  }
  void add(Metric metric, Labels labels, const CheckHistogramSum& sum) {
    add(metric, std::move(labels), sum, kNanosecondsPerSecond);
  }

  template <const auto& Bounds>
  void add(Metric metric, Labels labels, const BasicHistogramSum<Bounds>& sum, double units_per_second) {
    prometheus::ClientMetric sample;
    sample.label = std::move(labels);
    std::uint64_t cumulative = 0;
    for (std::size_t i = 0; i < Bounds.size(); ++i) {
      cumulative += sum.buckets[i];
      sample.histogram.bucket.push_back({cumulative, static_cast<double>(Bounds[i]) / units_per_second});
    }
    sample.histogram.sample_count = cumulative + sum.buckets.back();
    sample.histogram.sample_sum = static_cast<double>(sum.sum) / units_per_second;
    if (sample.histogram.sample_count == 0) return;  // ten thousand silent routes need no lines
    families_[static_cast<std::size_t>(metric)].metric.push_back(std::move(sample));
  }

  /// The sum of one counter over the threads.
  std::uint64_t sum(exchange::Counter exchange::ThreadMetrics::* counter) const {
    std::uint64_t total = 0;
    for (const auto* thread : input_.threads) total += (thread->*counter).value();
    return total;
  }

  void add_routes();
  void add_connections();
  void add_upstreams();
  void add_streams();
  void add_waf();
  void add_fast_path();
  void add_process();

  const MetricsInput& input_;
  std::vector<prometheus::MetricFamily> families_;
};

void Exposition::add_routes() {
  std::map<exchange::RouteKey, RouteSum> routes;
  for (const auto* thread : input_.threads) {
    thread->visit_routes(
        [&](const exchange::RouteKey& key, const exchange::RouteMetrics& route) { routes[key].add(route); });
  }
  for (const auto& [key, route] : routes) {
    if (route.requests.empty()) continue;
    const Labels labels{{"server", key.server}, {"route", key.route}};
    for (const auto& [what, count] : route.requests) {
      const auto method = http::method_text(what.first);
      Labels all = labels;
      all.push_back({"method", method.empty() ? "other" : std::string(method)});
      all.push_back({"status", std::to_string(what.second)});
      add(Metric::requests, std::move(all), count);
    }
    add(Metric::request_duration, labels, route.request_duration);
    add(Metric::upstream_duration, labels, route.upstream_duration);
    add(Metric::request_bytes, labels, route.request_bytes);
    add(Metric::response_bytes, labels, route.response_bytes);
    for (std::size_t i = 0; i < route.waf.size(); ++i) {
      if (route.waf[i] == 0) continue;
      Labels all = labels;
      all.push_back({"outcome", std::string(exchange::kWafOutcomes[i])});
      add(Metric::waf_verdicts, std::move(all), route.waf[i]);
    }
  }
  for (std::size_t i = 0; i < reason_count(); ++i) {
    std::uint64_t total = 0;
    for (const auto* thread : input_.threads) total += thread->ends[i].value();
    if (total != 0) add(Metric::exchange_ends, {{"reason", std::string(row(static_cast<Reason>(i)).label)}}, total);
  }
}

void Exposition::add_connections() {
  using T = exchange::ThreadMetrics;
  const std::uint64_t idle = std::min(input_.idle_connections, input_.connections);
  add(Metric::connections, {{"state", "active"}}, input_.connections - idle);
  add(Metric::connections, {{"state", "idle"}}, idle);
  add(Metric::connections_accepted, {}, sum(&T::connections_accepted));
  add(Metric::connections_closed, {}, sum(&T::connections_closed));
  add(Metric::connections_dropped, {}, sum(&T::connections_dropped));
  const auto handshakes = [&](const char* version, const char* resumed, exchange::Counter T::* counter) {
    add(Metric::tls_handshakes, {{"version", version}, {"resumed", resumed}}, sum(counter));
  };
  handshakes("TLSv1.2", "false", &T::handshakes_tls12_full);
  handshakes("TLSv1.2", "true", &T::handshakes_tls12_resumed);
  handshakes("TLSv1.3", "false", &T::handshakes_tls13_full);
  handshakes("TLSv1.3", "true", &T::handshakes_tls13_resumed);
  add(Metric::tls_handshakes_failed, {}, sum(&T::handshakes_failed));
  for (const auto& certificate : input_.certificates) {
    add(Metric::tls_certificate_expiry, {{"server", certificate.server}, {"path", certificate.path}},
        certificate.expiry_seconds);
  }
}

void Exposition::add_upstreams() {
  using T = exchange::ThreadMetrics;
  for (const auto& peer : input_.peers) {
    const Labels labels{{"upstream", peer.upstream}, {"peer", peer.peer}};
    add(Metric::upstream_peer_up, labels, peer.up ? 1.0 : 0.0);
    add(Metric::upstream_peer_connections, labels, peer.active);
    add(Metric::upstream_peer_failures, labels, peer.failures);
  }
  add(Metric::upstream_idle, {}, input_.idle_upstream_connections);
  add(Metric::upstream_opened, {}, sum(&T::upstream_connections_opened));
  add(Metric::upstream_reused, {}, sum(&T::upstream_requests_reused));
  add(Metric::upstream_connect_failures, {}, sum(&T::upstream_connect_failures));
  add(Metric::upstream_retries, {}, sum(&T::upstream_retries));
}

void Exposition::add_streams() {
  struct Sum {
    std::array<std::uint64_t, stream::kStatuses.size()> ended{};
    std::uint64_t begun = 0, open = 0, received = 0, sent = 0, connects = 0, failures = 0;
  };
  std::map<std::string, Sum> servers;
  for (const auto* thread : input_.stream_threads) {
    thread->visit([&](const std::string& label, const stream::ServerMetrics& of) {
      Sum& sum = servers[label];
      for (std::size_t i = 0; i < sum.ended.size(); ++i) sum.ended[i] += of.ended[i].value();
      sum.begun += of.begun.value();
      sum.open += of.open.value();
      sum.received += of.received.value();
      sum.sent += of.sent.value();
      sum.connects += of.upstream_connects.value();
      sum.failures += of.upstream_failures.value();
    });
  }
  for (const auto& [server, sum] : servers) {
    for (std::size_t i = 0; i < sum.ended.size(); ++i) {
      if (sum.ended[i] == 0) continue;
      add(Metric::stream_sessions, {{"server", server}, {"status", std::to_string(stream::kStatuses[i])}},
          sum.ended[i]);
    }
    add(Metric::stream_begun, {{"server", server}}, sum.begun);
    add(Metric::stream_open, {{"server", server}}, sum.open);
    add(Metric::stream_bytes, {{"server", server}, {"direction", "received"}}, sum.received);
    add(Metric::stream_bytes, {{"server", server}, {"direction", "sent"}}, sum.sent);
    add(Metric::stream_connects, {{"server", server}, {"result", "connected"}}, sum.connects);
    add(Metric::stream_connects, {{"server", server}, {"result", "failed"}}, sum.failures);
  }
}

void Exposition::add_waf() {
  using T = exchange::ThreadMetrics;
  std::map<std::pair<std::int64_t, bool>, std::uint64_t> hits;
  HistogramSum duration, queue_time;
  for (const auto* thread : input_.threads) {
    thread->visit_rule_hits([&](std::int64_t id, bool denied, std::uint64_t count) { hits[{id, denied}] += count; });
    duration.add(thread->waf_duration);
    queue_time.add(thread->waf_queue_time);
  }
  for (const auto& [rule, count] : hits) {
    add(Metric::waf_rule_hits, {{"rule_id", std::to_string(rule.first)}, {"denied", rule.second ? "true" : "false"}},
        count);
  }
  add(Metric::waf_duration, {}, duration);
  add(Metric::waf_queue_time, {}, queue_time);
  add(Metric::waf_share_exceeded, {}, sum(&T::waf_share_exceeded));
  add(Metric::waf_afterwards, {{"result", "done"}}, input_.waf_afterwards);
  add(Metric::waf_afterwards, {{"result", "lost"}}, input_.waf_afterwards_lost);
  add(Metric::waf_narrowed, {}, sum(&T::waf_narrowed));
  add(Metric::waf_evaluations, {}, sum(&T::waf_pool_evaluations));
  add(Metric::waf_rejected, {}, sum(&T::waf_pool_rejected));
  add(Metric::waf_queue, {}, input_.waf_queued);
  add(Metric::waf_threads, {}, input_.waf_threads);
  const waf::EngineCounters& engine = input_.waf;
  add(Metric::waf_transactions, {}, engine.transactions);
  add(Metric::waf_interventions, {}, engine.interventions);
  add(Metric::waf_failures, {}, engine.failures);
  add(Metric::waf_audit_records, {{"result", "queued"}}, engine.audit_records);
  add(Metric::waf_audit_records, {{"result", "dropped"}}, engine.audit_dropped);
  add(Metric::waf_audit_records, {{"result", "failed"}}, engine.audit_failed);
  add(Metric::waf_collection_entries, {}, engine.collection_entries);
  add(Metric::waf_collection_bytes, {}, engine.collection_bytes);
  add(Metric::waf_collection_removed, {{"reason", "evicted"}}, engine.collection_evicted);
  add(Metric::waf_collection_removed, {{"reason", "expired"}}, engine.collection_expired);
  add(Metric::waf_rule_sets_compiled, {}, input_.rule_sets_compiled);
}

void Exposition::add_fast_path() {
  using T = exchange::ThreadMetrics;
  namespace fastpath = waf::fastpath;
  std::map<std::pair<std::string_view, std::string_view>, std::uint64_t> ways;
  CheckHistogramSum requests, responses;
  for (const auto* thread : input_.threads) {
    const exchange::WafWays& of = thread->waf_ways;
    ways[{"off", ""}] += of.off.value();
    ways[{"proven", ""}] += of.proven.value();
    ways[{"near_miss", ""}] += of.near_miss.value();
    for (std::size_t i = 0; i < of.full.size(); ++i) {
      ways[{"full", label(static_cast<fastpath::FullPathReason>(i))}] += of.full[i].value();
    }
    for (std::size_t i = 0; i < of.unasked.size(); ++i) {
      ways[{"full", exchange::kWafUnasked[i]}] += of.unasked[i].value();
    }
    requests.add(thread->waf_request_check);
    responses.add(thread->waf_response_check);
  }
  for (const auto& [way, count] : ways) {
    if (count == 0 && !way.second.empty()) continue;
    add(Metric::waf_requests, {{"path", std::string(way.first)}, {"reason", std::string(way.second)}}, count);
  }
  add(Metric::waf_check_duration, {{"message", "request"}}, requests);
  add(Metric::waf_check_duration, {{"message", "response"}}, responses);
  const std::uint64_t remembered = sum(&T::waf_remembered);
  add(Metric::waf_values, {{"result", "remembered"}}, remembered);
  add(Metric::waf_values, {{"result", "checked"}}, sum(&T::waf_values) - std::min(remembered, sum(&T::waf_values)));
  add(Metric::waf_scans, {}, sum(&T::waf_scans));
  add(Metric::waf_near_misses, {}, sum(&T::waf_near_misses));
  add(Metric::waf_disagreements, {}, input_.waf_disagreements);
  add(Metric::waf_fast_paths_compiled, {}, input_.fast_paths_compiled);
  for (const auto& sample : input_.fast_paths) {
    add(Metric::waf_fast_path_state, {{"rule_set", sample.rule_set}, {"state", std::string(sample.state)}}, 1.0);
  }
}

void Exposition::add_process() {
  const ReloadFigures& reloads = input_.reloads;
  add(Metric::config_generation, {}, reloads.generation);
  add(Metric::config_last_reload_successful, {}, reloads.last_successful ? 1.0 : 0.0);
  add(Metric::config_last_reload_time, {}, reloads.last_success_seconds);
  add(Metric::config_reloads, {{"result", "success"}}, reloads.succeeded);
  add(Metric::config_reloads, {{"result", "failure"}}, reloads.failed);
  add(Metric::worker_restarts, {}, reloads.worker_restarts);
  add(Metric::build_info,
      {{"version", GATEHOUSE_VERSION},
       {"openssl", OpenSSL_version(OPENSSL_VERSION_STRING)},
       {"waf", input_.waf_version}},
      1.0);
  const ProcessFigures& process = input_.process;
  add(Metric::process_cpu, {}, process.cpu_seconds);
  add(Metric::process_resident, {}, process.resident_bytes);
  add(Metric::process_virtual, {}, process.virtual_bytes);
  add(Metric::process_open_fds, {}, process.open_descriptors);
  add(Metric::process_max_fds, {}, process.descriptor_limit);
  add(Metric::process_start, {}, process.start_time_seconds);
  add(Metric::process_threads, {}, process.threads);
}

}  // namespace

std::span<const MetricRow> metric_rows() noexcept { return kRows; }

std::string metrics_text(const MetricsInput& input) { return Exposition(input).text(); }

}  // namespace gatehouse::server
