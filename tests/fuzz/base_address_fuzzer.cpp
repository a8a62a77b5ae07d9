// SocketAddress::parse() on arbitrary text: whatever it accepts must print to text that reads back as the same address.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <sys/socket.h>

#include "proxy/base/address.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using gatehouse::SocketAddress;
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  (void)SocketAddress::parse(text, std::uint16_t{80});
  const auto address = SocketAddress::parse(text);
  if (address) {
    if (SocketAddress::parse(address->to_string()) != address) std::abort();
    sockaddr_storage storage{};
    const std::size_t length = address->to_sockaddr(storage);
    if (SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&storage), length) != address) std::abort();
  }
  // The same bytes as a kernel's answer: any family, any length.
  if (size >= sizeof(sa_family_t)) {
    (void)SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(bytes), size);
  }
  return 0;
}
