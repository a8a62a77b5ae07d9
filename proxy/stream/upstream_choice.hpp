// The upstream of a session: its cluster, and its peers one after the other until one can be reached.
#pragma once

#include <optional>
#include <string_view>

#include "proxy/io/task.hpp"
#include "proxy/stream/session.hpp"
#include "proxy/upstream/cluster_runtime.hpp"

namespace gatehouse::stream {

/// Lives in the session's coroutine; the session outlives it.
class UpstreamChoice {
 public:
  explicit UpstreamChoice(Session& session) noexcept : session_(session) {}

  /// Finds the cluster and waits until its name is resolved. Returns the status that ends the session, or 0.
  [[nodiscard]] io::Task<int> find();
  /// Takes the next peer and begins its UpstreamTry. False when there is none, which was logged: the session ends with 502.
  [[nodiscard]] bool pick();
  /// The peer accepted the connection.
  void on_connected();
  /// The peer failed. True when another one may be tried.
  [[nodiscard]] bool next();
  /// The session with the peer is over; `failed`: by the peer's fault.
  void end(bool failed);

  [[nodiscard]] const upstream::Peer& peer() const noexcept { return *peer_; }
  /// The name for TLS unless proxy_ssl_name gives one.
  [[nodiscard]] std::string_view host() const noexcept { return host_; }
  /// Where to connect from: proxy_bind; nothing when it isn't set or evaluates to "". A bad address is logged.
  [[nodiscard]] std::optional<SocketAddress> local_address();

 private:
  [[nodiscard]] int find_variable(const config::ProxyPass& pass);
  void close_try();

  Session& session_;
  std::shared_ptr<upstream::ClusterRuntime> cluster_;
  std::string_view host_;
  upstream::Attempt attempt_;
  upstream::PeerLease peer_;
  std::uint32_t tries_left_ = 0;
  TimePoint first_try_{};
  TimePoint try_began_{};
};

}  // namespace gatehouse::stream
