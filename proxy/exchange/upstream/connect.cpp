#include <fmt/format.h>

#include "certs/error_queue.hpp"
#include "proxy/config/endpoint.hpp"
#include "proxy/config/settings/proxy_transform.hpp"
#include "proxy/exchange/upstream/upstream_run.hpp"
#include "proxy/exchange/variables.hpp"

namespace gatehouse::exchange {

// proxy_bind; an address that can't be read is told and not used, as in nginx.
void UpstreamRun::find_local_address() {
  local_address_.reset();
  const auto& bind = config::transform_of(ex_.settings()).bind;
  if (!bind) return;
  const std::string_view text = evaluate(*bind, ex_);
  if (text.empty()) return;
  std::string error;
  const auto endpoint = config::parse_endpoint(text, 0, error);
  if (endpoint && endpoint->address) {
    local_address_ = *endpoint->address;
  } else {
    ex_.log(LogLevel::error, fmt::format("invalid local address \"{}\"", text));
  }
}

UpstreamRun::ConnectionWish UpstreamRun::wanted_connection() {
  ConnectionWish wish{{peer_->spec.address, 0}, {}};
  find_local_address();
  if (local_address_) wish.key.identity = std::hash<std::string>{}(local_address_->to_string()) | 1;
  if (!target_.tls) return wish;
  const auto& ssl = *ex_.settings().proxy_ssl;
  wish.tls_name = ssl.name ? evaluate(*ssl.name, ex_) : ex_.proxy_host;
  wish.key.identity ^=
      std::hash<std::string_view>{}(wish.tls_name) ^ (ex_.route->client_tls_identity * 0x9e3779b97f4a7c15U);
  if (wish.key.identity == 0) wish.key.identity = 1;
  return wish;
}

bool UpstreamRun::take_idle(const upstream::PoolKey& key) {
  if (only_fresh_) return false;
  connection_ = target_.cluster->take_idle(key, ex_.now());
  // What can't be repeated must not meet a connection that closed a moment ago: ask the kernel.
  if (connection_ && http::repeat_of(ex_.method) == http::Repeat::harmful && !connection_->stream.socket().is_quiet()) {
    connection_->stream.close();
    connection_ = nullptr;
  }
  if (!connection_) return false;
  ex_.debug("get keepalive peer: using connection to {}, fd:{}", peer_->address_text,
            connection_->stream.socket().fd());
  ++connection_->usage.requests;
  ex_.thread.metrics.upstream_requests_reused.add();
  return true;
}

io::Task<Error> UpstreamRun::connect(ConnectionWish wish) {
  auto started = io::start_connect(ex_.thread.reactor, wish.key.address, local_address_ ? &*local_address_ : nullptr,
                                   config::transform_of(ex_.settings()).bind_transparent);
  if (!started) {
    ex_.thread.metrics.upstream_connect_failures.add();
    co_return started.error();
  }
  connection_ = std::make_unique<upstream::Connection>();
  connection_->stream = io::Stream(std::move(started->socket));
  ex_.debug("connect to {}, fd:{}", peer_->address_text, connection_->stream.socket().fd());
  connection_->key = std::move(wish.key);
  connection_->usage = {1, ex_.now()};
  if (started->in_progress) {
    if (!ex_.cache || !ex_.cache->may_store) ex_.downstream.watch_client(&connection_->stream);
    auto waiting = io::WaitConnected(connection_->stream.socket(), ex_.settings().proxy_connect_timeout);
    const auto connected = co_await waiting;
    if (!connected) {
      const Error error = connected.error();
      if (error.reason != Reason::canceled) ex_.thread.metrics.upstream_connect_failures.add();
      co_return error.reason == Reason::timed_out ? Error{Reason::connect_timeout, ETIMEDOUT} : error;
    }
  }
  ex_.debug("http upstream connect: 0");
  ex_.thread.metrics.upstream_connections_opened.add();
  if (!target_.tls) co_return Error{};
  auto shaking = handshake(wish.tls_name);
  co_return co_await shaking;
}

io::Task<Error> UpstreamRun::handshake(std::string_view name) {
  const auto& context = ex_.route->client_tls;
  if (!context) co_return Error{Reason::bug};
  auto ssl = context->new_connection(name, current().peer, &ex_.thread.client_sessions);
  if (!ssl) co_return Error{Reason::upstream_handshake};
  connection_->stream.start_tls(io::SslPtr(ssl.release()));
  auto shaking = io::Handshake(connection_->stream, ex_.settings().proxy_connect_timeout);
  const auto done = co_await shaking;
  ex_.debug("upstream SSL server name: \"{}\", SSL_do_handshake: {}", name, done ? 1 : -1);
  if (done) co_return Error{};
  const std::string refused = certs::upstream_verification_failure(*connection_->stream.ssl());
  const std::string errors = certs::drain_openssl_errors();
  ex_.detail = ex_.arena.copy(refused.empty() ? errors : refused);
  if (done.error().reason == Reason::canceled) co_return done.error();
  co_return done.error().reason == Reason::timed_out ? Error{Reason::connect_timeout, ETIMEDOUT}
                                                     : Error{Reason::upstream_handshake};
}

void UpstreamRun::finish_connection(const http::ResponseSemantics& semantics, const UpstreamBody& body) {
  if (!connection_) return;
  const upstream::ConnectionEnd end{
      .request_sent_whole = request_sent_whole_,
      .response_read_whole = body.finished(),
      .response_allows_reuse =
          semantics.after == http::AfterMessage::keep && semantics.framing.kind != http::BodyKind::until_close,
      .unread_bytes = body.has_surplus(),
      .stopping = ex_.thread.draining,
  };
  ex_.downstream.watch_client(nullptr);
  if (upstream::may_keep(cluster().keepalive(), connection_->usage, end, ex_.now())) {
    ex_.debug("free keepalive peer: saving connection, fd:{}", connection_->stream.socket().fd());
    target_.cluster->put_idle(std::move(connection_), ex_.now());
  }
}

}  // namespace gatehouse::exchange
