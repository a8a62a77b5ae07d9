// Addresses of PROXY headers and addresses of sockets, the one made the other.
#pragma once

#include "proxy/base/address.hpp"
#include "proxy/http/proxy_protocol.hpp"

namespace gatehouse::exchange {

/// Family none gives no address, a Unix address one without a path.
[[nodiscard]] SocketAddress address_of(const http::PlainAddress& plain);
[[nodiscard]] http::PlainAddress plain_address(const SocketAddress& address);

}  // namespace gatehouse::exchange
