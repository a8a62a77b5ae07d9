#include <utility>

#include <fmt/format.h>

#include "proxy/config/parse_value.hpp"
#include "proxy/config/settings/proxy_transform.hpp"
#include "proxy/exchange/response_filters.hpp"
#include "proxy/exchange/response_output.hpp"
#include "proxy/exchange/response_spool.hpp"
#include "proxy/exchange/upstream/upstream_run.hpp"
#include "proxy/exchange/variables.hpp"
#include "proxy/exchange/waf_gate.hpp"

namespace gatehouse::exchange {
namespace {

// For $upstream_trailer_NAME: the decoder's own copy goes with the body.
void keep_trailers(Exchange& exchange, const http::Fields& trailers) {
  exchange.upstream_trailers = std::make_unique<http::Fields>();
  for (const auto& field : trailers) {
    exchange.upstream_trailers->add(exchange.arena.copy(field.name), exchange.arena.copy(field.value), field.id);
  }
}

}  // namespace

io::Task<AttemptEnd> UpstreamRun::relay(http::ResponseSemantics semantics) {
  cluster().on_success(*peer_);
  const http::ResponseHead& head = parser_.head();
  if (ex_.cache) begin_storing(ex_, head);
  if (config::transform_of(ex_.settings()).store) begin_copy(head);
  ex_.upstream_head.consume(head.size);
  UpstreamBody body(connection_->stream, ex_.thread.body_blocks, semantics.framing, ex_.upstream_head.unread(),
                    ex_.settings().proxy_read_timeout);
  if (ex_.waf != nullptr && (ex_.waf->wants_response_body(head) || !ex_.waf->decide_response(head, {}, false))) {
    auto inspecting = relay_inspected(semantics, body);
    const AttemptEnd end = co_await inspecting;
    if (connection_) current().response_time = elapsed(try_began_);
    finish_connection(semantics, body);
    co_return end;
  }
  const bool adopted = adopt_upstream_head(ex_, head, semantics);
  const auto first = body.ready_piece();
  if (!first) co_return AttemptEnd{first.error()};
  bool complete = false;
  if (adopted || writer() != nullptr) {
    auto relaying =
        writer() != nullptr ? relay_through_cache(semantics, body, *first) : relay_body(semantics, body, *first);
    complete = co_await relaying;
  }
  current().response_length = body.received();
  if (connection_)
    current().response_time = elapsed(try_began_);  // or it was told when the upstream had sent everything
  auto ending = end_request_body();
  co_await ending;
  if (complete) finish_connection(semantics, body);
  co_return AttemptEnd{};
}

// Sends the head with what is here of the body, then the rest as it comes. False when the response was cut.
io::Task<bool> UpstreamRun::relay_body(const http::ResponseSemantics& semantics, UpstreamBody& body,
                                       std::string_view first) {
  if (ex_.is_head() && !body.finished()) {
    // The upstream was asked for more than the client: a cache would have wanted the body.
    auto sending = send_response_head(ex_, {}, true);
    const auto sent = co_await sending;
    if (!sent) ex_.fail_sending(sent.error());
    co_return false;
  }
  {
    // Trailers need a last chunk of their own.
    const bool whole = body.finished() && passed_trailers(body) == nullptr;
    if (ex_.route->shapes_output || ex_.allow_ranges) {
      if (!settle_output(ex_)) co_return false;
    }
    auto sending = send_response_head(ex_, first, whole);
    const auto sent = co_await sending;
    if (!sent) {
      ex_.fail_sending(sent.error());
      co_return false;
    }
    if (body.finished() && !whole) {
      auto ending = send_response_body(ex_, {}, true, passed_trailers(body));
      const auto ended = co_await ending;
      if (!ended) {
        ex_.fail_sending(ended.error());
        co_return false;
      }
    }
  }
  const std::uint64_t rate = rate_from_upstream();
  while (!body.finished()) {
    auto pulling = pull(body, rate);
    const auto piece = co_await pulling;
    if (!piece) {
      cut_short(piece.error());
      co_return false;
    }
    if (piece->empty() && !body.finished()) continue;
    if (!ex_.flush_each_piece && !body.finished()) {
      io::Child<Result<void>> sending(send_response_body(ex_, *piece, false, nullptr));
      if (!sending.done()) {
        auto relaying = relay_ahead(semantics, body, sending);
        co_return co_await relaying;
      }
      auto joining = sending.join();
      const auto sent = co_await joining;
      if (!sent) {
        ex_.fail_sending(sent.error());
        co_return false;
      }
      continue;
    }
    auto sending = send_response_body(ex_, *piece, body.finished(), passed_trailers(body));
    const auto sent = co_await sending;
    if (!sent) {
      ex_.fail_sending(sent.error());
      co_return false;
    }
  }
  if (body.trailers() != nullptr) keep_trailers(ex_, *body.trailers());
  co_return true;
}

const http::Fields* UpstreamRun::passed_trailers(const UpstreamBody& body) const noexcept {
  return config::transform_of(ex_.settings()).pass_trailers ? body.trailers() : nullptr;
}

// The upstream's failure in the middle of a response: what the client has got of it stays cut off.
void UpstreamRun::cut_short(Error error) {
  if (error.reason == Reason::canceled) error = {Reason::client_closed};
  if (error.reason != Reason::client_closed)
    ex_.log(LogLevel::error, fmt::format("{} while reading upstream", describe(error)));
  ex_.reason = error.reason;
  ex_.downstream.abort();
}

// The client is slower than the upstream: what the upstream sends is read on beside `sending`, so that its connection is free again
// as soon as it has sent everything.
io::Task<bool> UpstreamRun::relay_ahead(const http::ResponseSemantics& semantics, UpstreamBody& body,
                                        io::Child<Result<void>>& sending) {
  const auto& settings = ex_.settings();
  const io::BufferPool::Block sent_from = body.give_block();
  ResponseSpool spool(ex_.thread.reactor, ex_.thread.body_blocks,
                      {.memory = settings.proxy_buffers_number * settings.proxy_buffers_size,
                       .file = settings.proxy_max_temp_file_size,
                       .directory = settings.proxy_temp_path});
  io::Child<Result<bool>> reading(read_ahead(semantics, body, spool));
  auto joining_first = sending.join();
  Result<void> sent = co_await joining_first;
  bool complete = false;
  while (sent && !complete) {
    auto taking = spool.take();
    const auto piece = co_await taking;
    if (!piece) {
      cut_short(piece.error());
      break;
    }
    complete = spool.drained();
    auto sending_more = send_response_body(ex_, *piece, complete, complete ? passed_trailers(body) : nullptr);
    sent = co_await sending_more;
  }
  if (!sent) ex_.fail_sending(sent.error());
  if (!sent || !complete) {
    spool.give_up();
    if (connection_) connection_->stream.cancel();
  }
  auto joining = reading.join();
  co_await joining;
  if (body.trailers() != nullptr) keep_trailers(ex_, *body.trailers());
  co_return sent.has_value() && complete;
}

io::Task<Result<bool>> UpstreamRun::read_ahead(const http::ResponseSemantics& semantics, UpstreamBody& body,
                                               ResponseSpool& spool) {
  const std::uint64_t rate = rate_from_upstream();
  bool told = false;
  while (!body.finished()) {
    auto pulling = pull(body, rate);
    const auto piece = co_await pulling;
    if (!piece) {
      spool.finish(piece.error());
      co_return false;
    }
    if (piece->empty()) continue;
    auto keeping = spool.append(*piece);
    if (const auto kept = co_await keeping; !kept) {
      spool.finish(kept.error());
      co_return false;
    }
    if (spool.used_file() && !std::exchange(told, true)) {
      ex_.log(LogLevel::warn,
              fmt::format("an upstream response is buffered to a temporary file in {} while reading upstream",
                          ex_.settings().proxy_temp_path));
    }
  }
  current().response_length = body.received();
  auto leaving = let_go(semantics, body);
  co_await leaving;
  if (connection_) {
    connection_->stream.close();
    connection_ = nullptr;
  }
  spool.finish();
  co_return true;
}

// proxy_limit_rate: bytes per second; 0 is no limit.
std::uint64_t UpstreamRun::rate_from_upstream() {
  const auto& limit = config::transform_of(ex_.settings()).limit_rate;
  return limit ? config::parse_size(evaluate(*limit, ex_), config::Gigabytes::accepted).value_or(0) : 0;
}

// The next piece of the body, no sooner than `rate` allows, and counted.
io::Task<Result<std::string_view>> UpstreamRun::pull(UpstreamBody& body, std::uint64_t rate) {
  if (rate != 0) {
    auto pacing = pace(body, rate);
    co_await pacing;
  }
  auto pulling = body.next_piece();
  const auto piece = co_await pulling;
  if (piece) current().bytes_received += piece->size();
  co_return piece;
}

// The whole body is here: the upstream has done its part, however long the client takes.
io::Task<void> UpstreamRun::let_go(const http::ResponseSemantics& semantics, const UpstreamBody& body) {
  current().response_time = elapsed(try_began_);
  auto ending = end_request_body();
  co_await ending;
  finish_connection(semantics, body);
}

io::Task<void> UpstreamRun::pace(const UpstreamBody& body, std::uint64_t rate) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(ex_.now() - try_began_).count();
  const std::uint64_t allowed = rate * (static_cast<std::uint64_t>(seconds) + 1);
  if (body.received() <= allowed) co_return;
  co_await ex_.thread.reactor.sleep_until(ex_.now() + Milliseconds((body.received() - allowed) * 1000 / rate + 1));
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
  auto ending = end_request_body();
  co_await ending;
  if (step == Step::answered) {
    if (writer() != nullptr) give_up_writing();
    co_return AttemptEnd{};
  }
  const bool adopted = adopt_upstream_head(ex_, head, semantics);
  std::string_view first = *held;
  if (first.empty()) {
    const auto ready = body.ready_piece();
    if (!ready) co_return AttemptEnd{ready.error()};
    first = *ready;
  }
  if (adopted || writer() != nullptr) {
    auto relaying =
        writer() != nullptr ? relay_through_cache(semantics, body, first) : relay_body(semantics, body, first);
    co_await relaying;
  }
  current().response_length = body.received();
  co_return AttemptEnd{};
}

}  // namespace gatehouse::exchange
