// The stream block made ready to serve: TLS contexts, open logs, tables of names. Immutable, shared by every thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "certs/client_context.hpp"
#include "certs/server_connection.hpp"
#include "certs/server_context.hpp"
#include "proxy/base/log.hpp"
#include "proxy/config/model.hpp"
#include "proxy/config/settings/stream.hpp"
#include "proxy/exchange/generation.hpp"
#include "proxy/route/server_names.hpp"
#include "proxy/stream/limit_zones.hpp"

namespace gatehouse::stream {

/// What is made ready for one server block.
struct ServerRuntime {
  const config::Server* server = nullptr;
  std::shared_ptr<const ErrorLog> error_log;
  std::vector<std::shared_ptr<LogFile>> access_log;  ///< as settings().access_log; null where the path has variables
  std::shared_ptr<const certs::ServerContext> tls;   ///< null unless one of its listeners has ssl
  std::shared_ptr<const certs::ClientContext> client_tls;  ///< null unless proxy_ssl is on
  std::string label;                                       ///< in the metrics: its name, or else its first listener

  [[nodiscard]] const config::LocationSettings& settings() const noexcept { return server->root.settings; }
  [[nodiscard]] const config::StreamSettings& stream() const noexcept { return *server->root.settings.stream; }
};

/// What is made ready for one listening address.
struct ListenerRuntime {
  const config::Listener* listener = nullptr;
  std::string address;  ///< as the error log names it
  route::ServerNames names;
  std::shared_ptr<const certs::SniSelector> sni;  ///< null without ssl
};

struct Generation {
  std::shared_ptr<const config::Config> config;
  std::vector<ServerRuntime> servers;      ///< by Server::id
  std::vector<ListenerRuntime> listeners;  ///< as Config::stream.listeners
  std::unordered_map<SocketAddress, std::size_t> tcp_listeners;
  std::unordered_map<SocketAddress, std::size_t> udp_listeners;
  std::map<std::string, std::size_t, std::less<>>
      upstream_by_name;                           ///< index into Config::stream.upstreams; explicit ones
  std::vector<std::shared_ptr<LimitZone>> zones;  ///< as Config::stream_zones
  std::shared_ptr<const ErrorLog> error_log;      ///< of the main context
};

/// Makes the stream block of `config` ready. Throws exchange::GenerationError; warnings are appended to `notes`. For the
/// loader's thread.
[[nodiscard]] std::shared_ptr<const Generation> build_generation(std::shared_ptr<const config::Config> config,
                                                                 exchange::SharedState& shared, LimitZones& zones,
                                                                 std::vector<std::string>& notes);

}  // namespace gatehouse::stream
