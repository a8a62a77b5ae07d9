#include "proxy/exchange/read_body.hpp"

#include <fmt/format.h>

namespace gatehouse::exchange {

void fail_reading_body(Exchange& exchange, Error error) {
  exchange.downstream.close_after_response();
  exchange.body_dropped = true;
  exchange.fail(error.reason, error.os_error == 0 ? std::string_view{} : exchange.arena.copy(describe(error)));
  // 499 is for the log: one who ended his sending early is not answered, as in nginx, even if he still listens.
  if (error.reason == Reason::client_closed) exchange.downstream.abort();
}

namespace {

// client_body_in_file_only. A body that is sent on as it comes (proxy_request_buffering off) has no file in nginx either.
Result<void> begin_body_file(Exchange& exchange) {
  using InFile = config::LocationSettings::BodyInFile;
  const auto& settings = exchange.settings();
  if (settings.client_body_in_file_only == InFile::off || !settings.proxy_request_buffering) return {};
  const auto& framing = exchange.semantics.framing;
  if ((framing.kind == http::BodyKind::none && !framing.declared) || !exchange.body.empty() || exchange.body.spilled())
    return {};
  const auto end = settings.client_body_in_file_only == InFile::clean ? BodyFileEnd::removed : BodyFileEnd::stays;
  auto begun = exchange.body.begin_file(settings.client_body_temp_path, settings.client_body_temp_levels, end);
  if (begun) {
    exchange.log(LogLevel::notice,
                 fmt::format("a client request body is buffered to a temporary file {}", exchange.body.file_name()));
  }
  return begun;
}

}  // namespace

io::Task<Result<void>> collect_request_body(Exchange& exchange) {
  const auto& settings = exchange.settings();
  if (const auto begun = begin_body_file(exchange); !begun) {
    fail_reading_body(exchange, begun.error());
    co_return begun.error();
  }
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
    const bool was_spilled = exchange.body.spilled();
    const auto stored = exchange.body.append(*piece, settings.client_body_buffer_size, settings.client_body_temp_path);
    if (!stored) {
      fail_reading_body(exchange, stored.error());
      co_return stored.error();
    }
    if (!was_spilled && exchange.body.spilled()) {
      exchange.log(LogLevel::warn, fmt::format("a client request body is buffered to a temporary file in {}",
                                               settings.client_body_temp_path));
    }
  }
  co_return Result<void>{};
}

}  // namespace gatehouse::exchange
