#include "proxy/io/socket.hpp"

#include <cerrno>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace gatehouse::io {

Socket::Socket(Reactor& reactor, int fd, Registration registration) : fd_(fd) {
  try {
    descriptor_ = std::make_unique<Descriptor>(reactor, fd, registration);
  } catch (...) {
    ::close(std::exchange(fd_, -1));
    throw;
  }
}

Socket& Socket::operator=(Socket&& other) noexcept {
  if (this != &other) {
    close();
    descriptor_ = std::move(other.descriptor_);
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

void Socket::close() noexcept {
  descriptor_.reset();
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

void Socket::shutdown_write() noexcept {
  if (fd_ >= 0) ::shutdown(fd_, SHUT_WR);
}

void Socket::set_reset_on_close() noexcept {
  const linger hard{.l_onoff = 1, .l_linger = 0};
  if (fd_ >= 0) setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
}

bool Socket::is_quiet() const noexcept {
  if (fd_ < 0 || descriptor_->peer_closed) return false;
  // An edge may wait in epoll's queue that this round has not delivered; asking the kernel is the only proof.
  char byte = 0;
  const ssize_t n = ::recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
    descriptor_->readable = false;
    return true;
  }
  return false;
}

bool WaitConnected::try_once() {
  int code = 0;
  socklen_t size = sizeof code;
  if (getsockopt(socket.fd(), SOL_SOCKET, SO_ERROR, &code, &size) != 0) code = errno;
  if (code != 0) error = {Reason::connect_failed, code};
  return true;
}

namespace {

// False with errno set when the local address can't be had.
bool bind_local(int fd, const SocketAddress& local, bool transparent, bool stream) {
  sockaddr_storage storage{};
  const auto size = static_cast<socklen_t>(local.to_sockaddr(storage));
  const int on = 1;
  if (stream && local.port() == 0) setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  if (transparent) {
    const bool v6 = storage.ss_family == AF_INET6;
    const int outcome = v6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, &on, sizeof on)
                           : setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof on);
    if (outcome != 0) return false;
  }
  return ::bind(fd, reinterpret_cast<const sockaddr*>(&storage), size) == 0;
}

Error close_failed(int fd) {
  const int code = errno;
  ::close(fd);
  return {Reason::connect_failed, code};
}

}  // namespace

Result<Connecting> start_connect(Reactor& reactor, const SocketAddress& address, const SocketAddress* bind_to,
                                 bool transparent) {
  sockaddr_storage storage{};
  const auto size = static_cast<socklen_t>(address.to_sockaddr(storage));
  const int fd = ::socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return Error{Reason::connect_failed, errno};
  if (storage.ss_family != AF_UNIX) {
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  if (bind_to != nullptr && !bind_local(fd, *bind_to, transparent, true)) return close_failed(fd);
  const bool connected = ::connect(fd, reinterpret_cast<const sockaddr*>(&storage), size) == 0;
  if (!connected && errno != EINPROGRESS) return close_failed(fd);
  // Registered after connect(), so that the edge of a fresh socket (EPOLLHUP) is never seen.
  Connecting started{Socket(reactor, fd), !connected};
  if (!connected) started.socket.descriptor().writable = false;
  return started;
}

Result<Socket> connect_datagrams(Reactor& reactor, const SocketAddress& address, const SocketAddress* bind_to,
                                 bool transparent) {
  sockaddr_storage storage{};
  const auto size = static_cast<socklen_t>(address.to_sockaddr(storage));
  const int fd = ::socket(storage.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return Error{Reason::connect_failed, errno};
  if (bind_to != nullptr && !bind_local(fd, *bind_to, transparent, false)) return close_failed(fd);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&storage), size) != 0) return close_failed(fd);
  return Socket(reactor, fd);
}

}  // namespace gatehouse::io
