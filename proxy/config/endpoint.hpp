// "host:port" as nginx's ngx_parse_url() reads it, for listen, upstream servers, proxy_pass and resolvers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/address.hpp"

namespace gatehouse::config {

/// A host with an optional port, as written.
struct Endpoint {
  std::string host;  ///< a name, an address without brackets, "*", or the path of a Unix socket
  std::optional<std::uint16_t> port;
  bool unix_socket = false;
  bool ipv6 = false;                     ///< was written in brackets
  std::optional<SocketAddress> address;  ///< when `host` is an address (port as given or `default_port`)
};

/// Reads "name", "name:80", "1.2.3.4:80", "[::1]:80", "unix:/path". On failure returns nginx's words ("invalid port")
/// in `error`.
[[nodiscard]] std::optional<Endpoint> parse_endpoint(std::string_view text, std::uint16_t default_port,
                                                     std::string& error);

/// An IPv4 or IPv6 address without port or brackets.
[[nodiscard]] std::optional<SocketAddress> parse_ip(std::string_view text, std::uint16_t port);

/// The addresses of a host name, asked of the system's resolver right now; empty when there are none. Blocks: for
/// directives that need addresses while loading (listen, set_real_ip_from), as in nginx.
[[nodiscard]] std::vector<SocketAddress> look_up(const std::string& host, std::uint16_t port);

/// 1 to 65535.
[[nodiscard]] std::optional<std::uint16_t> parse_port(std::string_view text);

}  // namespace gatehouse::config
