// A non-blocking stream socket and its awaitable operations.
#pragma once

#include <coroutine>
#include <memory>
#include <utility>

#include "proxy/base/address.hpp"
#include "proxy/base/error.hpp"
#include "proxy/io/reactor.hpp"

namespace gatehouse::io {

/// Owns a connected (or connecting) stream socket on one reactor. Movable while no operation waits.
class Socket {
 public:
  Socket() = default;
  /// Takes the non-blocking descriptor `fd`. Throws std::system_error when epoll refuses it.
  Socket(Reactor& reactor, int fd, Registration registration = Registration::at_once);
  ~Socket() { close(); }
  Socket(Socket&& other) noexcept : descriptor_(std::move(other.descriptor_)), fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept;

  [[nodiscard]] bool is_open() const noexcept { return fd_ >= 0; }
  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] Descriptor& descriptor() const noexcept { return *descriptor_; }
  [[nodiscard]] Reactor& reactor() const noexcept { return descriptor_->reactor(); }

  void close() noexcept;
  /// Half-close: sends FIN.
  void shutdown_write() noexcept;
  /// close() will send RST instead of FIN and drop what is queued.
  void set_reset_on_close() noexcept;
  /// Ends waiting operations with Reason::canceled.
  void cancel() {
    if (descriptor_) descriptor_->cancel();
  }

  /// False when an event since the last drain says that an idle connection has something to read or was closed. Free of
  /// system calls; an event that the kernel has not delivered yet is not seen.
  [[nodiscard]] bool looks_quiet() const noexcept {
    return fd_ >= 0 && !descriptor_->peer_closed && !descriptor_->readable;
  }
  /// The same by asking the kernel: one system call.
  [[nodiscard]] bool is_quiet() const noexcept;

 private:
  std::unique_ptr<Descriptor> descriptor_;
  int fd_ = -1;
};

/// What every socket operation shares: it is tried at once, waits in the descriptor if it would block, and tells how it
/// ended.
template <class Derived>
struct SocketOperation : Operation {
  SocketOperation(Socket& socket_, Milliseconds timeout_) noexcept
      : Operation([](Operation& self) { return static_cast<Derived&>(self).try_once(); }),
        socket(socket_),
        timeout(timeout_) {}

  bool await_ready() { return static_cast<Derived*>(this)->try_now(); }
  [[nodiscard]] TimePoint deadline() const {
    return timeout == Milliseconds::max() ? TimePoint::max() : socket.reactor().now() + timeout;
  }
  [[nodiscard]] Error failure() const noexcept {
    if (expired) return {Reason::timed_out};
    if (canceled) return {Reason::canceled};
    return error;
  }

  Socket& socket;
  Milliseconds timeout;  ///< max() waits forever
  Error error;
};

/// Waits until the socket can be read (an edge was seen) without reading.
struct WaitReadable : SocketOperation<WaitReadable> {
  WaitReadable(Socket& socket_, Milliseconds timeout_) noexcept : SocketOperation(socket_, timeout_) {}
  bool try_once() { return true; }
  bool try_now() const { return socket.descriptor().ask_readable(); }
  void await_suspend(std::coroutine_handle<> coroutine) {
    waiter = coroutine;
    socket.descriptor().wait_read(*this, deadline());
  }
  Result<void> await_resume() const {
    if (const Error e = failure(); e.reason != Reason::none) return e;
    return {};
  }
};

/// Waits until a connect() in progress ends.
struct WaitConnected : SocketOperation<WaitConnected> {
  WaitConnected(Socket& socket_, Milliseconds timeout_) noexcept : SocketOperation(socket_, timeout_) {}
  bool try_once();
  bool try_now() { return false; }
  void await_suspend(std::coroutine_handle<> coroutine) {
    waiter = coroutine;
    socket.descriptor().wait_write(*this, deadline());
  }
  Result<void> await_resume() const {
    if (const Error e = failure(); e.reason != Reason::none) return e;
    return {};
  }
};

/// Starts a connection to `address`; `in_progress` tells whether WaitConnected is needed. Fails with connect_failed and
/// errno.
struct Connecting {
  Socket socket;
  bool in_progress = false;
};
/// `transparent`: `bind_to` need not be an address of this machine (IP_TRANSPARENT, which takes a capability).
[[nodiscard]] Result<Connecting> start_connect(Reactor& reactor, const SocketAddress& address,
                                               const SocketAddress* bind_to, bool transparent = false);

/// A datagram socket whose only peer is `address`.
[[nodiscard]] Result<Socket> connect_datagrams(Reactor& reactor, const SocketAddress& address,
                                               const SocketAddress* bind_to, bool transparent = false);

}  // namespace gatehouse::io
