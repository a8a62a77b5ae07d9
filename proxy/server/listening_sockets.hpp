// The listening sockets of the process: opened and kept by the supervisor, so that they outlive every worker.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/base/address.hpp"
#include "proxy/base/unique_fd.hpp"
#include "proxy/config/model.hpp"

namespace gatehouse::server {

/// What sockets are bound to: the ports of TCP and of UDP are apart.
struct BindAddress {
  // Implicit: an address alone is one of TCP, or a Unix socket.
  BindAddress(SocketAddress address_, bool udp_ = false) : address(std::move(address_)), udp(udp_) {}  // NOLINT
  SocketAddress address;
  bool udp = false;
  friend bool operator==(const BindAddress&, const BindAddress&) = default;
  friend auto operator<=>(const BindAddress&, const BindAddress&) = default;
};

/// An address that a configuration wants sockets for.
struct WantedAddress {
  SocketAddress address;
  config::ListenOptions options;
  std::uint32_t sockets = 1;  ///< how many share it by SO_REUSEPORT, one for each event thread; Unix sockets can't

  [[nodiscard]] BindAddress bind_address() const { return {address, options.udp}; }
};

/// The addresses of a configuration for `threads` event threads, the admin listener (one socket) among them. Throws
/// std::runtime_error when an address is wanted twice: by http and stream, or by a server and the admin listener.
[[nodiscard]] std::vector<WantedAddress> wanted_addresses(const config::Config& config, std::uint32_t threads);

/// Why sockets could not be opened: nginx's text for each, `bind() to 0.0.0.0:80 failed (98: Address already in use)`.
class ListenError : public std::runtime_error {
 public:
  explicit ListenError(std::vector<std::string> texts);
  [[nodiscard]] const std::vector<std::string>& texts() const noexcept { return texts_; }

 private:
  std::vector<std::string> texts_;
};

/// Sockets by address. Single-threaded.
class ListeningSockets {
 public:
  using Groups = std::map<BindAddress, std::vector<UniqueFd>>;

  /// Takes over descriptors that were inherited; those that are no listening sockets are left alone and not taken.
  void adopt(std::span<const int> descriptors);

  /// Opens what `wanted` asks for beyond `held`: nobody listens on it before this returns, so a failure changes
  /// nothing. An address that somebody else listens on is an error although SO_REUSEPORT would let us share it with our
  /// own user's processes. Tries a taken address `attempts` times, half a second apart. Throws ListenError.
  [[nodiscard]] static ListeningSockets open_missing(std::span<const WantedAddress> wanted,
                                                     const ListeningSockets& held, int attempts);

  /// Adds the sockets of `other`.
  void merge(ListeningSockets other);
  /// Whether closing a Unix socket removes its file: not in a process that only has copies of the descriptors.
  enum class UnixFiles : std::uint8_t { remove, keep };
  /// Closes what is not wanted, and gives the rest its new backlog.
  void retain(std::span<const WantedAddress> wanted, UnixFiles files);
  /// Closes everything.
  void close(UnixFiles files);

  [[nodiscard]] const Groups& groups() const noexcept { return groups_; }
  [[nodiscard]] std::vector<int> descriptors() const;
  [[nodiscard]] bool empty() const noexcept { return groups_.empty(); }

 private:
  Groups groups_;
};

/// Which of `count` sockets of one address event thread `thread` of `threads` accepts on. Every socket has a thread, or
/// connections would wait on it for ever; every thread has a socket.
[[nodiscard]] std::vector<std::uint32_t> sockets_of_thread(std::uint32_t count, std::uint32_t thread,
                                                           std::uint32_t threads);

/// The environment variable that hands sockets to a new program file (SIGUSR2): "7;8;9;", as nginx's.
inline constexpr const char* kSocketsVariable = "GATEHOUSE_SOCKETS";
[[nodiscard]] std::string sockets_to_text(std::span<const int> descriptors);
/// Words that are no descriptor number are left out.
[[nodiscard]] std::vector<int> sockets_from_text(std::string_view text);

}  // namespace gatehouse::server
