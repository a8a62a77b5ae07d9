#include "proxy/stream/tcp_session.hpp"

#include <algorithm>
#include <cerrno>
#include <optional>

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "certs/error_queue.hpp"
#include "certs/server_connection.hpp"
#include "proxy/config/endpoint.hpp"
#include "proxy/exchange/plain_address.hpp"
#include "proxy/http/proxy_protocol.hpp"
#include "proxy/stream/admit.hpp"
#include "proxy/stream/registry.hpp"
#include "proxy/stream/relay.hpp"
#include "proxy/stream/stream_thread.hpp"
#include "proxy/stream/upstream_choice.hpp"
#include "proxy/stream/variables.hpp"

namespace gatehouse::stream {
namespace {

constexpr int kPassedOn = -1;  // the connection is another listener's now
constexpr int kOk = 200;
constexpr int kBadRequest = 400;
constexpr int kInternalError = 500;
constexpr int kBadGateway = 502;
constexpr std::string_view kConnecting = "connecting to upstream";

LogLevel log_level(certs::TlsLogLevel level) {
  switch (level) {
    case certs::TlsLogLevel::info: return LogLevel::info;
    case certs::TlsLogLevel::error: return LogLevel::error;
    case certs::TlsLogLevel::critical: return LogLevel::crit;
  }
  return LogLevel::error;
}

/// A phase's answer: 0 goes on to the next one, anything else ends the session with that status.
class TcpSession : public Registered {
 public:
  TcpSession(StreamThread& owner, io::Socket socket, std::size_t listener, exchange::ConnectionInfo info)
      : Registered(owner.registry()),
        owner_(owner),
        session_(owner.thread(), owner.generation(), listener, Transport::tcp, std::move(info)),
        client_(std::move(socket)) {}

  io::Task<void> run();
  void cancel() override {
    canceled_ = true;
    client_.cancel();
    upstream_.cancel();
    if (relay_) relay_->cancel();
  }

 private:
  io::Task<int> phases();
  io::Task<int> read_proxy_header();
  io::Task<int> handshake();
  io::Task<int> preread();
  io::Task<int> preread_tls();
  io::Task<int> content();
  io::Task<int> send_text(std::string_view text);
  int pass_on();
  io::Task<int> proxy();
  io::Task<bool> connect(UpstreamChoice& choice);
  io::Task<bool> connect_tls(UpstreamChoice& choice);
  io::Task<bool> send_early();

  void drop_received() noexcept;
  [[nodiscard]] int judge_hello(std::string_view bytes, bool complete);

  StreamThread& owner_;
  Session session_;
  io::Stream client_;
  io::Stream upstream_;
  std::string early_;                ///< bytes for the upstream before any other: a PROXY header, what was read ahead
  std::size_t early_of_client_ = 0;  ///< how many of them the client sent
  std::optional<Relay> relay_;
  bool canceled_ = false;
};

io::Task<void> TcpSession::run() {
  const std::string peer = session_.connection.peer.to_string();
  if (session_.logs(LogLevel::info))
    session_.log_plain(LogLevel::info, fmt::format("client {} connected to {}", peer, session_.listener.address));
  auto running = phases();
  const int status = co_await running;
  if (status == kPassedOn) co_return;  // another listener's session now
  session_.status = status;
  session_.finish();  // while the variables of TLS can be told
  session_.connection.tls = nullptr;
  upstream_.close();
  client_.close();
}

// nginx's phases, in its order.
io::Task<int> TcpSession::phases() {
  const auto& options = session_.listener.listener->options;
  if (!session_.settings().tcp_nodelay && session_.connection.peer.family() != AddressFamily::unix_path) {
    const int off = 0;
    setsockopt(client_.socket().fd(), IPPROTO_TCP, TCP_NODELAY, &off, sizeof off);
  }
  if (options.proxy_protocol) {
    auto reading = read_proxy_header();
    if (const int status = co_await reading; status != 0) co_return status;
  }
  if (const int status = admit(session_); status != 0) co_return status;
  if (options.ssl) {
    auto shaking = handshake();
    if (const int status = co_await shaking; status != 0) co_return status;
  }
  if (session_.stream().ssl_preread) {
    auto reading = client_.ssl() != nullptr ? preread_tls() : preread();
    if (const int status = co_await reading; status != 0) {
      drop_received();
      co_return status;
    }
  }
  auto serving = content();
  co_return co_await serving;
}

// Exactly the header's bytes are taken from the socket: they are looked at first.
io::Task<int> TcpSession::read_proxy_header() {
  static_assert(http::kProxyV2Max <= exchange::ThreadState::kHeadBlock);
  constexpr std::string_view kReading = "reading PROXY protocol";
  io::BufferPool::Block bytes = session_.thread.head_blocks.take();
  const TimePoint deadline = session_.now() + session_.server->server->settings.proxy_protocol_timeout;
  std::size_t seen = 0;
  for (;;) {
    const auto left = std::chrono::duration_cast<Milliseconds>(deadline - session_.now());
    auto waiting = io::wait_readable(client_, std::max(left, Milliseconds{1}));
    const auto ready = co_await waiting;
    if (!ready) {
      if (ready.error().reason == Reason::timed_out)
        session_.log(LogLevel::info, with_errno("client timed out", ETIMEDOUT), kReading);
      co_return kOk;
    }
    const ssize_t got = ::recv(client_.socket().fd(), bytes.data(), bytes.size(), MSG_PEEK | MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) {
      client_.socket().descriptor().readable = false;
      continue;
    }
    if (got < 0) {
      session_.log(LogLevel::info, with_errno("recv() failed", errno), kReading);
      co_return kOk;
    }
    const std::string_view text(bytes.data(), static_cast<std::size_t>(got));
    http::ProxyHeader header;
    const auto parsed = http::parse_proxy_header(text, header);
    const bool ended = got == 0 || (text.size() == seen && client_.socket().descriptor().peer_closed);
    if (parsed == http::ProxyParse::failed || (parsed == http::ProxyParse::incomplete && ended)) {
      session_.log(LogLevel::error, fmt::format("broken header: \"{}\"", text.substr(0, http::kProxyV1Max)), kReading);
      co_return kBadRequest;
    }
    if (parsed == http::ProxyParse::incomplete) {
      seen = text.size();
      client_.socket().descriptor().readable = false;  // more bytes raise another edge
      continue;
    }
    if (::recv(client_.socket().fd(), bytes.data(), header.size, MSG_DONTWAIT) != static_cast<ssize_t>(header.size))
      co_return kInternalError;
    if (header.command == http::ProxyHeader::Command::proxy &&
        header.source.family != http::PlainAddress::Family::none) {
      session_.connection.told = std::make_shared<const exchange::ConnectionInfo::Told>(exchange::ConnectionInfo::Told{
          exchange::address_of(header.source), exchange::address_of(header.destination), std::string(header.tlvs)});
    }
    co_return 0;
  }
}

io::Task<int> TcpSession::handshake() {
  constexpr std::string_view kShaking = "SSL handshaking";
  const Milliseconds timeout = session_.server->server->settings.ssl.handshake_timeout;
  auto waiting = io::wait_readable(client_, timeout);
  const auto ready = co_await waiting;
  if (!ready) {
    if (ready.error().reason == Reason::timed_out)
      session_.log(LogLevel::info, with_errno("client timed out", ETIMEDOUT), kShaking);
    co_return kInternalError;
  }
  auto ssl = certs::new_server_connection(session_.server->tls, session_.listener.sni);
  if (!ssl) {
    session_.log(LogLevel::crit, certs::with_openssl_errors("SSL_new() failed"), kShaking);
    co_return kInternalError;
  }
  client_.start_tls(io::SslPtr(ssl.release()));
  session_.connection.tls = client_.ssl();
  auto shaking = io::Handshake(client_, timeout);
  const auto done = co_await shaking;
  if (!done) {
    session_.thread.metrics.handshakes_failed.add();
    if (done.error().reason == Reason::canceled) co_return kInternalError;
    if (done.error().reason == Reason::timed_out) {
      session_.log(LogLevel::info, with_errno("client timed out", ETIMEDOUT), kShaking);
      co_return kInternalError;
    }
    const bool protocol_error = done.error().os_error == EPROTO;
    const auto failure = certs::judge_tls_failure(certs::TlsSide::downstream, "SSL_do_handshake() failed",
                                                  protocol_error ? SSL_ERROR_SSL : SSL_ERROR_SYSCALL,
                                                  protocol_error ? 0 : done.error().os_error);
    session_.log(log_level(failure.level), failure.text, kShaking);
    co_return kInternalError;
  }
  session_.choose_server(certs::server_name(*client_.ssl()));
  const auto verified = certs::client_verification(*client_.ssl(), certs::selected_context(*client_.ssl()));
  if (verified.verdict != certs::ClientVerdict::accepted) {
    certs::forget_session(*client_.ssl());
    session_.log(LogLevel::info, verified.text, kShaking);
    co_return kInternalError;
  }
  co_return 0;
}

// Bytes that nobody reads would turn the end of the connection into a reset.
void TcpSession::drop_received() noexcept {
  if (client_.ssl() != nullptr) return;
  const io::BufferPool::Block rest = session_.thread.body_blocks.take();
  [[maybe_unused]] const auto got = ::recv(client_.socket().fd(), rest.data(), rest.size(), MSG_DONTWAIT);
}

// -1: more bytes are needed.
int TcpSession::judge_hello(std::string_view bytes, bool complete) {
  const HelloParse parsed = parse_client_hello(bytes, session_.hello);
  session_.hello_read = parsed != HelloParse::not_tls;
  if (parsed == HelloParse::incomplete) {
    if (complete) return kOk;  // the client went away: nothing to be passed on
    if (bytes.size() < session_.stream().preread_buffer_size) return -1;
    session_.log(LogLevel::error, "preread buffer full", "prereading client data");
    return kBadRequest;
  }
  if (parsed == HelloParse::complete) session_.choose_server(session_.hello.server_name);
  return 0;
}

// What is read ahead stays in the socket, for the relay or for another listener.
io::Task<int> TcpSession::preread() {
  const TimePoint deadline = session_.now() + session_.stream().preread_timeout;
  std::string bytes;
  auto& descriptor = client_.socket().descriptor();
  for (;;) {
    const auto left = std::chrono::duration_cast<Milliseconds>(deadline - session_.now());
    if (left.count() <= 0) co_return kOk;
    auto waiting = io::wait_readable(client_, left);
    if (const auto ready = co_await waiting; !ready) co_return kOk;
    const std::size_t before = bytes.size();
    bytes.resize(session_.stream().preread_buffer_size);
    const ssize_t got = ::recv(client_.socket().fd(), bytes.data(), bytes.size(), MSG_PEEK | MSG_DONTWAIT);
    bytes.resize(got > 0 ? static_cast<std::size_t>(got) : before);
    if (got < 0 && errno != EAGAIN && errno != EINTR) co_return kOk;
    if (got >= 0) {
      const bool ended = got == 0 || (bytes.size() == before && descriptor.peer_closed);
      if (const int verdict = judge_hello(bytes, ended); verdict >= 0) co_return verdict;
    }
    descriptor.readable = false;  // more bytes raise another edge
  }
}

io::Task<int> TcpSession::preread_tls() {
  const TimePoint deadline = session_.now() + session_.stream().preread_timeout;
  io::BufferPool::Block block = session_.thread.body_blocks.take();
  for (;;) {
    const auto left = std::chrono::duration_cast<Milliseconds>(deadline - session_.now());
    if (left.count() <= 0) co_return kOk;
    const std::size_t room = session_.stream().preread_buffer_size - early_.size();
    auto receive = io::Receive(client_, {block.data(), std::min(block.size(), room)}, left);
    const auto got = co_await receive;
    if (!got || *got == 0) co_return kOk;
    early_.append(block.data(), *got);
    early_of_client_ = early_.size();
    if (const int verdict = judge_hello(early_, false); verdict >= 0) co_return verdict;
  }
}

io::Task<int> TcpSession::content() {
  const auto& root = session_.server->server->root;
  if (root.proxy_pass) {
    auto proxying = proxy();
    co_return co_await proxying;
  }
  if (session_.stream().pass) co_return pass_on();
  auto sending = send_text(evaluate(*session_.stream().return_text, session_));
  co_return co_await sending;
}

io::Task<int> TcpSession::send_text(std::string_view text) {
  iovec part{const_cast<char*>(text.data()), text.size()};
  auto operation = io::Send(client_, {&part, 1}, session_.settings().send_timeout);
  const auto sent = co_await operation;
  session_.sent = operation.sent;
  if (!sent && sent.error().reason == Reason::io_failed)
    session_.log(LogLevel::info, with_errno("send() failed", sent.error().os_error), "returning text");
  co_return kOk;
}

int TcpSession::pass_on() {
  const std::string_view text = evaluate(*session_.stream().pass, session_);
  const auto address = SocketAddress::parse(text);
  if (!address) {
    session_.log(LogLevel::error, fmt::format("invalid address \"{}\" of the \"pass\" directive", text));
    return kInternalError;
  }
  if (client_.ssl() != nullptr) {
    session_.log(LogLevel::error, "a connection whose TLS ends here can't be passed to another listener");
    return kInternalError;
  }
  if (++session_.connection.passes > exchange::ConnectionInfo::kMostPasses) {
    session_.log(LogLevel::error, "cycle while passing connections");
    return kInternalError;
  }
  if (!owner_.knows_listener(*address)) {
    session_.log(LogLevel::error, fmt::format("port not found for \"{}\"", text));
    return kInternalError;
  }
  auto info = session_.connection;
  owner_.hand_over(*address, std::move(client_.socket()), std::move(info));
  return kPassedOn;
}

io::Task<int> TcpSession::proxy() {
  UpstreamChoice choice(session_);
  auto finding = choice.find();
  if (const int status = co_await finding; status != 0) co_return status;
  for (;;) {
    if (canceled_) co_return kOk;
    if (!choice.pick()) co_return kBadGateway;
    auto connecting = connect(choice);
    if (const bool connected = co_await connecting; connected) break;
    upstream_.close();
    if (canceled_) co_return kOk;
    if (!choice.next()) co_return kBadGateway;
  }
  auto sending = send_early();
  if (const bool sent = co_await sending; sent && !canceled_) {
    relay_.emplace(session_, client_, upstream_);
    auto relaying = relay_->run();
    co_await relaying;
    relay_.reset();
  }
  choice.end(false);
  co_return kOk;
}

// True when the peer can be written to. A failure was logged.
io::Task<bool> TcpSession::connect(UpstreamChoice& choice) {
  const auto& settings = session_.settings();
  const auto local = choice.local_address();
  const SocketAddress& address = choice.peer().spec.address;
  auto started = io::start_connect(session_.thread.reactor, address, local ? &*local : nullptr,
                                   session_.stream().proxy_bind_transparent);
  if (!started) {
    session_.log(LogLevel::error, with_errno("connect() failed", started.error().os_error), kConnecting);
    co_return false;
  }
  upstream_ = io::Stream(std::move(started->socket));
  const int fd = upstream_.socket().fd();
  if (settings.proxy_socket_keepalive) {
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  }
  if (started->in_progress) {
    auto waiting = io::WaitConnected(upstream_.socket(), settings.proxy_connect_timeout);
    const auto connected = co_await waiting;
    if (!connected) {
      const Error error = connected.error();
      if (error.reason == Reason::canceled) co_return false;
      session_.log(LogLevel::error,
                   error.reason == Reason::timed_out ? with_errno("upstream timed out", ETIMEDOUT)
                                                     : with_errno("connect() failed", error.os_error),
                   kConnecting);
      co_return false;
    }
  }
  if (!settings.tcp_nodelay && address.family() != AddressFamily::unix_path) {
    const int off = 0;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &off, sizeof off);
  }
  if (session_.stream().proxy_protocol) {
    std::string header;
    http::append_proxy_v1(exchange::plain_address(session_.client), exchange::plain_address(session_.connection.local),
                          header);
    iovec part{header.data(), header.size()};
    auto sending = io::Send(upstream_, {&part, 1}, session_.stream().proxy_timeout);
    const auto sent = co_await sending;
    session_.tries.back().bytes_sent += sending.sent;
    if (!sent) {
      session_.log(LogLevel::error, with_errno("send() failed", sent.error().os_error),
                   "sending PROXY protocol header to upstream");
      co_return false;
    }
  }
  if (session_.server->client_tls) {
    auto shaking = connect_tls(choice);
    if (const bool done = co_await shaking; !done) co_return false;
  }
  choice.on_connected();
  if (session_.logs(LogLevel::info)) {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    std::string from;
    if (getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) == 0) {
      from = SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&storage), size)
                 .value_or(SocketAddress{})
                 .to_string();
    }
    session_.log_plain(LogLevel::info, fmt::format("proxy {} connected to {}", from, choice.peer().address_text));
  }
  co_return true;
}

io::Task<bool> TcpSession::connect_tls(UpstreamChoice& choice) {
  constexpr std::string_view kShaking = "SSL handshaking to upstream";
  const auto& settings = session_.settings();
  const std::string_view name =
      settings.proxy_ssl->name ? evaluate(*settings.proxy_ssl->name, session_) : choice.host();
  auto ssl =
      session_.server->client_tls->new_connection(name, choice.peer().address_text, &session_.thread.client_sessions);
  if (!ssl) {
    session_.log(LogLevel::error, certs::with_openssl_errors("SSL_new() failed"), kShaking);
    co_return false;
  }
  upstream_.start_tls(io::SslPtr(ssl.release()));
  auto shaking = io::Handshake(upstream_, settings.proxy_connect_timeout);
  const auto done = co_await shaking;
  if (done) co_return true;
  if (done.error().reason == Reason::canceled) co_return false;
  if (done.error().reason == Reason::timed_out) {
    session_.log(LogLevel::error, with_errno("upstream timed out", ETIMEDOUT), kShaking);
    co_return false;
  }
  const std::string refused = certs::upstream_verification_failure(*upstream_.ssl());
  const std::string errors = certs::drain_openssl_errors();
  if (!refused.empty()) {
    session_.log(LogLevel::error, refused, kShaking);
  } else if (done.error().reason == Reason::end_of_stream) {
    session_.log(LogLevel::error, "peer closed connection in SSL handshake", kShaking);
  } else {
    session_.log(LogLevel::error, fmt::format("SSL_do_handshake() failed{}{}", errors.empty() ? "" : " ", errors),
                 kShaking);
  }
  co_return false;
}

io::Task<bool> TcpSession::send_early() {
  if (early_.empty()) co_return true;
  session_.received += early_of_client_;
  iovec part{early_.data(), early_.size()};
  auto sending = io::Send(upstream_, {&part, 1}, session_.stream().proxy_timeout);
  const auto sent = co_await sending;
  session_.tries.back().bytes_sent += sending.sent;
  if (!sent)
    session_.log(LogLevel::error, with_errno("send() failed", sent.error().os_error),
                 "proxying and sending to upstream");
  early_ = {};
  co_return sent.has_value();
}

}  // namespace

io::Task<void> serve_connection(StreamThread& owner, io::Socket socket, std::size_t listener,
                                exchange::ConnectionInfo info) {
  const auto session = std::make_unique<TcpSession>(owner, std::move(socket), listener, std::move(info));
  auto running = session->run();
  co_await running;
}

}  // namespace gatehouse::stream
