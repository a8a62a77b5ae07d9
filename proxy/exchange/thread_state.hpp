// What the exchanges of one event thread share: nothing here is touched by another thread, except the counters that are read.
#pragma once

#include <chrono>
#include <cstdint>
#include <ctime>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "certs/client_session_cache.hpp"
#include "proxy/exchange/access_log.hpp"
#include "proxy/exchange/client_shares.hpp"
#include "proxy/exchange/generation.hpp"
#include "proxy/exchange/metrics.hpp"
#include "proxy/exchange/waf_service.hpp"
#include "proxy/http/date.hpp"
#include "proxy/io/buffer_pool.hpp"
#include "proxy/io/reactor.hpp"
#include "proxy/upstream/cluster_runtime.hpp"
#include "proxy/upstream/resolver.hpp"
#include "waf/transaction_input.hpp"

namespace gatehouse::exchange {

/// A generation with this thread's own state for it. A request keeps the one it began with.
struct ThreadGeneration {
  std::shared_ptr<const Generation> shared;
  std::vector<std::shared_ptr<upstream::ClusterRuntime>> clusters;  ///< as Http::upstreams; kept over reloads by name
};

/// $time_local's text, made once a second: asking for the zone costs more than the rest of a log line.
class LocalTimeCache {
 public:
  /// Valid until the next call with another second.
  [[nodiscard]] std::string_view clf(std::time_t seconds) {
    if (seconds != seconds_) {
      std::tm local{};
      localtime_r(&seconds, &local);
      text_ = http::format_clf_time(seconds, std::chrono::minutes(local.tm_gmtoff / 60));
      seconds_ = seconds;
    }
    return http::view(text_);
  }

 private:
  std::time_t seconds_ = -1;
  http::ClfTime text_{};
};

/// One event thread.
struct ThreadState {
  ThreadState(io::Reactor& reactor_, std::uint32_t index_, WafService& waf_, std::uint32_t connection_limit_)
      : reactor(reactor_),
        index(index_),
        waf(waf_),
        connection_limit(connection_limit_),
        waf_shares(waf_.client_share) {}
  ThreadState(const ThreadState&) = delete;
  ThreadState& operator=(const ThreadState&) = delete;

  io::Reactor& reactor;
  const std::uint32_t index;
  WafService& waf;
  const std::uint32_t connection_limit;  ///< worker_connections
  bool draining = false;                 ///< no more keep-alive: the thread is on its way out

  std::shared_ptr<const ThreadGeneration> generation;  ///< the current one
  ClientShares waf_shares;                             ///< of the WAF's pool
  std::vector<waf::HeaderView> waf_headers;            ///< lent to one check at a time
  std::uint64_t waf_proven_requests = 0;               ///< counted for waf_shadow_sample

  static constexpr std::size_t kHeadBlock = 4096;
  io::BufferPool head_blocks{kHeadBlock, 1024};
  io::BufferPool body_blocks{32768, 256};
  certs::ClientSessionCache client_sessions;
  upstream::Resolver resolver{reactor};
  http::DateCache date;
  LocalTimeCache local_time;
  ThreadMetrics metrics;
  AccessLogBuffers access_logs{reactor};
  std::vector<std::string> scratch_strings;  ///< strings with capacity, lent to exchanges
  std::uint64_t boundary = 0;                ///< of multipart/byteranges
  std::uint64_t random_state = 0;            ///< of request ids; seeded when the thread starts

  /// Clusters of proxy_pass targets with variables, by "host:port"; made on first use, dropped when long unused.
  std::unordered_map<std::string, std::shared_ptr<upstream::ClusterRuntime>> dynamic_clusters;
  [[nodiscard]] std::shared_ptr<upstream::ClusterRuntime> dynamic_cluster(
      std::string_view host, std::uint16_t port, std::shared_ptr<const config::ResolverSettings> resolver);

  [[nodiscard]] std::string take_string() {
    if (scratch_strings.empty()) return {};
    std::string string = std::move(scratch_strings.back());
    scratch_strings.pop_back();
    string.clear();
    return string;
  }
  void give_string(std::string string) {
    if (scratch_strings.size() < 256 && string.capacity() <= std::size_t{64} * 1024)
      scratch_strings.push_back(std::move(string));
  }
};

/// A string lent by a thread for the length of a scope.
class ScratchString {
 public:
  explicit ScratchString(ThreadState& thread) : thread_(thread), string_(thread.take_string()) {}
  ~ScratchString() { thread_.give_string(std::move(string_)); }
  ScratchString(const ScratchString&) = delete;
  ScratchString& operator=(const ScratchString&) = delete;
  std::string& operator*() noexcept { return string_; }
  std::string* operator->() noexcept { return &string_; }

 private:
  ThreadState& thread_;
  std::string string_;
};

}  // namespace gatehouse::exchange
