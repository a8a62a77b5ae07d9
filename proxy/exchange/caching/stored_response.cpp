// A stored response on its way to the client.
#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include "proxy/config/settings/proxy_transform.hpp"
#include "proxy/exchange/caching/cache_use.hpp"
#include "proxy/exchange/response_filters.hpp"
#include "proxy/exchange/response_output.hpp"
#include "proxy/exchange/slices.hpp"
#include "proxy/exchange/waf_gate.hpp"
#include "proxy/http/semantics.hpp"
#include "proxy/http/status.hpp"
#include "proxy/io/signal.hpp"

namespace gatehouse::exchange {
namespace {

std::ptrdiff_t read_at(const StoredBody& body, std::uint64_t offset, char* buffer, std::size_t size) {
  return body.stored != nullptr ? body.stored->read_body(offset, buffer, size)
                                : body.writer->read_body(offset, buffer, size);
}

// The head's view of a body that is here whole. Without a Content-Length of the origin's, as in nginx, there is none.
http::ResponseSemantics semantics_of_stored(const http::ResponseHead& head, const cache::FileHeader& header,
                                            http::ResponseSemantics semantics) {
  auto& framing = semantics.framing;
  if (framing.kind == http::BodyKind::none) return semantics;
  if (head.fields.contains(http::FieldId::content_length)) {
    framing.kind = http::BodyKind::length;
    framing.length = header.body_length;
  } else {
    framing.kind = http::BodyKind::chunked;
  }
  return semantics;
}

// As UpstreamRun's inspection of a response, for one that is here whole. True: it may go.
io::Task<bool> pass_waf(Exchange& exchange, const http::ResponseHead& head) {
  const bool wants_body = exchange.waf->wants_response_body(head);
  const cache::StoredResponse& stored = *exchange.cache->stored;
  ScratchString held(exchange.thread);
  bool truncated = false;
  if (wants_body) {
    const ByteCount limit = exchange.waf->response_body_limit();
    const std::uint64_t wanted = std::min<std::uint64_t>(stored.header.body_length, limit);
    truncated = stored.header.body_length > limit;
    held->resize(wanted);
    const std::ptrdiff_t got = stored.read_body(0, held->data(), wanted);
    if (got < 0 || static_cast<std::uint64_t>(got) != wanted) {
      exchange.reply(500, Reason::file_failed);
      co_return false;
    }
  }
  auto decided = exchange.waf->decide_response(head, *held, truncated);
  if (!decided) {
    auto inspecting = exchange.waf->inspect_response(head, *held, truncated);
    decided = co_await inspecting;
  }
  co_return *decided != Step::answered;
}

}  // namespace

http::ResponseParseLimits limits_for(std::string_view stored_head) noexcept {
  http::ResponseParseLimits limits;
  limits.head = std::max<decltype(limits.head)>(limits.head, stored_head.size());
  return limits;
}

io::Task<bool> send_stored_body(Exchange& exchange, StoredBody& body) {
  std::uint64_t offset = 0;
  std::optional<std::uint64_t> end;  // of the one range that is sent
  if (exchange.output && body.complete && !awaits_slices(exchange)) {
    if (const auto range = exchange.output->only_range()) {
      offset = range->first;
      end = range->end;
      exchange.output->drop_range();
    }
  }
  io::BufferPool::Block block = exchange.thread.body_blocks.take();
  bool head = true;
  for (;;) {
    const bool bodiless = head && exchange.is_head();
    while (!bodiless && offset == body.available && !body.complete && !body.failed) {
      auto growing = body.grown->wait();
      co_await growing;
    }
    const std::uint64_t until = end.value_or(body.available);
    const std::size_t wanted = bodiless ? 0 : std::min<std::uint64_t>(block.size(), until - std::min(offset, until));
    const std::ptrdiff_t got = wanted == 0 ? 0 : read_at(body, offset, block.data(), wanted);
    const bool cut = body.failed && offset == body.available;
    if (got != static_cast<std::ptrdiff_t>(wanted) || cut) {
      if (!cut) exchange.log(LogLevel::crit, fmt::format("pread() read only {} of {} from a cache file", got, wanted));
      exchange.reason = Reason::file_failed;
      exchange.downstream.abort();
      co_return false;
    }
    offset += wanted;
    const bool last = bodiless || (body.complete && offset >= until);
    const std::string_view piece(block.data(), wanted);
    auto sending = send_response_piece(exchange, head, piece, last);
    const auto sent = co_await sending;
    if (!sent) {
      exchange.fail_sending(sent.error());
      co_return false;
    }
    if (last) co_return true;
  }
}

io::Task<void> serve_stored(Exchange& exchange) {
  CacheUse& use = *exchange.cache;
  const cache::StoredResponse& stored = *use.stored;
  auto& parser = exchange.upstream_parser.emplace(limits_for(stored.header.head));
  exchange.upstream_fields = nullptr;
  if (parser.parse(stored.header.head) != http::ParseStatus::complete) {
    exchange.log(LogLevel::crit, fmt::format("the stored head in \"{}\" can't be read", use.zone->path_of(use.digest)));
    exchange.reply(500, Reason::bug);
    co_return;
  }
  const http::ResponseHead& head = parser.head();
  exchange.upstream_fields = &head.fields;
  const auto semantics = http::interpret_response(head, use.convert_head ? http::Method::get : exchange.method);
  if (!semantics) {
    exchange.reply(500, Reason::bug);
    co_return;
  }
  if (exchange.waf != nullptr &&
      (exchange.waf->wants_response_body(head) || !exchange.waf->decide_response(head, {}, false))) {
    auto passing = pass_waf(exchange, head);
    if (const bool passed = co_await passing; !passed) co_return;
  }
  if (!adopt_upstream_head(exchange, head, semantics_of_stored(head, stored.header, *semantics))) co_return;
  if (exchange.route->shapes_output || exchange.allow_ranges) {
    if (!settle_output(exchange)) co_return;
  }
  StoredBody body{.stored = &stored, .available = stored.header.body_length, .complete = true};
  if (!http::has_content(exchange.response.status)) body.available = 0;
  auto sending = send_stored_body(exchange, body);
  co_await sending;
}

}  // namespace gatehouse::exchange
