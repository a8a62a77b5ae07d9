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
  std::optional<SocketAddress> proxy_source;       ///< from the PROXY header
  std::optional<SocketAddress> proxy_destination;  ///< from the PROXY header
  SSL* tls = nullptr;                              ///< null on a plain connection
  std::uint64_t requests = 0;                      ///< exchanges so far, the current one included
  TimePoint accepted{};
  std::string peer_ip;  ///< text of `peer` without the port, made once

  [[nodiscard]] bool secure() const noexcept { return tls != nullptr; }
};

}  // namespace gatehouse::exchange
