// Settings of the stream block: TCP and UDP proxying (nginx's stream core, proxy, ssl_preread, return, set, pass modules).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proxy/config/connection_limits.hpp"
#include "proxy/config/setters.hpp"

namespace gatehouse::config {

/// What only stream has. What means the same as in http stands where http has it: LocationSettings (access, real address,
/// logs, resolver, proxy_ssl_*, proxy_connect_timeout, proxy_next_upstream_tries and _timeout, tcp_nodelay) and
/// ServerSettings (ssl_*, proxy_protocol_timeout).
struct StreamSettings {
  Milliseconds proxy_timeout{600000};  ///< between two reads or writes of either side
  ByteCount proxy_buffer_size = 16 * kKiB;
  std::optional<ComplexValue> proxy_upload_rate;    ///< bytes per second from the client; nothing or 0: no limit
  std::optional<ComplexValue> proxy_download_rate;  ///< bytes per second from the upstream
  std::optional<std::uint32_t> proxy_responses;  ///< datagrams expected for each of the client's; nothing: any number
  std::uint32_t proxy_requests = 0;  ///< datagrams after which a client's next one begins a new session; 0: never
  bool proxy_next_upstream = true;
  bool proxy_half_close = false;
  bool proxy_protocol = false;  ///< send a PROXY header (version 1) to the upstream
  bool proxy_ssl = false;
  std::optional<ComplexValue> proxy_bind;
  bool proxy_bind_transparent = false;

  bool ssl_preread = false;
  ByteCount preread_buffer_size = 16 * kKiB;
  Milliseconds preread_timeout{30000};
  std::vector<std::string> ssl_alpn;  ///< empty: the client's offer is not answered

  std::vector<ConnectionLimit> limit_conn;  ///< in Config::stream_zones
  LogLevel limit_conn_log_level = LogLevel::error;
  bool limit_conn_dry_run = false;

  // of one server: not inherited in nginx, and only servers have the directives
  struct Assignment {
    std::uint16_t slot = 0;
    ComplexValue value;
  };
  std::vector<Assignment> assignments;      ///< `set`
  std::optional<ComplexValue> return_text;  ///< `return`
  std::optional<ComplexValue> pass;         ///< `pass`: the listener to hand the connection to
};

template <>
struct GroupOf<StreamSettings> {
  static constexpr auto member = &LocationSettings::stream;
};

}  // namespace gatehouse::config
