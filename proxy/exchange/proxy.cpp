#include "proxy/exchange/proxy.hpp"

#include <fmt/format.h>

#include "proxy/config/settings/proxy_transform.hpp"
#include "proxy/exchange/debug_log.hpp"
#include "proxy/exchange/read_body.hpp"
#include "proxy/exchange/slices.hpp"
#include "proxy/exchange/subrequest.hpp"
#include "proxy/exchange/upstream/sticky.hpp"
#include "proxy/exchange/upstream/upstream_run.hpp"
#include "proxy/exchange/variables.hpp"
#include "proxy/io/signal.hpp"

namespace gatehouse::exchange {

io::Task<void> UpstreamRun::run() {
  if (ex_.parent == nullptr) ex_.slicing.reset();
  auto found = find_target(ex_);
  if (!found) {
    ex_.fail(found.error().reason);
    co_return;
  }
  target_ = std::move(*found);
  ex_.cache.reset();
  ex_.upstream_trailers.reset();
  if (const auto& framing = ex_.semantics.framing; framing.kind != http::BodyKind::none || framing.declared) {
    auto preparing = prepare_body();
    if (const bool ready = co_await preparing; !ready) co_return;
  }
  // Behind the body, which a key may name ($request_body).
  if (ex_.settings().cache) {
    auto looking = look_up(ex_, target_);
    const Lookup looked = co_await looking;
    if (looked == Lookup::answered) co_return;
    if (looked == Lookup::serve) {
      auto serving = serve_from_cache();
      co_await serving;
      co_return;
    }
  }
  if (const auto& body = config::transform_of(ex_.settings()).set_body) {
    set_body_ = ex_.arena.copy(evaluate(*body, ex_));
    plan_ = {UpstreamBodyPlan::Kind::buffered, set_body_->size()};
  }
  asks_upgrade_ = write_upstream_head(ex_, target_, plan_, *head_text_);
  if (ex_.debugs()) tell_upstream_request(ex_, *head_text_);
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
    if (end.error.reason == Reason::none) {
      account_success();
      break;
    }
    if (!retry(end)) break;
  }
  ex_.debug("finalize http upstream request: {}", ex_.response.status);
  peer_.reset();
  if (!ex_.cache) co_return;
  if (serves_stored_) {
    auto serving = serve_from_cache();
    co_await serving;
  } else if (ex_.local && !ex_.downstream.head_sent() && (ex_.error_status == 502 || ex_.error_status == 504)) {
    remember_failure(ex_, ex_.error_status);
  }
}

// The entry that was found answers; if need be it is fetched anew behind that.
io::Task<void> UpstreamRun::serve_from_cache() {
  auto serving = serve_stored(ex_);
  co_await serving;
  if (!ex_.cache->update_behind) {
    ex_.cache->hold.release();
    co_return;
  }
  if (!ex_.background) ex_.background = std::make_unique<BackgroundSubrequests>();
  ex_.background->start(ex_, Repeat::for_cache);
}

// With request buffering the body is here before a peer is chosen, so that it can be sent again.
io::Task<bool> UpstreamRun::prepare_body() {
  const auto& framing = ex_.semantics.framing;
  const bool to_file = ex_.settings().client_body_in_file_only != config::LocationSettings::BodyInFile::off &&
                       ex_.settings().proxy_request_buffering;
  const bool empty = framing.kind == http::BodyKind::none;  // "Content-Length: 0" has a file too
  const bool sends = !empty && ex_.settings().proxy_pass_request_body;
  if (ex_.body_dropped || (!sends && !to_file)) co_return true;
  const bool old_version = ex_.settings().proxy_http_version == 10;
  // A small body that came along with its head costs no wait: it is sent with the head then, and can be sent again.
  const bool at_hand = framing.kind == http::BodyKind::length && ex_.downstream.body_at_hand() &&
                       framing.length <= ex_.settings().client_body_buffer_size;
  if (ex_.settings().proxy_request_buffering || at_hand || !ex_.body.empty() ||
      (old_version && framing.kind == http::BodyKind::chunked)) {
    auto collecting = collect_request_body(ex_);
    const auto collected = co_await collecting;
    if (!collected) co_return false;
    if (sends) plan_ = {UpstreamBodyPlan::Kind::buffered, ex_.body.size()};
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
  const config::Sticky* const sticky = target_.cluster->spec().sticky.get();
  if (sticky != nullptr) key.sticky = bound_server(ex_, *sticky);
  const auto picked = cluster().pick(key, attempt_state_, ex_.now());
  if (!picked) {
    if (tries_ > 0) return false;  // the last attempt's failure is the answer
    ex_.upstream_url = ex_.arena.concat(std::string_view(target_.tls ? "https://" : "http://"),
                                        std::string_view(cluster().name()), target_.uri);
    ex_.log(LogLevel::error, fmt::format("{} while connecting to upstream", describe(picked.error())));
    if (!stale_serves(config::next_error)) ex_.reply(row(picked.error().reason).status, picked.error().reason);
    return false;
  }
  peer_ = upstream::PeerLease(cluster(), **picked);
  if (sticky != nullptr && sticky->kind == config::Sticky::Kind::cookie) {
    tell_client(ex_, *sticky, peer_->spec.sticky_id);
  }
  ++tries_;
  return true;
}

// The attempt gave the exchange its response: what balancing learns from it.
void UpstreamRun::account_success() {
  if (!peer_ || current().header_time.count() < 0) return;
  const UpstreamTry& last = current();
  peer_.on_answer(last.response_time, ex_.now());
  cluster().on_times(*peer_, last.header_time, last.response_time);
  const config::Sticky* const sticky = target_.cluster->spec().sticky.get();
  if (sticky != nullptr && sticky->kind == config::Sticky::Kind::learn && !sticky->after_head) {
    learn_session(ex_, *sticky, peer_->spec.sticky_id);
  }
}

io::Task<AttemptEnd> UpstreamRun::attempt() {
  try_began_ = ex_.now();
  ex_.debug("get peer, try: {}, peer: {}", tries_, peer_->address_text);
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
  // What is to be stored is fetched to its end, whoever waits for it.
  if (!ex_.cache || !ex_.cache->may_store) ex_.downstream.watch_client(&connection_->stream);

  ex_.debug("http upstream send request");
  auto sending = send_request();
  const Error send_error = co_await sending;
  // An origin may have answered before it stopped reading: look, unless the client is the reason.
  if (send_error.reason != Reason::none && send_error.reason != Reason::upstream_send) co_return AttemptEnd{send_error};

  ex_.debug("http upstream process header");
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
  if (ex_.debugs()) tell_upstream_response(ex_, parser_.head());
  if (!cluster().time_rules().whole_response) peer_.on_answer(current().header_time, ex_.now());
  const auto semantics = http::interpret_response(parser_.head(), upstream_method());
  if (!semantics) co_return AttemptEnd{semantics.error()};
  if (semantics->tunnel) {
    if (!asks_upgrade_ || parser_.head().status != 101) co_return AttemptEnd{{Reason::upstream_bad_interim}};
    auto tunneling = tunnel();
    co_return co_await tunneling;
  }
  if (const auto& sticky = target_.cluster->spec().sticky; sticky && sticky->after_head) {
    learn_session(ex_, *sticky, peer_->spec.sticky_id);
  }
  if (is_retriable_status(parser_.head().status)) {
    const AttemptEnd listed{{Reason::upstream_status}, parser_.head().status};
    if (retry(listed)) co_return AttemptEnd{{}, 0, true};
    if (serves_stored_) co_return AttemptEnd{};
  }
  if (ex_.cache) {
    const bool stale = stale_serves(stale_words(parser_.head().status));
    serves_stored_ = stale || revalidate(ex_, parser_.head());
    if (serves_stored_) {
      auto dropping = drop_response(*semantics);
      co_await dropping;
      co_return AttemptEnd{};
    }
  }
  if (const auto to = accel_redirect()) {
    auto leaving = leave_for(*semantics, *to);
    co_return co_await leaving;
  }
  if (is_intercepted(parser_.head().status)) {
    auto intercepting = intercept(*semantics);
    co_return co_await intercepting;
  }
  auto relaying = relay(*semantics);
  co_return co_await relaying;
}

io::Task<void> serve_from_upstream(Exchange& exchange) {
  {
    UpstreamRun run(exchange);
    auto running = run.run();
    co_await running;
  }
  if (!exchange.slicing) co_return;
  auto slicing = send_other_slices(exchange);
  co_await slicing;
}

}  // namespace gatehouse::exchange
