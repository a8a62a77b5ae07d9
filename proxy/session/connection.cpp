#include "proxy/session/connection.hpp"

#include <chrono>
#include <utility>

#include <sys/socket.h>

#include "certs/client_revocation.hpp"
#include "certs/error_queue.hpp"
#include "certs/server_connection.hpp"
#include "proxy/exchange/filters/real_address.hpp"
#include "proxy/exchange/generation.hpp"
#include "proxy/exchange/plain_address.hpp"
#include "proxy/http/local_reply.hpp"
#include "proxy/http/proxy_protocol.hpp"
#include "proxy/io/worker_pool.hpp"
#include "proxy/session/h1_session.hpp"

namespace gatehouse::session {

// ---- the registry ----

ConnectionEntry::ConnectionEntry(ConnectionRegistry& registry, io::Stream& stream) noexcept
    : registry_(registry), stream_(stream) {
  registry_.link(registry_.active_, *this);
  registry_.open_.add();
}

ConnectionEntry::~ConnectionEntry() {
  registry_.unlink(idle_ ? registry_.idle_ : registry_.active_, *this);
  if (idle_) registry_.idle_count_.subtract();
  registry_.open_.subtract();
}

void ConnectionEntry::set_idle(bool idle) noexcept {
  if (idle == idle_) return;
  registry_.unlink(idle_ ? registry_.idle_ : registry_.active_, *this);
  idle_ = idle;
  registry_.link(idle_ ? registry_.idle_ : registry_.active_, *this);
  if (idle)
    registry_.idle_count_.add();
  else
    registry_.idle_count_.subtract();
}

void ConnectionRegistry::link(List& list, ConnectionEntry& entry) noexcept {
  entry.previous_ = list.last;
  entry.next_ = nullptr;
  (list.last != nullptr ? list.last->next_ : list.first) = &entry;
  list.last = &entry;
}

void ConnectionRegistry::unlink(List& list, ConnectionEntry& entry) noexcept {
  (entry.previous_ != nullptr ? entry.previous_->next_ : list.first) = entry.next_;
  (entry.next_ != nullptr ? entry.next_->previous_ : list.last) = entry.previous_;
}

void ConnectionRegistry::cancel_idle() {
  for (ConnectionEntry* entry = idle_.first; entry != nullptr; entry = entry->next_) entry->stream_.cancel();
}

void ConnectionRegistry::cancel_all() {
  cancel_idle();
  for (ConnectionEntry* entry = active_.first; entry != nullptr; entry = entry->next_) entry->stream_.cancel();
}

bool ConnectionRegistry::evict_idle() {
  if (idle_.first == nullptr) return false;
  idle_.first->stream_.cancel();
  return true;
}

namespace {

using exchange::address_of;
using exchange::ConnectionInfo;
using exchange::ThreadState;

constexpr std::chrono::seconds kResponderTimeout{10};

// Everything that happens to a connection before its first request.
class Opening {
 public:
  Opening(ThreadState& thread, io::Stream& stream, ConnectionInfo& info, const exchange::ListenerRuntime& listener)
      : thread_(thread), stream_(stream), info_(info), listener_(listener) {}

  io::Task<bool> run();

 private:
  io::Task<bool> read_proxy_header();
  void refuse_proxy_header(std::string_view why);
  io::Task<bool> handshake();
  io::Task<void> ask_about_revocation();
  io::Task<void> answer_plain_http();
  void count_handshake();
  void log(LogLevel level, std::string_view text) const {
    log_.log(level, info_.number, "{}, client: {}, server: {}", text, info_.peer_ip, info_.local.to_string());
  }
  template <class... Arguments>
  void debug(fmt::format_string<Arguments...> format, Arguments&&... arguments) const {
    log_.debug(info_.debug, info_.number, format, std::forward<Arguments>(arguments)...);
  }
  void tell_tls() const;

  ThreadState& thread_;
  io::Stream& stream_;
  ConnectionInfo& info_;
  const exchange::ListenerRuntime& listener_;
  const std::shared_ptr<const exchange::Generation> generation_ = thread_.generation->shared;
  const exchange::ServerRuntime& server_ = generation_->servers[listener_.listener->default_server];
  const ErrorLog& log_ = *generation_->locations[server_.server->root.id].error_log;
};

io::Task<bool> Opening::run() {
  if (listener_.listener->options.proxy_protocol) {
    auto reading = read_proxy_header();
    if (const bool read = co_await reading; !read) co_return false;
  }
  if (listener_.listener->options.ssl) {
    auto shaking = handshake();
    co_return co_await shaking;
  }
  co_return true;
}

// The header comes before TLS, so exactly its bytes are taken from the socket: they are looked at first.
io::Task<bool> Opening::read_proxy_header() {
  // Where set_real_ip_from names who may tell addresses, nobody else gets to.
  const auto& trusted = *server_.server->root.settings.set_real_ip_from;
  if (!trusted.empty() && exchange::match_network(trusted, info_.peer) == nullptr) {
    refuse_proxy_header("PROXY protocol header from a peer that set_real_ip_from does not name");
    co_return false;
  }
  // A pooled block, not a member of the frame: what the frame holds, every idle connection pays for.
  static_assert(http::kProxyV2Max <= exchange::ThreadState::kHeadBlock);
  io::BufferPool::Block bytes = thread_.head_blocks.take();
  const TimePoint deadline = thread_.reactor.now() + server_.server->settings.proxy_protocol_timeout;
  std::size_t seen = 0;
  for (;;) {
    const auto left = std::chrono::duration_cast<Milliseconds>(deadline - thread_.reactor.now());
    auto waiting = io::wait_readable(stream_, std::max(left, Milliseconds{1}));
    const auto ready = co_await waiting;
    if (!ready) break;
    const ssize_t got = ::recv(stream_.socket().fd(), bytes.data(), bytes.size(), MSG_PEEK | MSG_DONTWAIT);
    if (got <= 0) break;
    http::ProxyHeader header;
    const auto parsed = http::parse_proxy_header({bytes.data(), static_cast<std::size_t>(got)}, header);
    if (parsed == http::ProxyParse::failed) break;
    if (parsed == http::ProxyParse::incomplete) {
      if (static_cast<std::size_t>(got) == seen && stream_.socket().descriptor().peer_closed) break;
      seen = static_cast<std::size_t>(got);
      stream_.socket().descriptor().readable = false;  // more bytes raise another edge
      continue;
    }
    if (::recv(stream_.socket().fd(), bytes.data(), header.size, MSG_DONTWAIT) != static_cast<ssize_t>(header.size))
      break;
    if (header.command == http::ProxyHeader::Command::proxy &&
        header.source.family != http::PlainAddress::Family::none) {
      info_.told = std::make_shared<const ConnectionInfo::Told>(
          ConnectionInfo::Told{address_of(header.source), address_of(header.destination), std::string(header.tlvs)});
    }
    co_return true;
  }
  refuse_proxy_header(row(Reason::bad_proxy_protocol).text);
  co_return false;
}

void Opening::refuse_proxy_header(std::string_view why) {
  log(LogLevel::info, why);
  thread_.metrics.ends[static_cast<std::size_t>(Reason::bad_proxy_protocol)].add();
}

io::Task<bool> Opening::handshake() {
  // The first byte decides whether this is TLS at all; nothing is held while it has not come.
  const Milliseconds timeout = server_.server->settings.ssl.handshake_timeout;
  auto waiting = io::wait_readable(stream_, timeout);
  const auto ready = co_await waiting;
  if (!ready) co_return false;
  auto ssl = certs::new_server_connection(server_.tls, listener_.sni);
  if (!ssl) {
    log(LogLevel::crit, certs::with_openssl_errors("SSL_new() failed"));
    co_return false;
  }
  stream_.start_tls(io::SslPtr(ssl.release()));
  auto shaking = io::Handshake(stream_, timeout);
  const auto done = co_await shaking;
  if (done) {
    info_.tls = stream_.ssl();
    if (info_.debug || log_.enabled(LogLevel::debug)) tell_tls();
    count_handshake();
    auto asking = ask_about_revocation();
    co_await asking;
    co_return true;
  }
  thread_.metrics.handshakes_failed.add();
  if (done.error().reason == Reason::canceled) co_return false;
  if (done.error().reason == Reason::timed_out) {
    log(LogLevel::info, row(Reason::handshake_timeout).text);
    co_return false;
  }
  const bool protocol_error = done.error().os_error == EPROTO;
  const auto failure = certs::judge_tls_failure(certs::TlsSide::downstream, "SSL_do_handshake() failed",
                                                protocol_error ? SSL_ERROR_SSL : SSL_ERROR_SYSCALL,
                                                protocol_error ? 0 : done.error().os_error);
  const LogLevel level = failure.level == certs::TlsLogLevel::critical ? LogLevel::crit
                         : failure.level == certs::TlsLogLevel::error  ? LogLevel::error
                                                                       : LogLevel::info;
  log(level, failure.text + " while SSL handshaking");
  if (failure.reason == Reason::plain_http_on_tls) {
    auto answering = answer_plain_http();
    co_await answering;
  }
  co_return false;
}

// ssl_ocsp. Who isn't let in is told so in HTTP, like anybody else whose certificate is refused.
io::Task<void> Opening::ask_about_revocation() {
  const auto check = certs::RevocationCheck::of(*stream_.ssl());
  if (!check || !generation_->revocation_pool) co_return;
  io::Offload asking(*generation_->revocation_pool, thread_.reactor, [&] { return check->run(kResponderTimeout); });
  const auto result = co_await asking;
  certs::note_revocation(*stream_.ssl(), result ? result->verdict : certs::RevocationVerdict::failed);
  const std::string_view failure = result ? std::string_view(result->failure) : "too many checks of certificates wait";
  if (!failure.empty()) log(LogLevel::error, fmt::format("{} while requesting certificate status", failure));
}

// 400 in plain text for a request that was sent to a TLS port (nginx's 497).
io::Task<void> Opening::answer_plain_http() {
  io::Socket& socket = stream_.socket();
  std::string reply;
  http::LocalReply local;
  local.status = http::kPlainHttpOnTls;
  local.tokens = server_.server->root.settings.server_tokens ? http::ServerTokens::on : http::ServerTokens::off;
  local.date = thread_.date.imf(thread_.reactor.wall_milliseconds() / 1000);
  http::append_local_reply(local, reply);
  [[maybe_unused]] const auto sent = ::send(socket.fd(), reply.data(), reply.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  socket.shutdown_write();
  // What is left of the request is read, so that no reset overtakes the answer.
  io::BufferPool::Block rest = thread_.head_blocks.take();
  const TimePoint deadline = thread_.reactor.now() + std::chrono::seconds(1);
  while (thread_.reactor.now() < deadline) {
    const ssize_t got = ::recv(socket.fd(), rest.data(), rest.size(), MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN)) break;
    if (got > 0) continue;
    socket.descriptor().readable = false;
    auto waiting = io::wait_readable(stream_, Milliseconds{1000});
    const auto ready = co_await waiting;
    if (!ready) break;
  }
}

void Opening::tell_tls() const {
  const SSL* ssl = stream_.ssl();
  debug("SSL_do_handshake: 1");
  if (const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)) debug("SSL server name: \"{}\"", name);
  debug("SSL: {}, cipher: \"{}\"", SSL_get_version(ssl), SSL_get_cipher_name(ssl));
  if (SSL_session_reused(ssl) != 0) debug("SSL reused session");
}

void Opening::count_handshake() {
  const bool resumed = SSL_session_reused(stream_.ssl()) != 0;
  auto& metrics = thread_.metrics;
  if (SSL_version(stream_.ssl()) == TLS1_3_VERSION) {
    (resumed ? metrics.handshakes_tls13_resumed : metrics.handshakes_tls13_full).add();
  } else {
    (resumed ? metrics.handshakes_tls12_resumed : metrics.handshakes_tls12_full).add();
  }
}

// Not inlined: its frame is to be gone while the connection lives on, not a part of the connection's own.
[[gnu::noinline]] io::Task<bool> open_connection(ThreadState& thread, io::Stream& stream, ConnectionInfo& info,
                                                 const exchange::ListenerRuntime& listener) {
  Opening opening(thread, stream, info, listener);
  auto running = opening.run();
  co_return co_await running;
}

}  // namespace

io::Task<void> serve_connection(ThreadState& thread, ConnectionRegistry& registry, io::Socket socket,
                                std::size_t listener, ConnectionInfo info) {
  io::Stream stream(std::move(socket));
  ConnectionEntry entry(registry, stream);
  Place place{thread.generation, &thread.generation->shared->listeners[listener]};
  bool open = true;
  if (const auto& options = place.listener->listener->options; options.proxy_protocol || options.ssl) {
    auto opening = open_connection(thread, stream, info, *place.listener);
    open = co_await opening;
  }
  H1Connection connection(thread, entry, stream, info, place);
  // What stands in this frame is what an idle connection costs.
  while (open) {
    if (!connection.has_request()) {
      const auto timeout = connection.begin_wait();
      if (!timeout) break;
      auto waiting = io::wait_readable(stream, *timeout);
      const auto ready = co_await waiting;
      const bool waits_on = connection.end_wait(!ready && ready.error().reason == Reason::timed_out);
      if (waits_on) continue;
      if (!ready) break;
    }
    auto serving = connection.serve();
    open = co_await serving;
  }
  place.log().debug(info.debug, info.number, "close http connection: {}", stream.socket().fd());
  stream.close();
  thread.metrics.connections_closed.add();
}

}  // namespace gatehouse::session
