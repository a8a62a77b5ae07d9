// A socket address as a value: IPv4, IPv6 or a Unix path, without any socket.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

struct sockaddr;
struct sockaddr_storage;

namespace gatehouse {

/// Which kind of address a SocketAddress holds.
enum class AddressFamily : std::uint8_t { none, ipv4, ipv6, unix_path };

/// An address to connect to, or the address a connection came from. Copying an IP address allocates nothing.
class SocketAddress {
 public:
  /// No address: family none, prints as "".
  SocketAddress() = default;

  /// `bytes` in network order, port in host order.
  [[nodiscard]] static SocketAddress ipv4(std::array<std::uint8_t, 4> bytes, std::uint16_t port);
  [[nodiscard]] static SocketAddress ipv6(const std::array<std::uint8_t, 16>& bytes, std::uint16_t port,
                                          std::uint32_t scope_id = 0);
  /// `path` may be empty: an unnamed socket, as a client of a Unix listener has.
  [[nodiscard]] static SocketAddress unix_path(std::string_view path);

  /// Reads "1.2.3.4:80", "[::1]:80" or "unix:/path". With a default port, "1.2.3.4", "[::1]" and "::1" are read too.
  /// Nothing is looked up; a host name, port 0 and a path that doesn't fit into sockaddr_un give nullopt.
  [[nodiscard]] static std::optional<SocketAddress> parse(std::string_view text,
                                                          std::optional<std::uint16_t> default_port = std::nullopt);

  /// Reads what accept(), getpeername() or a resolver filled in; nullopt for another family or a length too short.
  [[nodiscard]] static std::optional<SocketAddress> from_sockaddr(const sockaddr* address, std::size_t length);
  /// Fills `out` and returns the length to pass on; 0 for family none.
  [[nodiscard]] std::size_t to_sockaddr(sockaddr_storage& out) const;

  [[nodiscard]] AddressFamily family() const noexcept { return family_; }
  /// Host order; 0 unless an IP address.
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  [[nodiscard]] SocketAddress with_port(std::uint16_t port) const;
  /// Empty unless a Unix path.
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  /// The IP address in network order: 4 or 16 bytes; empty otherwise. Borrows from this object.
  [[nodiscard]] std::span<const std::uint8_t> bytes() const noexcept;

  /// As nginx prints a peer: "10.0.0.1:80", "[::1]:80", "unix:/path".
  [[nodiscard]] std::string to_string() const;
  /// As nginx prints $remote_addr: "10.0.0.1", "::1", "unix:".
  [[nodiscard]] std::string ip_string() const;

  [[nodiscard]] std::size_t hash() const noexcept;

  friend bool operator==(const SocketAddress&, const SocketAddress&) = default;
  friend auto operator<=>(const SocketAddress&, const SocketAddress&) = default;

 private:
  AddressFamily family_ = AddressFamily::none;
  std::uint16_t port_ = 0;
  std::uint32_t scope_id_ = 0;
  std::array<std::uint8_t, 16> ip_{};
  std::string path_;
};

}  // namespace gatehouse

template <>
struct std::hash<gatehouse::SocketAddress> {
  std::size_t operator()(const gatehouse::SocketAddress& address) const noexcept { return address.hash(); }
};
