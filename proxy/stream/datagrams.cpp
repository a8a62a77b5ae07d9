#include "proxy/stream/datagrams.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <unistd.h>

namespace gatehouse::stream {

UdpSocket::~UdpSocket() { ::close(fd_); }

DatagramBatch::DatagramBatch() : buffer_(new char[kMost * kLargest]) {
  for (std::size_t i = 0; i < kMost; ++i) parts_[i] = {buffer_.get() + i * kLargest, kLargest};
}

int DatagramBatch::receive(int fd) {
  for (std::size_t i = 0; i < kMost; ++i) {
    msghdr& header = messages_[i].msg_hdr;
    header = {};
    header.msg_name = &sources_[i];
    header.msg_namelen = sizeof sources_[i];
    header.msg_iov = &parts_[i];
    header.msg_iovlen = 1;
    header.msg_control = controls_[i].data();
    header.msg_controllen = controls_[i].size();
  }
  for (;;) {
    const int got = ::recvmmsg(fd, messages_.data(), kMost, MSG_DONTWAIT, nullptr);
    if (got >= 0 || errno != EINTR) return got;
  }
}

std::optional<SocketAddress> DatagramBatch::source(std::size_t i) const {
  return SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&sources_[i]),
                                      messages_[i].msg_hdr.msg_namelen);
}

std::optional<SocketAddress> DatagramBatch::destination(std::size_t i, std::uint16_t port) const {
  msghdr header = messages_[i].msg_hdr;
  for (cmsghdr* control = CMSG_FIRSTHDR(&header); control != nullptr; control = CMSG_NXTHDR(&header, control)) {
    if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
      in_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(control), sizeof info);
      std::array<std::uint8_t, 4> bytes{};
      std::memcpy(bytes.data(), &info.ipi_addr, bytes.size());
      return SocketAddress::ipv4(bytes, port);
    }
    if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(control), sizeof info);
      std::array<std::uint8_t, 16> bytes{};
      std::memcpy(bytes.data(), &info.ipi6_addr, bytes.size());
      return SocketAddress::ipv6(bytes, port, info.ipi6_ifindex);
    }
  }
  return std::nullopt;
}

namespace {

// The source address as ancillary data; returns its length, 0 for no address.
std::size_t write_source(const SocketAddress& from, std::span<char> control) {
  sockaddr_storage storage{};
  (void)from.to_sockaddr(storage);
  msghdr header{};
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  cmsghdr* const entry = CMSG_FIRSTHDR(&header);
  if (storage.ss_family == AF_INET) {
    in_pktinfo info{};
    info.ipi_spec_dst = reinterpret_cast<const sockaddr_in&>(storage).sin_addr;
    entry->cmsg_level = IPPROTO_IP;
    entry->cmsg_type = IP_PKTINFO;
    entry->cmsg_len = CMSG_LEN(sizeof info);
    std::memcpy(CMSG_DATA(entry), &info, sizeof info);
    return CMSG_SPACE(sizeof info);
  }
  if (storage.ss_family == AF_INET6) {
    in6_pktinfo info{};
    info.ipi6_addr = reinterpret_cast<const sockaddr_in6&>(storage).sin6_addr;
    entry->cmsg_level = IPPROTO_IPV6;
    entry->cmsg_type = IPV6_PKTINFO;
    entry->cmsg_len = CMSG_LEN(sizeof info);
    std::memcpy(CMSG_DATA(entry), &info, sizeof info);
    return CMSG_SPACE(sizeof info);
  }
  return 0;
}

}  // namespace

std::size_t send_datagrams(int fd, std::span<const std::string_view> datagrams, const SocketAddress& to,
                           const std::optional<SocketAddress>& from) {
  sockaddr_storage storage{};
  const auto length = static_cast<socklen_t>(to.to_sockaddr(storage));
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(in6_pktinfo))> control{};
  const std::size_t control_size = from ? write_source(*from, control) : 0;
  std::array<mmsghdr, DatagramBatch::kMost> messages{};
  std::array<iovec, DatagramBatch::kMost> parts{};
  const std::size_t count = std::min(datagrams.size(), messages.size());
  for (std::size_t i = 0; i < count; ++i) {
    parts[i] = {const_cast<char*>(datagrams[i].data()), datagrams[i].size()};
    msghdr& header = messages[i].msg_hdr;
    header.msg_name = &storage;
    header.msg_namelen = length;
    header.msg_iov = &parts[i];
    header.msg_iovlen = 1;
    if (control_size > 0) {
      header.msg_control = control.data();
      header.msg_controllen = control_size;
    }
  }
  int taken = 0;
  do {
    taken = ::sendmmsg(fd, messages.data(), static_cast<unsigned>(count), MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (taken < 0 && errno == EINTR);
  std::size_t bytes = 0;
  for (int i = 0; i < taken; ++i) bytes += messages[static_cast<std::size_t>(i)].msg_len;
  return bytes;
}

}  // namespace gatehouse::stream
