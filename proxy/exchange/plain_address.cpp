#include "proxy/exchange/plain_address.hpp"

#include <algorithm>

namespace gatehouse::exchange {

SocketAddress address_of(const http::PlainAddress& plain) {
  switch (plain.family) {
    case http::PlainAddress::Family::ipv4: {
      std::array<std::uint8_t, 4> bytes{};
      std::copy_n(plain.bytes.begin(), bytes.size(), bytes.begin());
      return SocketAddress::ipv4(bytes, plain.port);
    }
    case http::PlainAddress::Family::ipv6: return SocketAddress::ipv6(plain.bytes, plain.port);
    case http::PlainAddress::Family::unix_socket: return SocketAddress::unix_path("");
    case http::PlainAddress::Family::none: break;
  }
  return {};
}

http::PlainAddress plain_address(const SocketAddress& address) {
  http::PlainAddress plain;
  switch (address.family()) {
    case AddressFamily::ipv4: plain.family = http::PlainAddress::Family::ipv4; break;
    case AddressFamily::ipv6: plain.family = http::PlainAddress::Family::ipv6; break;
    case AddressFamily::unix_path: plain.family = http::PlainAddress::Family::unix_socket; break;
    case AddressFamily::none: return plain;
  }
  plain.port = address.port();
  const auto bytes = address.bytes();
  std::copy(bytes.begin(), bytes.end(), plain.bytes.begin());
  return plain;
}

}  // namespace gatehouse::exchange
