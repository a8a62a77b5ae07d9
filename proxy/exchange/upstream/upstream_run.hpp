#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "proxy/exchange/caching/cache_use.hpp"
#include "proxy/exchange/error_pages.hpp"
#include "proxy/exchange/exchange.hpp"
#include "proxy/exchange/proxy_request.hpp"
#include "proxy/exchange/upstream_body.hpp"
#include "proxy/http/response_parser.hpp"
#include "proxy/io/child.hpp"
#include "proxy/io/task.hpp"
#include "proxy/upstream/retry_policy.hpp"

namespace gatehouse::exchange {

/// The words of proxy_cache_use_stale that a failure without a response falls under.
[[nodiscard]] std::uint32_t stale_words(Reason reason);
/// The same of a response with `status`; 0 if none names it.
[[nodiscard]] std::uint32_t stale_words(int status);

class ResponseSpool;

/// What one attempt came to.
struct AttemptEnd {
  Error error;         ///< none: the response was relayed, or cut after it had begun
  int status = 0;      ///< of a response that was received but not relayed (proxy_next_upstream http_5xx)
  bool again = false;  ///< another peer was picked already
};

/// One exchange's way through its upstream: picks peers, attempts, decides about retries. Lives in the coroutine that serves the
/// exchange, on its thread. Each part of the way has a file in this folder; `run()` is in proxy.cpp.
class UpstreamRun {
 public:
  explicit UpstreamRun(Exchange& exchange)
      : ex_(exchange), head_text_(exchange.thread), parser_(exchange.upstream_parser.emplace(limits_of(exchange))) {
    exchange.upstream_fields = nullptr;
  }

  io::Task<void> run();

 private:
  static http::ResponseParseLimits limits_of(const Exchange& exchange) {
    http::ResponseParseLimits limits;
    limits.head = exchange.settings().proxy_buffer_size;
    return limits;
  }

  io::Task<bool> prepare_body();
  io::Task<bool> await_resolution();
  [[nodiscard]] bool pick();
  io::Task<AttemptEnd> attempt();
  void account_success();
  /// What a connection must be like to serve this attempt.
  struct ConnectionWish {
    upstream::PoolKey key;
    std::string_view tls_name;  ///< empty on plain connections
  };
  [[nodiscard]] ConnectionWish wanted_connection();
  void find_local_address();
  [[nodiscard]] bool take_idle(const upstream::PoolKey& key);
  io::Task<Error> connect(ConnectionWish wish);
  io::Task<Error> handshake(std::string_view name);
  io::Task<Error> send_request();
  io::Task<Error> receive_head();
  io::Task<Error> pass_interim();
  io::Task<AttemptEnd> relay(http::ResponseSemantics semantics);
  io::Task<bool> relay_body(const http::ResponseSemantics& semantics, UpstreamBody& body, std::string_view first);
  io::Task<bool> relay_ahead(const http::ResponseSemantics& semantics, UpstreamBody& body,
                             io::Child<Result<void>>& sending);
  io::Task<Result<bool>> read_ahead(const http::ResponseSemantics& semantics, UpstreamBody& body, ResponseSpool& spool);
  void cut_short(Error error);
  io::Task<Result<std::string_view>> pull(UpstreamBody& body, std::uint64_t rate);
  io::Task<void> let_go(const http::ResponseSemantics& semantics, const UpstreamBody& body);
  io::Task<void> pace(const UpstreamBody& body, std::uint64_t rate);
  /// The body's trailers if they are here and proxy_pass_trailers lets them through; else null.
  [[nodiscard]] const http::Fields* passed_trailers(const UpstreamBody& body) const noexcept;
  [[nodiscard]] std::uint64_t rate_from_upstream();
  io::Task<bool> relay_through_cache(const http::ResponseSemantics& semantics, UpstreamBody& body,
                                     std::string_view first);
  io::Task<Result<bool>> fill_cache(const http::ResponseSemantics& semantics, UpstreamBody& body, StoredBody& stored);
  io::Task<void> serve_from_cache();
  [[nodiscard]] bool stale_serves(std::uint32_t words) {
    if (!ex_.cache || !ex_.cache->may_serve_stale(words)) return false;
    ex_.cache->status = CacheStatus::stale;
    return serves_stored_ = true;
  }
  void begin_copy(const http::ResponseHead& head);
  /// Where the body goes beside the client: an entry of the cache or proxy_store's file; null: nowhere.
  [[nodiscard]] cache::EntryWriter* writer() {
    if (copy_) return &*copy_;
    return ex_.cache && ex_.cache->writer ? &*ex_.cache->writer : nullptr;
  }
  void finish_writing();
  void give_up_writing() noexcept;
  [[nodiscard]] http::Method upstream_method() const {
    return ex_.cache && ex_.cache->convert_head ? http::Method::get : ex_.method;
  }
  io::Task<AttemptEnd> relay_inspected(const http::ResponseSemantics& semantics, UpstreamBody& body);
  io::Task<AttemptEnd> intercept(http::ResponseSemantics semantics);
  [[nodiscard]] std::optional<std::string_view> accel_redirect() const;
  io::Task<AttemptEnd> leave_for(http::ResponseSemantics semantics, std::string_view uri);
  io::Task<void> drop_response(const http::ResponseSemantics& semantics);
  io::Task<AttemptEnd> tunnel();
  io::Task<Result<bool>> pump_spilled();
  io::Task<Result<bool>> pump_streamed();
  io::Task<Error> stop_pump();
  io::Task<void> end_request_body();

  [[nodiscard]] bool retry(const AttemptEnd& end);
  [[nodiscard]] bool is_retriable_status(int status) const;
  [[nodiscard]] bool is_intercepted(int status) const {
    return status >= 300 && ex_.settings().proxy_intercept_errors && has_error_page(ex_, status);
  }
  void finish_connection(const http::ResponseSemantics& semantics, const UpstreamBody& body);
  void log_failure(Error error);
  [[nodiscard]] Milliseconds elapsed(TimePoint since) const {
    return std::chrono::duration_cast<Milliseconds>(ex_.now() - since);
  }
  [[nodiscard]] UpstreamTry& current() { return ex_.tries.back(); }
  [[nodiscard]] upstream::Cluster& cluster() { return target_.cluster->cluster(); }

  Exchange& ex_;
  ProxyTarget target_;
  UpstreamBodyPlan plan_;
  std::optional<std::string_view> set_body_;  ///< proxy_set_body
  ScratchString head_text_;
  bool asks_upgrade_ = false;
  std::optional<cache::EntryWriter> copy_;  ///< proxy_store
  bool serves_stored_ = false;              ///< the stored response answers after all

  upstream::Attempt attempt_state_;
  upstream::PeerLease peer_;
  std::uint32_t tries_ = 0;
  std::uint32_t tries_limit_ = 1;
  bool only_fresh_ = false;  ///< the retry of a stale connection must not take another pooled one
  TimePoint first_try_{};
  TimePoint try_began_{};

  std::optional<SocketAddress> local_address_;  ///< proxy_bind
  upstream::ConnectionPtr connection_;
  bool reused_ = false;
  bool request_sent_ = false;  ///< any byte of it
  bool request_sent_whole_ = false;
  bool response_byte_seen_ = false;
  bool streamed_bytes_gone_ = false;  ///< body bytes were passed on that can't be sent again
  std::optional<io::Child<Result<bool>>> pump_;
  http::ResponseParser& parser_;  ///< the exchange's: variables are read from it to the end
};

}  // namespace gatehouse::exchange
