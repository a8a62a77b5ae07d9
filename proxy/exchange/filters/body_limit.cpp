#include "proxy/exchange/filters/body_limit.hpp"

#include <fmt/format.h>

#include "proxy/exchange/exchange.hpp"

namespace gatehouse::exchange {

Step check_announced_body(Exchange& exchange) {
  const ByteCount limit = exchange.settings().client_max_body_size;
  const auto& framing = exchange.semantics.framing;
  if (exchange.body_dropped || limit == 0 || framing.kind != http::BodyKind::length || framing.length <= limit)
    return Step::next;
  exchange.downstream.close_after_response();
  exchange.body_dropped = true;
  exchange.fail(Reason::body_too_large, exchange.arena.copy(fmt::format("{} bytes", framing.length)));
  return Step::answered;
}

}  // namespace gatehouse::exchange
