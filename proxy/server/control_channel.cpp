#include "proxy/server/control_channel.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

#include <sys/socket.h>
#include <sys/time.h>

namespace gatehouse::server {
namespace {

// A packet: kind, whether it is the message's last one, the number (host order: both ends are one machine), then text.
constexpr std::size_t kHeaderSize = 2 + sizeof(std::uint32_t);
constexpr std::size_t kTextPerPacket = 32 * 1024;
constexpr std::size_t kDescriptorsPerPacket = 200;  // the kernel takes 253
constexpr std::size_t kLongestText = 16 * 1024 * 1024;
constexpr timeval kSendTimeout{5, 0};

}  // namespace

std::pair<ControlChannel, ControlChannel> ControlChannel::pair() {
  std::array<int, 2> fds{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds.data()) != 0) {
    throw std::system_error(errno, std::generic_category(), "socketpair() failed");
  }
  for (const int fd : fds) (void)::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &kSendTimeout, sizeof kSendTimeout);
  return {ControlChannel(UniqueFd(fds[0])), ControlChannel(UniqueFd(fds[1]))};
}

bool ControlChannel::send(ControlKind kind, std::uint32_t number, std::string_view text,
                          std::span<const int> descriptors) {
  for (bool last = false; !last;) {
    const std::string_view part = text.substr(0, kTextPerPacket);
    const auto some = descriptors.first(std::min(descriptors.size(), kDescriptorsPerPacket));
    text.remove_prefix(part.size());
    descriptors = descriptors.subspan(some.size());
    last = text.empty() && descriptors.empty();
    std::string packet(kHeaderSize, '\0');
    packet[0] = static_cast<char>(kind);
    packet[1] = last ? 1 : 0;
    std::memcpy(packet.data() + 2, &number, sizeof number);
    packet.append(part);
    if (!send_packet(packet, some)) return false;
  }
  return true;
}

bool ControlChannel::send_packet(std::string_view bytes, std::span<const int> descriptors) {
  if (!socket_) return false;
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kDescriptorsPerPacket)> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!descriptors.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
  }
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent == static_cast<ssize_t>(bytes.size())) return true;
  socket_.reset();
  return false;
}

std::optional<ControlMessage> ControlChannel::receive() {
  bool last = false;
  while (receive_packet(last)) {
    if (last) return std::exchange(incoming_, {});
  }
  return std::nullopt;
}

bool ControlChannel::receive_packet(bool& last) {
  if (!socket_) return false;
  std::array<char, kHeaderSize + kTextPerPacket> bytes{};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kDescriptorsPerPacket)> control{};
  iovec part{bytes.data(), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t received = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (received < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  for (cmsghdr* header = received < 0 ? nullptr : CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
      incoming_.descriptors.emplace_back(fd);
    }
  }
  const auto size = static_cast<std::size_t>(std::max<ssize_t>(received, 0));
  const bool broken = size < kHeaderSize || (message.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0 ||
                      static_cast<std::uint8_t>(bytes[0]) >= kControlKinds ||
                      incoming_.text.size() + size > kLongestText;
  if (broken) {  // the other end is gone, or talks nonsense
    incoming_ = {};
    socket_.reset();
    return false;
  }
  incoming_.kind = static_cast<ControlKind>(bytes[0]);
  std::memcpy(&incoming_.number, bytes.data() + 2, sizeof incoming_.number);
  incoming_.text.append(bytes.data() + kHeaderSize, size - kHeaderSize);
  last = bytes[1] != 0;
  return true;
}

}  // namespace gatehouse::server
