// What an exchange knows of the client's connection it came on.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <openssl/ssl.h>

#include "proxy/base/address.hpp"
#include "proxy/base/units.hpp"

namespace gatehouse::exchange {

/// One downstream connection. Owned by its session; outlives the session's exchanges.
struct ConnectionInfo {
  std::uint64_t number = 0;  ///< unique in the process, nginx's $connection and the *N of the error log
  SocketAddress peer;        ///< who connected
  SocketAddress local;       ///< the address connected to
  /// What a PROXY header told; null: none did. Apart, because few connections have one and every idle one would pay for it.
  struct Told {
    SocketAddress source;
    SocketAddress destination;
    std::string tlvs;  ///< for http::proxy_tlv()
  };
  std::shared_ptr<const Told> told;
  int socket = -1;             ///< descriptor, for what the kernel knows of the connection
  SSL* tls = nullptr;          ///< null on a plain connection
  std::uint64_t requests = 0;  ///< exchanges so far, the current one included
  TimePoint accepted{};
  static constexpr std::uint8_t kMostPasses = 10;
  bool debug = false;       ///< one of debug_connection's: writes debug messages whatever the log's level
  std::uint8_t passes = 0;  ///< listeners of stream that handed it on (`pass`)
  std::string peer_ip;      ///< text of `peer` without the port, made once

  [[nodiscard]] std::optional<SocketAddress> proxy_source() const {
    return told ? std::optional(told->source) : std::nullopt;
  }
  [[nodiscard]] std::optional<SocketAddress> proxy_destination() const {
    return told ? std::optional(told->destination) : std::nullopt;
  }
  [[nodiscard]] bool secure() const noexcept { return tls != nullptr; }
};

}  // namespace gatehouse::exchange
