#include "proxy/exchange/proxy.hpp"

#include <array>
#include <optional>

#include <fmt/format.h>

#include "certs/error_queue.hpp"
#include "proxy/exchange/error_pages.hpp"
#include "proxy/exchange/proxy_request.hpp"
#include "proxy/exchange/read_body.hpp"
#include "proxy/exchange/response_filters.hpp"
#include "proxy/exchange/upstream_body.hpp"
#include "proxy/exchange/variables.hpp"
#include "proxy/exchange/waf_gate.hpp"
#include "proxy/http/chunked.hpp"
#include "proxy/http/local_reply.hpp"
#include "proxy/http/response_parser.hpp"
#include "proxy/io/child.hpp"
#include "proxy/upstream/retry_policy.hpp"

namespace gatehouse::exchange {
namespace {

constexpr std::size_t kResponseHeadRoom = 4096;

// What one attempt came to.
struct AttemptEnd {
  Error error;         ///< none: the response was relayed, or cut after it had begun
  int status = 0;      ///< of a response that was received but not relayed (proxy_next_upstream http_5xx)
  bool again = false;  ///< another peer was picked already
};

/// One exchange's way through its upstream: picks peers, attempts, decides about retries.
class UpstreamRun {
 public:
  explicit UpstreamRun(Exchange& exchange)
      : ex_(exchange), head_text_(exchange.thread), parser_(exchange.upstream_parser.emplace(limits_of(exchange))) {
    exchange.upstream_fields = nullptr;
  }

  io::Task<void> run();

 private:
  static http::ResponseParseLimits limits_of(const Exchange& exchange) {
    http::ResponseParseLimits limits;
    limits.head = exchange.settings().proxy_buffer_size;
    return limits;
  }

  io::Task<bool> prepare_body();
  io::Task<bool> await_resolution();
  [[nodiscard]] bool pick();
  io::Task<AttemptEnd> attempt();
  /// What a connection must be like to serve this attempt.
  struct ConnectionWish {
    upstream::PoolKey key;
    std::string_view tls_name;  ///< empty on plain connections
  };
  [[nodiscard]] ConnectionWish wanted_connection();
  [[nodiscard]] bool take_idle(const upstream::PoolKey& key);
  io::Task<Error> connect(ConnectionWish wish);
  io::Task<Error> handshake(std::string_view name);
  io::Task<Error> send_request();
  io::Task<Error> receive_head();
  io::Task<Error> pass_interim();
  io::Task<AttemptEnd> relay(http::ResponseSemantics semantics);
  io::Task<bool> relay_body(UpstreamBody& body, std::string_view first);
  io::Task<AttemptEnd> relay_inspected(const http::ResponseSemantics& semantics, UpstreamBody& body);
  io::Task<AttemptEnd> intercept(http::ResponseSemantics semantics);
  io::Task<AttemptEnd> tunnel();
  io::Task<Result<bool>> pump_spilled();
  io::Task<Result<bool>> pump_streamed();
  io::Task<Error> stop_pump();

  [[nodiscard]] bool retry(const AttemptEnd& end);
  [[nodiscard]] bool is_retriable_status(int status) const;
  [[nodiscard]] bool is_intercepted(int status) const {
    return status >= 300 && ex_.settings().proxy_intercept_errors && has_error_page(ex_, status);
  }
  void finish_connection(const http::ResponseSemantics& semantics, const UpstreamBody& body);
  void log_failure(Error error);
  [[nodiscard]] Milliseconds elapsed(TimePoint since) const {
    return std::chrono::duration_cast<Milliseconds>(ex_.now() - since);
  }
  [[nodiscard]] UpstreamTry& current() { return ex_.tries.back(); }
  [[nodiscard]] upstream::Cluster& cluster() { return target_.cluster->cluster(); }

  Exchange& ex_;
  ProxyTarget target_;
  UpstreamBodyPlan plan_;
  ScratchString head_text_;
  bool asks_upgrade_ = false;

  upstream::Attempt attempt_state_;
  upstream::PeerLease peer_;
  std::uint32_t tries_ = 0;
  std::uint32_t tries_limit_ = 1;
  bool only_fresh_ = false;  ///< the retry of a stale connection must not take another pooled one
  TimePoint first_try_{};
  TimePoint try_began_{};

  upstream::ConnectionPtr connection_;
  bool reused_ = false;
  bool request_sent_ = false;  ///< any byte of it
  bool request_sent_whole_ = false;
  bool response_byte_seen_ = false;
  bool streamed_bytes_gone_ = false;  ///< body bytes were passed on that can't be sent again
  std::optional<io::Child<Result<bool>>> pump_;
  http::ResponseParser& parser_;  ///< the exchange's: variables are read from it to the end
};

io::Task<void> UpstreamRun::run() {
  auto found = find_target(ex_);
  if (!found) {
    ex_.fail(found.error().reason);
    co_return;
  }
  target_ = std::move(*found);
  if (ex_.semantics.framing.kind != http::BodyKind::none) {
    auto preparing = prepare_body();
    if (const bool ready = co_await preparing; !ready) co_return;
  }
  asks_upgrade_ = write_upstream_head(ex_, target_, plan_, *head_text_);
  if (target_.cluster->awaits_first_answer()) {
    auto resolving = await_resolution();
    if (const bool resolved = co_await resolving; !resolved) co_return;
  }

  first_try_ = ex_.now();
  tries_limit_ = cluster().tries(ex_.settings().proxy_next_upstream_tries);
  target_.cluster->retry_budget().on_request(first_try_);
  while (peer_ || pick()) {
    auto attempting = attempt();
    const AttemptEnd end = co_await attempting;
    ex_.downstream.watch_client(nullptr);
    if (connection_) {
      connection_->stream.close();
      connection_ = nullptr;
    }
    if (end.again) continue;
    if (end.error.reason == Reason::none || !retry(end)) break;
  }
  peer_.reset();
}

// With request buffering the body is here before a peer is chosen, so that it can be sent again.
io::Task<bool> UpstreamRun::prepare_body() {
  const auto& framing = ex_.semantics.framing;
  const bool has_body = framing.kind != http::BodyKind::none && !ex_.body_dropped;
  if (!ex_.settings().proxy_pass_request_body || !has_body) co_return true;
  const bool old_version = ex_.settings().proxy_http_version == 10;
  if (ex_.settings().proxy_request_buffering || !ex_.body.empty() ||
      (old_version && framing.kind == http::BodyKind::chunked)) {
    auto collecting = collect_request_body(ex_);
    const auto collected = co_await collecting;
    if (!collected) co_return false;
    plan_ = {UpstreamBodyPlan::Kind::buffered, ex_.body.size()};
    co_return true;
  }
  plan_.kind = UpstreamBodyPlan::Kind::streamed;
  if (framing.kind == http::BodyKind::length) plan_.length = framing.length;
  co_return true;
}

io::Task<bool> UpstreamRun::await_resolution() {
  auto& runtime = *target_.cluster;
  if (!runtime.awaits_first_answer()) co_return true;
  const TimePoint deadline = ex_.now() + ex_.settings().resolver_timeout;
  while (runtime.awaits_first_answer()) {
    auto waiting = runtime.resolved().wait(deadline);
    if (const bool notified = co_await waiting; !notified) break;
  }
  if (!runtime.awaits_first_answer()) co_return true;
  ex_.fail(Reason::unresolved, runtime.spec().name);
  co_return false;
}

bool UpstreamRun::pick() {
  upstream::PickKey key;
  key.client_address = ex_.client.bytes();
  if (const auto& hash = target_.cluster->spec().hash_key) key.hash_key = evaluate(*hash, ex_);
  const auto picked = cluster().pick(key, attempt_state_, ex_.now());
  if (!picked) {
    if (tries_ > 0) return false;  // the last attempt's failure is the answer
    ex_.upstream_url = ex_.arena.concat(std::string_view(target_.tls ? "https://" : "http://"),
                                        std::string_view(cluster().name()), target_.uri);
    ex_.log(LogLevel::error, fmt::format("{} while connecting to upstream", describe(picked.error())));
    ex_.reply(row(picked.error().reason).status, picked.error().reason);
    return false;
  }
  peer_ = upstream::PeerLease(cluster(), **picked);
  ++tries_;
  return true;
}

io::Task<AttemptEnd> UpstreamRun::attempt() {
  try_began_ = ex_.now();
  ex_.tries.emplace_back().begins_group = std::exchange(ex_.upstream_group_ended, false);
  current().peer = ex_.arena.copy(peer_->address_text);
  ex_.upstream_url =
      ex_.arena.concat(std::string_view(target_.tls ? "https://" : "http://"), current().peer, target_.uri);
  request_sent_ = request_sent_whole_ = response_byte_seen_ = false;
  pump_.reset();

  const ConnectionWish wish = wanted_connection();
  reused_ = take_idle(wish.key);
  if (!reused_) {
    auto connecting = connect(wish);
    if (const Error error = co_await connecting; error.reason != Reason::none) co_return AttemptEnd{error};
  }
  current().connect_time = elapsed(try_began_);
  current().reused = reused_;
  ex_.downstream.watch_client(&connection_->stream);

  auto sending = send_request();
  const Error send_error = co_await sending;
  // An origin may have answered before it stopped reading: look, unless the client is the reason.
  if (send_error.reason != Reason::none && send_error.reason != Reason::upstream_send) co_return AttemptEnd{send_error};

  auto receiving = receive_head();
  Error head_error = co_await receiving;
  if (head_error.reason != Reason::none) {
    auto stopping = stop_pump();
    const Error pump_error = co_await stopping;
    // The client's own failure ends the exchange whatever the upstream did.
    if (pump_error.reason != Reason::none && row(pump_error.reason).blame == Blame::downstream) head_error = pump_error;
    if (send_error.reason != Reason::none && head_error.reason == Reason::upstream_closed) head_error = send_error;
    co_return AttemptEnd{head_error};
  }
  current().status = parser_.head().status;
  current().header_time = elapsed(try_began_);
  const auto semantics = http::interpret_response(parser_.head(), ex_.method);
  if (!semantics) co_return AttemptEnd{semantics.error()};
  if (semantics->tunnel) {
    if (!asks_upgrade_ || parser_.head().status != 101) co_return AttemptEnd{{Reason::upstream_bad_interim}};
    auto tunneling = tunnel();
    co_return co_await tunneling;
  }
  if (is_retriable_status(parser_.head().status)) {
    const AttemptEnd listed{{Reason::upstream_status}, parser_.head().status};
    if (retry(listed)) co_return AttemptEnd{{}, 0, true};
  }
  if (is_intercepted(parser_.head().status)) {
    auto intercepting = intercept(*semantics);
    co_return co_await intercepting;
  }
  auto relaying = relay(*semantics);
  co_return co_await relaying;
}

// ---- connecting ----

UpstreamRun::ConnectionWish UpstreamRun::wanted_connection() {
  ConnectionWish wish{{peer_->spec.address, 0}, {}};
  if (!target_.tls) return wish;
  const auto& ssl = *ex_.settings().proxy_ssl;
  wish.tls_name = ssl.name ? evaluate(*ssl.name, ex_) : ex_.proxy_host;
  wish.key.identity =
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
  ++connection_->usage.requests;
  ex_.thread.metrics.upstream_requests_reused.add();
  return true;
}

io::Task<Error> UpstreamRun::connect(ConnectionWish wish) {
  auto started = io::start_connect(ex_.thread.reactor, wish.key.address, nullptr);
  if (!started) {
    ex_.thread.metrics.upstream_connect_failures.add();
    co_return started.error();
  }
  connection_ = std::make_unique<upstream::Connection>();
  connection_->stream = io::Stream(std::move(started->socket));
  connection_->key = std::move(wish.key);
  connection_->usage = {1, ex_.now()};
  if (started->in_progress) {
    ex_.downstream.watch_client(&connection_->stream);
    auto waiting = io::WaitConnected(connection_->stream.socket(), ex_.settings().proxy_connect_timeout);
    const auto connected = co_await waiting;
    if (!connected) {
      const Error error = connected.error();
      if (error.reason != Reason::canceled) ex_.thread.metrics.upstream_connect_failures.add();
      co_return error.reason == Reason::timed_out ? Error{Reason::connect_timeout, ETIMEDOUT} : error;
    }
  }
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
  if (done) co_return Error{};
  const std::string refused = certs::upstream_verification_failure(*connection_->stream.ssl());
  const std::string errors = certs::drain_openssl_errors();
  ex_.detail = ex_.arena.copy(refused.empty() ? errors : refused);
  if (done.error().reason == Reason::canceled) co_return done.error();
  co_return done.error().reason == Reason::timed_out ? Error{Reason::connect_timeout, ETIMEDOUT}
                                                     : Error{Reason::upstream_handshake};
}

// ---- sending ----

io::Task<Error> UpstreamRun::send_request() {
  std::string_view memory = plan_.kind == UpstreamBodyPlan::Kind::buffered ? ex_.body.memory() : std::string_view{};
  std::array<iovec, 2> parts = {iovec{head_text_->data(), head_text_->size()},
                                iovec{const_cast<char*>(memory.data()), memory.size()}};
  auto send =
      io::Send(connection_->stream, std::span(parts).first(memory.empty() ? 1 : 2), ex_.settings().proxy_send_timeout);
  const auto sent = co_await send;
  current().bytes_sent = send.sent;
  request_sent_ = send.sent > 0;
  if (!sent) {
    const Error error = sent.error();
    if (error.reason == Reason::timed_out) co_return Error{Reason::upstream_send_timeout, ETIMEDOUT};
    if (error.reason == Reason::canceled) co_return Error{Reason::client_closed};
    co_return Error{Reason::upstream_send, error.os_error};
  }
  if (plan_.kind == UpstreamBodyPlan::Kind::streamed) {
    pump_.emplace(pump_streamed());
  } else if (plan_.kind == UpstreamBodyPlan::Kind::buffered && ex_.body.spilled()) {
    pump_.emplace(pump_spilled());
  } else {
    request_sent_whole_ = true;
  }
  co_return Error{};
}

// Sends a body from its spill file. True when all of it went out.
io::Task<Result<bool>> UpstreamRun::pump_spilled() {
  io::BufferPool::Block block = ex_.thread.body_blocks.take();
  std::uint64_t offset = 0;
  while (offset < ex_.body.size()) {
    const auto got = ex_.body.read_at(offset, block.data(), block.size());
    if (!got) co_return got.error();
    if (*got == 0) break;
    offset += *got;
    iovec part{block.data(), *got};
    auto send = io::Send(connection_->stream, {&part, 1}, ex_.settings().proxy_send_timeout);
    const auto sent = co_await send;
    current().bytes_sent += send.sent;
    if (!sent) co_return Error{Reason::upstream_send, sent.error().os_error};
  }
  request_sent_whole_ = true;
  co_return true;
}

// Passes the client's body on while it arrives.
io::Task<Result<bool>> UpstreamRun::pump_streamed() {
  const ByteCount limit = ex_.settings().client_max_body_size;
  std::uint64_t total = 0;
  std::string trailer_text;
  for (;;) {
    auto reading = ex_.downstream.read_body();
    const auto piece = co_await reading;
    if (!piece) {
      // The upstream must not take a cut request for a whole one: its connection goes.
      connection_->stream.cancel();
      co_return piece.error();
    }
    total += piece->size();
    if (limit != 0 && total > limit) {
      connection_->stream.cancel();
      co_return Error{Reason::body_too_large};
    }
    const bool last = piece->empty();
    if (!last) streamed_bytes_gone_ = ex_.body_dropped = true;
    const http::ChunkHeader size(piece->size());
    std::array<iovec, 3> parts{};
    std::size_t count = 0;
    const auto add = [&](std::string_view text) { parts[count++] = {const_cast<char*>(text.data()), text.size()}; };
    if (plan_.length) {
      if (!last) add(*piece);
    } else if (!last) {
      add(size.view());
      add(*piece);
      add(http::kChunkEnd);
    } else if (const http::Fields* trailers = ex_.downstream.request_trailers();
               trailers != nullptr && !trailers->empty()) {
      http::append_last_chunk(*trailers, trailer_text);
      add(trailer_text);
    } else {
      add(http::kLastChunk);
    }
    if (count > 0) {
      auto send = io::Send(connection_->stream, std::span(parts).first(count), ex_.settings().proxy_send_timeout);
      const auto sent = co_await send;
      current().bytes_sent += send.sent;
      if (!sent) co_return Error{Reason::upstream_send, sent.error().os_error};
    }
    if (last) {
      request_sent_whole_ = true;
      co_return true;
    }
  }
}

// Ends the pump and says why it ended, if that was a failure.
io::Task<Error> UpstreamRun::stop_pump() {
  if (!pump_) co_return Error{};
  if (!pump_->done()) {
    ex_.downstream.cancel_read_body();
    connection_->stream.cancel();
  }
  auto joining = pump_->join();
  const Result<bool> ended = co_await joining;
  pump_.reset();
  co_return ended ? Error{} : ended.error();
}

// ---- receiving ----

io::Task<Error> UpstreamRun::receive_head() {
  std::uint32_t interim = 0;
  ex_.upstream_fields = nullptr;  // of an earlier attempt: its bytes go
  ex_.upstream_head.release();
  parser_.reset();
  for (;;) {
    const auto room = ex_.upstream_head.prepare(kResponseHeadRoom);
    auto receive = io::Receive(connection_->stream, room, ex_.settings().proxy_read_timeout);
    const auto got = co_await receive;
    if (!got) {
      // While the request is still going up, a silent upstream is only waiting for its end.
      if (got.error().reason == Reason::timed_out && pump_ && !pump_->done()) continue;
      if (got.error().reason == Reason::canceled) co_return Error{Reason::client_closed};
      co_return upstream_read_error(got.error());
    }
    if (*got == 0) co_return Error{Reason::upstream_closed};
    response_byte_seen_ = true;
    current().bytes_received += *got;
    ex_.upstream_head.commit(*got);
    for (;;) {
      const auto status = parser_.parse(ex_.upstream_head.unread());
      if (status == http::ParseStatus::failed) co_return Error{parser_.reason()};
      if (status == http::ParseStatus::incomplete) break;
      const int code = parser_.head().status;
      if (code >= 200 || code == 101) {
        ex_.upstream_fields = &parser_.head().fields;
        co_return Error{};
      }
      if (++interim > ex_.settings().proxy_max_interim_responses) co_return Error{Reason::upstream_bad_interim};
      auto passing = pass_interim();
      if (const Error error = co_await passing; error.reason != Reason::none) co_return error;
      ex_.upstream_head.consume(parser_.head().size);
      ex_.upstream_head.compact();
      parser_.reset();
      if (ex_.upstream_head.empty()) break;
    }
  }
}

// 100 was answered by ourselves; other interim responses are the client's to see (RFC 9110 section 15.2).
io::Task<Error> UpstreamRun::pass_interim() {
  if (parser_.head().status == 100 || ex_.head.version == http::Version::http10) co_return Error{};
  ResponseHeadOut head;
  head.status = parser_.head().status;
  head.reason = parser_.head().reason;
  for (const auto& field : parser_.head().fields) {
    if (!http::is_hop_by_hop(parser_.head().fields, field) && field.id != http::FieldId::content_length) {
      head.fields.add(field.name, field.value, field.id);
    }
  }
  auto sending = ex_.downstream.send_interim(head);
  const auto sent = co_await sending;
  co_return sent ? Error{} : Error{Reason::client_closed};
}

// ---- relaying ----

io::Task<AttemptEnd> UpstreamRun::relay(http::ResponseSemantics semantics) {
  cluster().on_success(*peer_);
  const http::ResponseHead& head = parser_.head();
  ex_.upstream_head.consume(head.size);
  UpstreamBody body(connection_->stream, ex_.thread.body_blocks, semantics.framing, ex_.upstream_head.unread(),
                    ex_.settings().proxy_read_timeout);
  if (ex_.waf != nullptr && (ex_.waf->wants_response_body(head) || !ex_.waf->decide_response(head, {}, false))) {
    auto inspecting = relay_inspected(semantics, body);
    const AttemptEnd end = co_await inspecting;
    finish_connection(semantics, body);
    current().response_time = elapsed(try_began_);
    co_return end;
  }
  adopt_upstream_head(ex_, head, semantics);
  const auto first = body.ready_piece();
  if (!first) co_return AttemptEnd{first.error()};
  auto relaying = relay_body(body, *first);
  const bool complete = co_await relaying;
  current().response_length = body.received();
  current().response_time = elapsed(try_began_);
  if (pump_) {
    auto stopping = stop_pump();
    co_await stopping;
    if (!request_sent_whole_) ex_.downstream.close_after_response();
  }
  if (complete) finish_connection(semantics, body);
  co_return AttemptEnd{};
}

// Sends the head with what is here of the body, then the rest as it comes. False when the response was cut.
io::Task<bool> UpstreamRun::relay_body(UpstreamBody& body, std::string_view first) {
  {
    // Trailers need a last chunk of their own.
    const bool whole = body.finished() && body.trailers() == nullptr;
    auto sending = ex_.downstream.send_head(ex_.response, first, whole);
    const auto sent = co_await sending;
    if (!sent) {
      ex_.fail_sending(sent.error());
      co_return false;
    }
    if (body.finished() && !whole) {
      auto ending = ex_.downstream.send_body({}, true, body.trailers());
      const auto ended = co_await ending;
      if (!ended) {
        ex_.fail_sending(ended.error());
        co_return false;
      }
    }
  }
  while (!body.finished()) {
    auto pulling = body.next_piece();
    const auto piece = co_await pulling;
    if (!piece) {
      Error error = piece.error();
      if (error.reason == Reason::canceled) error = {Reason::client_closed};
      if (error.reason != Reason::client_closed)
        ex_.log(LogLevel::error, fmt::format("{} while reading upstream", describe(error)));
      ex_.reason = error.reason;
      ex_.downstream.abort();
      co_return false;
    }
    current().bytes_received += piece->size();
    if (piece->empty() && !body.finished()) continue;
    auto sending = ex_.downstream.send_body(*piece, body.finished(), body.trailers());
    const auto sent = co_await sending;
    if (!sent) {
      ex_.fail_sending(sent.error());
      co_return false;
    }
  }
  co_return true;
}

// The response waits for the WAF: its head always, its body as far as the rules look at it.
io::Task<AttemptEnd> UpstreamRun::relay_inspected(const http::ResponseSemantics& semantics, UpstreamBody& body) {
  const http::ResponseHead& head = parser_.head();
  ScratchString held(ex_.thread);
  bool truncated = false;
  if (ex_.waf->wants_response_body(head)) {
    const ByteCount limit = ex_.waf->response_body_limit();
    while (!body.finished()) {
      auto pulling = body.next_piece();
      const auto piece = co_await pulling;
      if (!piece) {
        co_return AttemptEnd{piece.error().reason == Reason::canceled ? Error{Reason::client_closed} : piece.error()};
      }
      held->append(*piece);
      if (held->size() > limit) {
        truncated = !body.finished();
        break;
      }
    }
  }
  auto decided = ex_.waf->decide_response(head, *held, truncated);
  if (!decided) {
    auto inspecting = ex_.waf->inspect_response(head, *held, truncated);
    decided = co_await inspecting;
  }
  const Step step = *decided;
  if (pump_) {
    auto stopping = stop_pump();
    co_await stopping;
    if (!request_sent_whole_) ex_.downstream.close_after_response();
  }
  if (step == Step::answered) co_return AttemptEnd{};
  adopt_upstream_head(ex_, head, semantics);
  std::string_view first = *held;
  if (first.empty()) {
    const auto ready = body.ready_piece();
    if (!ready) co_return AttemptEnd{ready.error()};
    first = *ready;
  }
  auto relaying = relay_body(body, first);
  co_await relaying;
  current().response_length = body.received();
  co_return AttemptEnd{};
}

// proxy_intercept_errors: the response is dropped, and error_page answers for its status.
io::Task<AttemptEnd> UpstreamRun::intercept(http::ResponseSemantics semantics) {
  cluster().on_success(*peer_);
  const http::ResponseHead& head = parser_.head();
  ex_.upstream_head.consume(head.size);
  if (pump_) {
    auto stopping = stop_pump();
    co_await stopping;
    if (!request_sent_whole_) {
      ex_.downstream.close_after_response();
      ex_.body_dropped = true;
    }
  }
  // A body that came along with the head costs nothing to read, and keeps the connection usable.
  UpstreamBody body(connection_->stream, ex_.thread.body_blocks, semantics.framing, ex_.upstream_head.unread(),
                    ex_.settings().proxy_read_timeout);
  const auto first = body.ready_piece();
  if (first) current().response_length = body.received();
  current().response_time = elapsed(try_began_);
  if (first && body.finished()) finish_connection(semantics, body);
  ex_.reply(head.status, Reason::none);
  const auto challenge = head.fields.value(http::FieldId::www_authenticate);
  if (head.status == 401 && challenge) {
    ex_.response.fields.add("WWW-Authenticate", *challenge, http::FieldId::www_authenticate);
  }
  co_return AttemptEnd{};
}

io::Task<AttemptEnd> UpstreamRun::tunnel() {
  cluster().on_success(*peer_);
  const http::ResponseHead& head = parser_.head();
  http::ResponseSemantics semantics;
  adopt_upstream_head(ex_, head, semantics);
  if (const auto upgrade = head.fields.value(http::FieldId::upgrade)) {
    ex_.response.fields.add("Upgrade", *upgrade, http::FieldId::upgrade);
  }
  ex_.upstream_head.consume(head.size);
  ex_.downstream.watch_client(nullptr);
  auto running = ex_.downstream.tunnel(ex_.response, connection_->stream, ex_.upstream_head.unread(),
                                       ex_.settings().proxy_read_timeout);
  const auto ended = co_await running;
  current().response_time = elapsed(try_began_);
  if (!ended && ended.error().reason != Reason::timed_out) ex_.reason = ended.error().reason;
  co_return AttemptEnd{};
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
    target_.cluster->put_idle(std::move(connection_), ex_.now());
  }
}

// ---- failures ----

bool UpstreamRun::is_retriable_status(int status) const {
  if (status < 300) return false;
  const std::uint32_t wanted = ex_.settings().proxy_next_upstream;
  switch (status) {
    case 500: return (wanted & config::next_http_500) != 0;
    case 502: return (wanted & config::next_http_502) != 0;
    case 503: return (wanted & config::next_http_503) != 0;
    case 504: return (wanted & config::next_http_504) != 0;
    case 403: return (wanted & config::next_http_403) != 0;
    case 404: return (wanted & config::next_http_404) != 0;
    case 429: return (wanted & config::next_http_429) != 0;
    default: return false;
  }
}

void UpstreamRun::log_failure(Error error) {
  if (error.reason == Reason::upstream_status) return;
  std::string text = describe(error);
  switch (error.reason) {
    case Reason::connect_failed: text += " while connecting to upstream"; break;
    case Reason::connect_timeout:
      text = "upstream timed out (110: Connection timed out) while connecting to upstream";
      break;
    case Reason::upstream_handshake:
      text =
          fmt::format("{} while SSL handshaking to upstream", ex_.detail.empty() ? std::string_view(text) : ex_.detail);
      break;
    case Reason::upstream_send:
      text = fmt::format("send() failed ({}: {}) while sending request to upstream", error.os_error,
                         std::generic_category().message(error.os_error));
      break;
    case Reason::upstream_send_timeout:
      text = "upstream timed out (110: Connection timed out) while sending request to upstream";
      break;
    case Reason::upstream_read_timeout:
      text = "upstream timed out (110: Connection timed out) while reading response header from upstream";
      break;
    case Reason::upstream_read:
      text = fmt::format("recv() failed ({}: {}) while reading response header from upstream", error.os_error,
                         std::generic_category().message(error.os_error));
      break;
    default: text += " while reading response header from upstream"; break;
  }
  ex_.log(LogLevel::error, text);
}

// Accounts for the failure and says whether another attempt follows; if not, the exchange has its answer.
bool UpstreamRun::retry(const AttemptEnd& end) {
  current().response_time = elapsed(try_began_);
  if (end.error.reason == Reason::client_closed || ex_.downstream.client_gone()) {
    if (peer_) cluster().on_success(*peer_);
    ex_.log(LogLevel::info, "client prematurely closed connection, so upstream connection is closed too");
    ex_.reason = Reason::client_closed;
    ex_.response.status = 499;
    ex_.downstream.abort();
    return false;
  }
  if (row(end.error.reason).blame != Blame::upstream) {
    if (peer_) cluster().on_success(*peer_);
    fail_reading_body(ex_, end.error);
    return false;
  }
  log_failure(end.error);
  if (end.error.reason == Reason::connect_timeout || end.error.reason == Reason::upstream_read_timeout) {
    current().status = current().status == 0 ? 504 : current().status;
  } else if (current().status == 0) {
    current().status = 502;
  }
  const upstream::RetryRules rules{upstream::NextUpstreamSet::from_bits(ex_.settings().proxy_next_upstream),
                                   ex_.settings().proxy_next_upstream_timeout};
  upstream::FailedAttempt failed;
  failed.reason = end.error.reason;
  failed.status = end.status;
  failed.method = upstream::idempotence(ex_.method_text);
  failed.request = request_sent_ ? upstream::RequestProgress::sent : upstream::RequestProgress::nothing_sent;
  failed.body = streamed_bytes_gone_ ? upstream::BodyReplay::consumed : upstream::BodyReplay::possible;
  failed.client =
      ex_.downstream.head_sent() ? upstream::ClientProgress::response_begun : upstream::ClientProgress::nothing_sent;
  failed.connection = !reused_              ? upstream::ConnectionUse::fresh
                      : response_byte_seen_ ? upstream::ConnectionUse::reused
                                            : upstream::ConnectionUse::reused_silent;
  failed.tries = tries_;
  failed.tries_limit = tries_limit_;
  failed.elapsed = elapsed(first_try_);
  const auto decision = upstream::decide_retry(rules, failed, target_.cluster->retry_budget(), ex_.now());
  switch (decision.account) {
    case upstream::PeerAccount::failure:
      if (cluster().on_failure(*peer_, ex_.now()) == upstream::FailureEffect::disabled) {
        ex_.log(LogLevel::warn, "upstream server temporarily disabled");
      }
      break;
    case upstream::PeerAccount::success: cluster().on_success(*peer_); break;
    case upstream::PeerAccount::untouched: break;
  }
  switch (decision.action) {
    case upstream::RetryAction::same_peer_new_connection:
      only_fresh_ = true;
      ex_.tries.pop_back();
      ex_.thread.metrics.upstream_retries.add();
      return true;
    case upstream::RetryAction::next_peer: {
      only_fresh_ = false;
      upstream::PeerLease failed_peer = std::exchange(peer_, {});
      if (pick()) {
        ex_.thread.metrics.upstream_retries.add();
        return true;
      }
      // Nobody is left to ask: a listed status is passed on after all.
      peer_ = std::move(failed_peer);
      break;
    }
    case upstream::RetryAction::pass_response: return false;
    case upstream::RetryAction::give_up: break;
  }
  const Reason why = decision.reason != Reason::none ? decision.reason : end.error.reason;
  const int status = decision.status != 0 ? decision.status : row(why).status;
  if (end.error.reason != Reason::upstream_status) ex_.reply(status, why);
  return false;
}

}  // namespace

io::Task<void> serve_from_upstream(Exchange& exchange) {
  UpstreamRun run(exchange);
  auto running = run.run();
  co_await running;
}

}  // namespace gatehouse::exchange
