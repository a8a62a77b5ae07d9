#include <array>

#include "proxy/exchange/upstream/upstream_run.hpp"
#include "proxy/http/chunked.hpp"

namespace gatehouse::exchange {

io::Task<Error> UpstreamRun::send_request() {
  std::string_view memory = plan_.kind == UpstreamBodyPlan::Kind::buffered ? ex_.body.memory() : std::string_view{};
  if (set_body_) memory = *set_body_;
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
  } else if (plan_.kind == UpstreamBodyPlan::Kind::buffered && ex_.body.spilled() && !set_body_) {
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

// The response is over, or decided: a request body that is still on its way has lost its purpose, and so has what would follow it.
io::Task<void> UpstreamRun::end_request_body() {
  if (!pump_) co_return;
  auto stopping = stop_pump();
  co_await stopping;
  if (!request_sent_whole_) ex_.downstream.close_after_response();
}

}  // namespace gatehouse::exchange
