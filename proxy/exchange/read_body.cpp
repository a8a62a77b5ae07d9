#include "proxy/exchange/read_body.hpp"

namespace gatehouse::exchange {

void fail_reading_body(Exchange& exchange, Error error) {
  exchange.downstream.close_after_response();
  exchange.body_dropped = true;
  exchange.fail(error.reason, error.os_error == 0 ? std::string_view{} : exchange.arena.copy(describe(error)));
  // 499 is for the log: one who ended his sending early is not answered, as in nginx, even if he still listens.
  if (error.reason == Reason::client_closed) exchange.downstream.abort();
}

io::Task<Result<void>> collect_request_body(Exchange& exchange) {
  const auto& settings = exchange.settings();
  if (exchange.body.empty()) exchange.body.give_memory(exchange.thread.take_string());
  while (!exchange.downstream.body_finished()) {
    auto reading = exchange.downstream.read_body();
    const auto piece = co_await reading;
    if (!piece) {
      fail_reading_body(exchange, piece.error());
      co_return piece.error();
    }
    if (piece->empty()) break;
    if (settings.client_max_body_size != 0 && exchange.body.size() + piece->size() > settings.client_max_body_size) {
      const Error error{Reason::body_too_large};
      fail_reading_body(exchange, error);
      co_return error;
    }
    const auto stored = exchange.body.append(*piece, settings.client_body_buffer_size, settings.client_body_temp_path);
    if (!stored) {
      fail_reading_body(exchange, stored.error());
      co_return stored.error();
    }
  }
  co_return Result<void>{};
}

}  // namespace gatehouse::exchange
