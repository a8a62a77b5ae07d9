// Datagrams in batches: one system call for several of them, both ways.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include <netinet/in.h>
#include <sys/socket.h>

#include "proxy/base/address.hpp"

namespace gatehouse::stream {

/// A UDP socket's descriptor, shared by the sessions that answer on it. It is a duplicate: the kernel's socket lives on.
class UdpSocket {
 public:
  explicit UdpSocket(int fd) noexcept : fd_(fd) {}
  ~UdpSocket();
  UdpSocket(const UdpSocket&) = delete;
  UdpSocket& operator=(const UdpSocket&) = delete;
  [[nodiscard]] int fd() const noexcept { return fd_; }

 private:
  int fd_;
};

/// Room for a batch of datagrams; lent for the length of one call, one for each thread.
class DatagramBatch {
 public:
  static constexpr std::size_t kMost = 16;
  static constexpr std::size_t kLargest = 65535;

  DatagramBatch();

  /// Receives what is there, without waiting. Returns how many; -1 with errno on failure.
  [[nodiscard]] int receive(int fd);
  [[nodiscard]] std::string_view bytes(std::size_t i) const noexcept {
    return {buffer_.get() + i * kLargest, messages_[i].msg_len};
  }
  /// Who sent datagram `i`.
  [[nodiscard]] std::optional<SocketAddress> source(std::size_t i) const;
  /// The address it was sent to, with the socket's `port`, where the socket tells it (IP_PKTINFO).
  [[nodiscard]] std::optional<SocketAddress> destination(std::size_t i, std::uint16_t port) const;

 private:
  std::unique_ptr<char[]> buffer_;
  std::array<mmsghdr, kMost> messages_{};
  std::array<iovec, kMost> parts_{};
  std::array<sockaddr_storage, kMost> sources_{};
  static constexpr std::size_t kControl = CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(sizeof(in_pktinfo));
  alignas(cmsghdr) std::array<std::array<char, kControl>, kMost> controls_{};
};

/// Sends datagrams to one address, from `from` where it is given (a wildcard socket answers from the address that was
/// asked). Returns the bytes of those that were taken; what would block is dropped, as UDP may.
[[nodiscard]] std::size_t send_datagrams(int fd, std::span<const std::string_view> datagrams, const SocketAddress& to,
                                         const std::optional<SocketAddress>& from);

}  // namespace gatehouse::stream
