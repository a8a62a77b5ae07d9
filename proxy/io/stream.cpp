#include "proxy/io/stream.hpp"

#include <cerrno>
#include <cstring>
#include <new>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <sys/socket.h>

namespace gatehouse::io {
namespace {

constexpr std::size_t kRecord = 16384;

// A BIO on a Descriptor: it knows from the edges when a read would block, so that TLS needs no more system calls than
// plain TCP.
int bio_read(BIO* bio, char* into, int size) {
  auto* descriptor = static_cast<Descriptor*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (!descriptor->readable) {
    BIO_set_retry_read(bio);
    return -1;
  }
  for (;;) {
    const ssize_t n = ::recv(descriptor->fd(), into, static_cast<std::size_t>(size), 0);
    if (n >= 0) {
      if (n < size && !descriptor->peer_closed) descriptor->readable = false;
      if (n == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
      return static_cast<int>(n);
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      descriptor->readable = false;
      BIO_set_retry_read(bio);
    }
    return -1;
  }
}

int bio_write(BIO* bio, const char* from, int size) {
  auto* descriptor = static_cast<Descriptor*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  for (;;) {
    const ssize_t n = ::send(descriptor->fd(), from, static_cast<std::size_t>(size), MSG_NOSIGNAL);
    if (n >= 0) return static_cast<int>(n);
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      descriptor->writable = false;
      BIO_set_retry_write(bio);
    }
    return -1;
  }
}

long bio_control(BIO* bio, int command, long, void*) {
  switch (command) {
    case BIO_CTRL_FLUSH: return 1;
    case BIO_CTRL_EOF: return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
    default: return 0;
  }
}

BIO_METHOD* bio_method() {
  // One immutable table for the process, as OpenSSL's own methods are.
  static BIO_METHOD* const method = [] {
    BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "gatehouse descriptor");
    if (m == nullptr) throw std::bad_alloc();
    BIO_meth_set_read(m, bio_read);
    BIO_meth_set_write(m, bio_write);
    BIO_meth_set_ctrl(m, bio_control);
    BIO_meth_set_create(m, [](BIO* bio) {
      BIO_set_init(bio, 1);
      return 1;
    });
    return m;
  }();
  return method;
}

}  // namespace

void Stream::start_tls(SslPtr ssl) {
  BIO* bio = BIO_new(bio_method());
  if (bio == nullptr) throw std::bad_alloc();
  BIO_set_data(bio, &socket_.descriptor());
  SSL_set_bio(ssl.get(), bio, bio);
  SSL_set_mode(ssl.get(),
               SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_set_read_ahead(ssl.get(), 1);
  ssl_ = std::move(ssl);
  early_ = {};
  if (SSL_is_server(ssl_.get()) != 0 && SSL_get_max_early_data(ssl_.get()) != 0) {
    early_.state = EarlyData::State::possible;
  }
}

void Stream::close() noexcept {
  if (ssl_ && socket_.is_open() && SSL_is_init_finished(ssl_.get()) != 0) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
  }
  ssl_ = nullptr;
  socket_.close();
}

template <class Derived>
bool StreamOperation<Derived>::settle_tls(int outcome, bool& end_of_stream) {
  SSL* ssl = stream.ssl();
  switch (SSL_get_error(ssl, outcome)) {
    case SSL_ERROR_WANT_READ: return false;
    case SSL_ERROR_WANT_WRITE:
      if (this->waiter) this->socket.descriptor().wait_write(*this, static_cast<Derived*>(this)->deadline());
      return false;
    case SSL_ERROR_ZERO_RETURN: end_of_stream = true; return true;
    case SSL_ERROR_SYSCALL:
      if (errno == 0 || BIO_eof(SSL_get_rbio(ssl)) != 0) {
        end_of_stream = true;
        return true;
      }
      this->error = {Reason::io_failed, errno};
      return true;
    default:
      if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        end_of_stream = true;
        return true;
      }
      this->error = {Reason::io_failed, EPROTO};
      return true;
  }
}

bool Receive::try_once() {
  if (stream.ssl() != nullptr) return try_tls();
  Descriptor& descriptor = socket.descriptor();
  for (;;) {
    const ssize_t n = ::recv(socket.fd(), into.data(), into.size(), 0);
    if (n >= 0) {
      received = static_cast<std::size_t>(n);
      // A short read has drained the socket: the next bytes raise a new edge. A closed peer raises none.
      if (received < into.size() && !descriptor.peer_closed) descriptor.readable = false;
      return true;
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      descriptor.readable = false;
      return false;
    }
    error = {Reason::io_failed, errno};
    return true;
  }
}

bool Receive::try_tls() {
  if (stream.early_.state == Stream::EarlyData::State::arriving && try_early_data()) return true;
  if (stream.early_.state == Stream::EarlyData::State::arriving) return false;
  ERR_clear_error();
  errno = 0;
  const int n = SSL_read(stream.ssl(), into.data(), static_cast<int>(std::min<std::size_t>(into.size(), 1u << 30)));
  if (n > 0) {
    received = static_cast<std::size_t>(n);
    return true;
  }
  bool end_of_stream = false;
  return settle_tls(n, end_of_stream);
}

// True when the operation is over. Otherwise there is nothing to read yet, or early data has ended and `arriving` is over.
bool Receive::try_early_data() {
  auto& early = stream.early_;
  if (early.first) {
    if (into.empty()) return true;
    into[0] = *early.first;
    early.first.reset();
    received = 1;
    if (into.size() == 1) return true;
  }
  ERR_clear_error();
  errno = 0;
  std::size_t more = 0;
  switch (SSL_read_early_data(stream.ssl(), into.data() + received, into.size() - received, &more)) {
    case SSL_READ_EARLY_DATA_SUCCESS: received += more; return received != 0;
    case SSL_READ_EARLY_DATA_FINISH:
      received += more;
      early.state = Stream::EarlyData::State::none;
      return received != 0;
    default: break;
  }
  if (received != 0) return true;  // a failure is told again by the next read
  bool end_of_stream = false;
  return settle_tls(0, end_of_stream);
}

void Send::consume(std::size_t count) {
  sent += count;
  while (count > 0) {
    iovec& part = parts.front();
    const std::size_t step = std::min(count, part.iov_len);
    part.iov_base = static_cast<char*>(part.iov_base) + step;
    part.iov_len -= step;
    count -= step;
    if (part.iov_len == 0) parts = parts.subspan(1);
  }
  // Progress restarts the timeout of an operation that waits already.
  if (waiter) socket.descriptor().extend_write(deadline());
}

Milliseconds SendPace::left(Milliseconds more_waited, std::uint64_t more_sent) const noexcept {
  constexpr Milliseconds kGrace{5000};
  constexpr Milliseconds kForever{std::chrono::hours(24)};
  if (least == 0) return kForever;
  const std::uint64_t earned = (sent + more_sent) * 1000 / least;
  const Milliseconds allowed{
      static_cast<Milliseconds::rep>(std::min(earned, static_cast<std::uint64_t>(kForever.count())))};
  return std::max(kGrace, allowed) - waited - more_waited;
}

bool SendPace::too_slow(Milliseconds more_waited, std::uint64_t more_sent) const noexcept {
  return left(more_waited, more_sent) < Milliseconds{0};
}

TimePoint Send::deadline() const noexcept {
  const TimePoint by_timeout = SocketOperation::deadline();
  if (pace == nullptr || pace->least == 0) return by_timeout;
  const Milliseconds left = std::max(pace->left(waited(), sent), Milliseconds{0});
  return std::min(by_timeout, socket.reactor().now() + left);
}

Milliseconds Send::waited() const noexcept {
  if (waiting_since == TimePoint{}) return Milliseconds{0};
  return std::chrono::duration_cast<Milliseconds>(socket.reactor().now() - waiting_since);
}

bool Send::try_once() {
  for (;;) {
    while (!parts.empty() && parts.front().iov_len == 0) parts = parts.subspan(1);
    if (parts.empty()) return true;
    if (pace != nullptr && pace->least != 0 && pace->too_slow(waited(), sent)) {
      error = {Reason::body_too_slow};
      return true;
    }
    const bool over = stream.ssl() != nullptr ? try_tls() : try_plain();
    if (over) return true;
    if (!socket.descriptor().writable) return false;
  }
}

// One write; true when the operation has failed, false otherwise: then `writable` tells whether to go on.
bool Send::try_plain() {
  ssize_t n = 0;
  if (parts.size() == 1) {
    n = ::send(socket.fd(), parts.front().iov_base, parts.front().iov_len, MSG_NOSIGNAL);
  } else {
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = std::min<std::size_t>(parts.size(), 64);
    n = ::sendmsg(socket.fd(), &message, MSG_NOSIGNAL);
  }
  if (n >= 0) {
    consume(static_cast<std::size_t>(n));
    return false;
  }
  if (errno == EINTR) return false;
  if (errno == EAGAIN || errno == EWOULDBLOCK) {
    socket.descriptor().writable = false;
    return false;
  }
  error = {Reason::io_failed, errno};
  return true;
}

bool Send::try_tls() {
  const void* from = parts.front().iov_base;
  std::size_t size = parts.front().iov_len;
  // Not recycled between calls: a retry after WANT_WRITE gathers the same bytes again, as OpenSSL requires.
  thread_local char record[kRecord];
  if (parts.size() > 1 && size < kRecord) {
    size = 0;
    for (const iovec& part : parts) {
      const std::size_t step = std::min(part.iov_len, kRecord - size);
      if (step != 0) std::memcpy(record + size, part.iov_base, step);  // an empty part may have no address
      size += step;
      if (size == kRecord) break;
    }
    from = record;
  }
  ERR_clear_error();
  errno = 0;
  size = std::min<std::size_t>(size, 1u << 30);
  std::size_t written = 0;
  // Until the client has finished the handshake its early data is answered in a state of its own.
  const int n = stream.early_.state == Stream::EarlyData::State::arriving
                    ? SSL_write_early_data(stream.ssl(), from, size, &written)
                    : SSL_write_ex(stream.ssl(), from, size, &written);
  if (n > 0) {
    consume(written);
    return false;
  }
  bool end_of_stream = false;
  const bool over = settle_tls(n, end_of_stream);
  if (end_of_stream) error = {Reason::io_failed, EPIPE};
  if (!over) socket.descriptor().writable = false;
  return over;
}

bool Handshake::try_once() {
  using EarlyState = Stream::EarlyData::State;
  ERR_clear_error();
  errno = 0;
  auto& early = stream.early_;
  if (early.state == EarlyState::possible) {
    char first = 0;
    std::size_t size = 0;
    const int read = SSL_read_early_data(stream.ssl(), &first, 1, &size);
    if (read == SSL_READ_EARLY_DATA_ERROR) return settle(0);
    early.state = read == SSL_READ_EARLY_DATA_SUCCESS ? EarlyState::arriving : EarlyState::none;
    if (size == 1) early.first = first;
    if (read == SSL_READ_EARLY_DATA_SUCCESS) return true;
  }
  const int outcome = SSL_do_handshake(stream.ssl());
  return outcome == 1 || settle(outcome);
}

bool Handshake::settle(int outcome) {
  bool end_of_stream = false;
  const bool over = settle_tls(outcome, end_of_stream);
  if (end_of_stream) error = {Reason::end_of_stream};
  return over;
}

}  // namespace gatehouse::io
