#include "proxy/config/endpoint.hpp"

#include <algorithm>
#include <array>
#include <memory>

#include <arpa/inet.h>
#include <netdb.h>

#include "proxy/config/parse_value.hpp"

namespace gatehouse::config {

std::optional<std::uint16_t> parse_port(std::string_view text) {
  const auto number = parse_number(text);
  if (!number || *number < 1 || *number > 65535) return std::nullopt;
  return static_cast<std::uint16_t>(*number);
}

std::optional<SocketAddress> parse_ip(std::string_view text, std::uint16_t port) {
  const std::string copy(text);
  std::array<std::uint8_t, 4> v4{};
  if (::inet_pton(AF_INET, copy.c_str(), v4.data()) == 1) return SocketAddress::ipv4(v4, port);
  std::array<std::uint8_t, 16> v6{};
  if (::inet_pton(AF_INET6, copy.c_str(), v6.data()) == 1) return SocketAddress::ipv6(v6, port);
  return std::nullopt;
}

std::vector<SocketAddress> look_up(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return {};
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  std::vector<SocketAddress> result;
  for (const auto* entry = found; entry != nullptr; entry = entry->ai_next) {
    if (const auto address = SocketAddress::from_sockaddr(entry->ai_addr, entry->ai_addrlen)) {
      result.push_back(address->with_port(port));
    }
  }
  return result;
}

std::optional<Endpoint> parse_endpoint(std::string_view text, std::uint16_t default_port, std::string& error) {
  Endpoint result;
  if (text.starts_with("unix:")) {
    text.remove_prefix(5);
    if (text.empty()) {
      error = "no path in the unix domain socket";
      return std::nullopt;
    }
    if (text.size() > 107) {
      error = "too long path in the unix domain socket";
      return std::nullopt;
    }
    result.unix_socket = true;
    result.host = text;
    result.address = SocketAddress::unix_path(text);
    return result;
  }
  std::string_view port;
  bool has_port = false;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) {
      error = "invalid host";
      return std::nullopt;
    }
    result.host = text.substr(1, close - 1);
    result.ipv6 = true;
    text.remove_prefix(close + 1);
    if (!text.empty()) {
      if (text.front() != ':') {
        error = "invalid host";
        return std::nullopt;
      }
      has_port = true;
      port = text.substr(1);
    }
  } else {
    const auto colon = text.rfind(':');
    has_port = colon != std::string_view::npos;
    result.host = text.substr(0, colon);
    if (has_port) port = text.substr(colon + 1);
  }
  if (has_port) {
    result.port = parse_port(port);
    if (!result.port) {
      error = "invalid port";
      return std::nullopt;
    }
  }
  if (result.host.empty()) {
    error = "no host";
    return std::nullopt;
  }
  const bool bad = std::ranges::any_of(result.host, [&](char c) {
    return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f || c == '/' || (c == ':' && !result.ipv6);
  });
  if (bad) {
    error = "invalid host";
    return std::nullopt;
  }
  result.address = parse_ip(result.host, result.port.value_or(default_port));
  const bool is_v6 = result.address && result.address->family() == AddressFamily::ipv6;
  if (result.ipv6 != is_v6) {
    error = result.ipv6 ? "invalid IPv6 address" : "invalid host";
    return std::nullopt;
  }
  return result;
}

}  // namespace gatehouse::config
