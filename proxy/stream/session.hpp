// One stream session: a client's connection, or the datagrams of one client, and where they go.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/container/small_vector.hpp>

#include "proxy/base/arena.hpp"
#include "proxy/base/log.hpp"
#include "proxy/config/regex.hpp"
#include "proxy/exchange/connection_info.hpp"
#include "proxy/exchange/thread_state.hpp"
#include "proxy/stream/client_hello.hpp"
#include "proxy/stream/generation.hpp"
#include "proxy/stream/limit_zones.hpp"
#include "proxy/stream/metrics.hpp"
#include "proxy/upstream/cluster_runtime.hpp"

namespace gatehouse::stream {

/// A generation with one thread's own state for it. A session keeps the one it began with.
struct ThreadGeneration {
  std::shared_ptr<const Generation> shared;
  std::vector<std::shared_ptr<upstream::ClusterRuntime>> clusters;  ///< as Config::stream.upstreams; kept over reloads
  std::vector<ServerMetrics*> metrics;                              ///< by Server::id
};

enum class Transport : std::uint8_t { tcp, udp };

/// One attempt at an upstream peer, as $upstream_* tell it. Times are -1 while not reached.
struct UpstreamTry {
  std::string_view peer;  ///< in the session's arena
  Milliseconds connect_time{-1};
  Milliseconds first_byte_time{-1};
  Milliseconds session_time{-1};
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_received = 0;
};

/// The state of one session. Stays at its address.
struct Session {
  Session(exchange::ThreadState& thread, std::shared_ptr<const ThreadGeneration> generation, std::size_t listener,
          Transport transport, exchange::ConnectionInfo connection);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  exchange::ThreadState& thread;
  std::shared_ptr<const ThreadGeneration> generation;
  const ListenerRuntime& listener;
  const ServerRuntime* server;  ///< the listener's default one, until a server name says otherwise
  Transport transport;
  exchange::ConnectionInfo connection;

  SocketAddress client;  ///< after set_real_ip_from
  std::string client_ip;
  ClientHello hello;        ///< of ssl_preread
  bool hello_read = false;  ///< $ssl_preread_* have values: ssl_preread is on and met nothing that is no TLS

  int status = 0;              ///< 0 until it ends
  std::uint64_t received = 0;  ///< bytes from the client
  std::uint64_t sent = 0;      ///< bytes to the client
  boost::container::small_vector<UpstreamTry, 1> tries;
  bool proxying = false;  ///< the error log tells the bytes as well
  std::vector<LimitLease> limits;
  std::string_view limit_status;  ///< $limit_conn_status; empty where nothing is limited

  config::Regex::Captures captures;  ///< of the last regular expression; offsets into `captured`
  std::string_view captured;
  std::vector<std::string_view> variables;  ///< by slot; a null data() means that nothing has filled it
  std::uint8_t map_depth = 0;
  Arena arena;

  [[nodiscard]] const config::LocationSettings& settings() const noexcept { return server->settings(); }
  [[nodiscard]] const config::StreamSettings& stream() const noexcept { return server->stream(); }
  [[nodiscard]] ServerMetrics& metrics() const noexcept { return *generation->metrics[server->server->id]; }
  [[nodiscard]] TimePoint now() const noexcept { return thread.reactor.now(); }
  void set_variable(std::uint16_t slot, std::string_view value);
  /// Makes the listener's server of that name the session's.
  void choose_server(std::string_view name);

  /// `text` as it is, as nginx logs the beginning and the end of connections.
  void log_plain(LogLevel level, std::string_view text) const;
  /// `text`, what was being done, and nginx's context: client, server, upstream, bytes.
  void log(LogLevel level, std::string_view text, std::string_view action = "initializing session") const;
  [[nodiscard]] bool logs(LogLevel level) const noexcept { return server->error_log->enabled(level); }

  /// The last lines about the session: access log and metrics. Once, at its end.
  void finish();

 private:
  ServerMetrics* counted_;  ///< where it was counted as open
};

/// "connect() failed (111: Connection refused)".
[[nodiscard]] std::string with_errno(std::string_view text, int os_error);

}  // namespace gatehouse::stream
