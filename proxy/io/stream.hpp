// A byte stream to a peer: plain TCP, a unix socket, or TLS directly on the socket. Its users do not know which.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include <openssl/ssl.h>
#include <sys/uio.h>

#include "proxy/base/error.hpp"
#include "proxy/io/socket.hpp"

namespace gatehouse::io {

struct SslDeleter {
  /// A session stays resumable although no close_notify was exchanged, as clients that just close leave it.
  void operator()(SSL* ssl) const noexcept {
    SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(ssl);
  }
};
using SslPtr = std::unique_ptr<SSL, SslDeleter>;

/// Owns the socket and, after a start_tls(), the TLS state on it. Movable while no operation waits.
class Stream {
 public:
  Stream() = default;
  explicit Stream(Socket socket) noexcept : socket_(std::move(socket)) {}
  Stream(Stream&&) noexcept = default;
  Stream& operator=(Stream&& other) noexcept {
    ssl_ = nullptr;  // before the socket that its BIO refers to
    socket_ = std::move(other.socket_);
    ssl_ = std::move(other.ssl_);
    early_ = other.early_;
    return *this;
  }

  [[nodiscard]] bool is_open() const noexcept { return socket_.is_open(); }
  [[nodiscard]] Socket& socket() noexcept { return socket_; }
  [[nodiscard]] const Socket& socket() const noexcept { return socket_; }
  [[nodiscard]] SSL* ssl() const noexcept { return ssl_.get(); }

  /// Puts TLS on the socket; the role (accept or connect state) is set on `ssl` by the caller. A Handshake must follow.
  /// Where a server's `ssl` accepts early data (RFC 8446 section 2.3), the Handshake ends when the first of it is here, and Receive
  /// and Send finish the handshake on their way.
  void start_tls(SslPtr ssl);

  /// Bytes that were received but not read yet are waiting inside the TLS layer.
  [[nodiscard]] bool has_buffered() const noexcept {
    return ssl_ && (early_.first || SSL_has_pending(ssl_.get()) == 1);
  }

  /// Sends TLS's close_notify if that needs no waiting, then closes.
  void close() noexcept;

  /// Ends waiting operations with Reason::canceled.
  void cancel() { socket_.cancel(); }

 private:
  friend struct Receive;
  friend struct Send;
  friend struct Handshake;
  /// OpenSSL tells of early data only by giving some of it out, so the handshake holds its first byte.
  struct EarlyData {
    enum class State : std::uint8_t { none, possible, arriving };
    State state = State::none;
    std::optional<char> first;
  };
  Socket socket_;
  SslPtr ssl_;
  EarlyData early_;
};

/// What the operations of a stream share.
template <class Derived>
struct StreamOperation : SocketOperation<Derived> {
  StreamOperation(Stream& stream_, Milliseconds timeout_) noexcept
      : SocketOperation<Derived>(stream_.socket(), timeout_), stream(stream_) {}
  Stream& stream;

 protected:
  /// Reads what SSL_get_error says of `outcome`: true when the operation is over.
  bool settle_tls(int outcome, bool& end_of_stream);
};

/// Receives at least one byte; 0 is the end of the stream. Fails with timed_out, canceled or io_failed.
struct Receive : StreamOperation<Receive> {
  Receive(Stream& stream_, std::span<char> into_, Milliseconds timeout_) noexcept
      : StreamOperation(stream_, timeout_), into(into_) {}
  bool try_once();
  bool try_now() { return (socket.descriptor().readable || stream.has_buffered()) && try_once(); }
  void await_suspend(std::coroutine_handle<> coroutine) {
    waiter = coroutine;
    socket.descriptor().wait_read(*this, deadline());
  }
  Result<std::size_t> await_resume() const {
    if (const Error e = failure(); e.reason != Reason::none) return e;
    return received;
  }
  std::span<char> into;
  std::size_t received = 0;

 private:
  bool try_tls();
  bool try_early_data();
};

/// How fast a peer takes what it is sent, over several sends: a rate that each of them alone would be too short to judge.
struct SendPace {
  ByteCount least = 0;     ///< bytes per second; 0: no minimum
  Milliseconds waited{0};  ///< for the peer, in all sends so far
  std::uint64_t sent = 0;  ///< bytes, in all sends so far

  [[nodiscard]] bool too_slow(Milliseconds more_waited, std::uint64_t more_sent) const noexcept;
  /// How long the peer may yet be waited for when it takes nothing more.
  [[nodiscard]] Milliseconds left(Milliseconds more_waited, std::uint64_t more_sent) const noexcept;
};

/// Sends everything; `timeout` is between two successful writes, as nginx's send_timeout. The vectors are consumed in
/// place; under TLS small parts are gathered into full records.
struct Send : StreamOperation<Send> {
  /// A peer that is slower than `pace_` allows, judged once it was waited for 5 s in all, fails the operation with
  /// body_too_slow. The pace is borrowed, and brought up to date at the end; null: none is asked for.
  Send(Stream& stream_, std::span<iovec> parts_, Milliseconds timeout_, SendPace* pace_ = nullptr) noexcept
      : StreamOperation(stream_, timeout_), parts(parts_), pace(pace_) {}
  /// The kernel tells of room only when a third of its buffer is free: a slow peer is not waited for until then.
  [[nodiscard]] TimePoint deadline() const noexcept;
  bool try_once();
  bool try_now() { return try_once(); }
  void await_suspend(std::coroutine_handle<> coroutine) {
    waiter = coroutine;
    waiting_since = socket.reactor().now();
    socket.descriptor().wait_write(*this, deadline());
  }
  Result<std::size_t> await_resume() const {
    if (pace != nullptr) {
      pace->waited += waited();
      pace->sent += sent;
    }
    if (const Error e = failure(); e.reason != Reason::none) return e;
    return sent;
  }
  std::span<iovec> parts;
  std::size_t sent = 0;
  SendPace* pace;
  TimePoint waiting_since{};  ///< the beginning of the clock: it did not wait

 private:
  [[nodiscard]] Milliseconds waited() const noexcept;
  void consume(std::size_t count);
  bool try_plain();
  bool try_tls();
};

/// Runs the TLS handshake to its end; `timeout` is for the whole of it.
struct Handshake : StreamOperation<Handshake> {
  Handshake(Stream& stream_, Milliseconds timeout_) noexcept
      : StreamOperation(stream_, timeout_), until(SocketOperation::deadline()) {}
  [[nodiscard]] TimePoint deadline() const noexcept { return until; }
  bool try_once();
  bool try_now() { return try_once(); }
  void await_suspend(std::coroutine_handle<> coroutine) {
    waiter = coroutine;
    socket.descriptor().wait_read(*this, deadline());
    if (SSL_want_write(stream.ssl()) != 0) socket.descriptor().wait_write(*this, deadline());
  }
  /// On failure the OpenSSL error queue of this thread holds the details until the next TLS operation.
  Result<void> await_resume() const {
    if (const Error e = failure(); e.reason != Reason::none) return e;
    return {};
  }
  TimePoint until;

 private:
  bool settle(int outcome);
};

/// Waits until something can be read, without holding a buffer: an idle connection costs no memory for one.
[[nodiscard]] inline WaitReadable wait_readable(Stream& stream, Milliseconds timeout) noexcept {
  return WaitReadable(stream.socket(), timeout);
}

}  // namespace gatehouse::io
