// Two connected streams on one reactor: a unix socket pair, TCP over loopback, or TLS on that.
#pragma once

#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/io/child.hpp"
#include "proxy/io/stream.hpp"
#include "tests/support/loop.hpp"

namespace gatehouse::io {

inline void require(bool fine, const char* what) {
  if (!fine) throw std::runtime_error(what);
}

/// A listening TCP socket on loopback.
class Acceptor {
 public:
  Acceptor() {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    require(::bind(fd_, reinterpret_cast<sockaddr*>(&address), size) == 0, "bind");
    require(::listen(fd_, 8) == 0, "listen");
    require(::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) == 0, "getsockname");
    address_ = SocketAddress::ipv4({127, 0, 0, 1}, ntohs(address.sin_port));
  }
  ~Acceptor() { ::close(fd_); }
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  [[nodiscard]] const SocketAddress& address() const noexcept { return address_; }
  [[nodiscard]] int accept() const {
    const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    require(fd >= 0, "accept");
    return fd;
  }

 private:
  int fd_ = -1;
  SocketAddress address_;
};

struct Pair {
  Stream client, server;
};

/// Fixes both socket buffers, so that how much a peer takes unread does not depend on the kernel's tuning of them
/// (tcp(7), tcp_rmem: up to tens of MiB).
inline int with_fixed_buffers(int fd) {
  const int bytes = 256 * 1024;
  require(::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes) == 0, "SO_SNDBUF");
  require(::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes) == 0, "SO_RCVBUF");
  return fd;
}

inline Pair unix_pair(Reactor& reactor) {
  std::array<int, 2> fds{};
  require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds.data()) == 0, "socketpair");
  return {Stream(Socket(reactor, with_fixed_buffers(fds[0]))), Stream(Socket(reactor, with_fixed_buffers(fds[1])))};
}

inline Pair tcp_pair(Reactor& reactor) {
  const Acceptor acceptor;
  auto connecting = start_connect(reactor, acceptor.address(), nullptr);
  require(connecting.has_value(), "connect");
  with_fixed_buffers(connecting->socket.fd());
  return {Stream(std::move(connecting->socket)), Stream(Socket(reactor, with_fixed_buffers(acceptor.accept())))};
}

/// A TLS server's and a client's configuration around one self-signed key.
class TlsContexts {
 public:
  TlsContexts() : server_(SSL_CTX_new(TLS_server_method())), client_(SSL_CTX_new(TLS_client_method())) {
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* certificate = X509_new();
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    X509_set_pubkey(certificate, key);
    const bool signed_ = X509_sign(certificate, key, EVP_sha256()) != 0;
    const bool used =
        SSL_CTX_use_certificate(server_.get(), certificate) == 1 && SSL_CTX_use_PrivateKey(server_.get(), key) == 1;
    X509_free(certificate);
    EVP_PKEY_free(key);
    require(signed_ && used, "self-signed certificate");
  }
  void limit_version(int version) const {
    SSL_CTX_set_max_proto_version(server_.get(), version);
    SSL_CTX_set_max_proto_version(client_.get(), version);
  }
  [[nodiscard]] SslPtr server() const {
    SslPtr ssl(SSL_new(server_.get()));
    SSL_set_accept_state(ssl.get());
    return ssl;
  }
  [[nodiscard]] SslPtr client() const {
    SslPtr ssl(SSL_new(client_.get()));
    SSL_set_connect_state(ssl.get());
    return ssl;
  }

 private:
  struct Free {
    void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
  };
  std::unique_ptr<SSL_CTX, Free> server_, client_;
};

inline Task<Result<void>> shake_hands(Stream& stream, Milliseconds timeout = std::chrono::seconds(10)) {
  Handshake handshake(stream, timeout);
  const Result<void> outcome = co_await handshake;
  co_return outcome;
}

/// Puts TLS on both ends of the pair.
inline Task<void> start_tls(Pair& pair, const TlsContexts& tls) {
  pair.client.start_tls(tls.client());
  pair.server.start_tls(tls.server());
  Child<Result<void>> server(shake_hands(pair.server));
  auto client = shake_hands(pair.client);
  const Result<void> client_outcome = co_await client;
  auto join = server.join();
  const Result<void> server_outcome = co_await join;
  require(client_outcome.has_value() && server_outcome.has_value(), "handshake");
}

inline Task<Result<std::size_t>> send_text(Stream& stream, std::string_view text,
                                           Milliseconds timeout = std::chrono::seconds(10)) {
  iovec part{const_cast<char*>(text.data()), text.size()};
  Send send(stream, {&part, 1}, timeout);
  const Result<std::size_t> outcome = co_await send;
  co_return outcome;
}

inline Task<Result<std::string>> receive_some(Stream& stream, std::size_t most,
                                              Milliseconds timeout = std::chrono::seconds(10)) {
  std::string text(most, '\0');
  Receive receive(stream, text, timeout);
  const Result<std::size_t> outcome = co_await receive;
  if (!outcome) co_return outcome.error();
  text.resize(*outcome);
  co_return text;
}

/// Receives `size` bytes in steps of at most `step`; fewer when the stream ends.
inline Task<Result<std::string>> receive_exactly(Stream& stream, std::size_t size, std::size_t step) {
  std::string all;
  while (all.size() < size) {
    auto receiving = receive_some(stream, std::min(step, size - all.size()));
    const Result<std::string> some = co_await receiving;
    if (!some) co_return some.error();
    if (some->empty()) break;
    all += *some;
  }
  co_return all;
}

inline std::string pattern(std::size_t size, unsigned seed) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) {
    seed = seed * 1664525 + 1013904223;
    text[i] = static_cast<char>(seed >> 24);
  }
  return text;
}

}  // namespace gatehouse::io
