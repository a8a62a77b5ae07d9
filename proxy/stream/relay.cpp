#include "proxy/stream/relay.hpp"

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>
#include <openssl/err.h>

#include "certs/error_queue.hpp"
#include "proxy/config/parse_value.hpp"
#include "proxy/io/child.hpp"
#include "proxy/stream/variables.hpp"

namespace gatehouse::stream {

io::Task<void> Relay::run() {
  began_ = last_moved_ = session_.now();
  io::Child<FlowEnd> upward(flow(Side::client));
  auto downward = flow(Side::upstream);
  co_await downward;
  auto joining = upward.join();
  co_await joining;
}

void Relay::cancel() {
  stopped_ = true;
  client_.cancel();
  upstream_.cancel();
  stop_.notify_all();
}

std::uint64_t Relay::rate_of(Side from) const {
  const auto& rate = from == Side::client ? session_.stream().proxy_upload_rate : session_.stream().proxy_download_rate;
  if (!rate) return 0;
  return config::parse_size(evaluate(*rate, session_)).value_or(0);
}

io::Task<Relay::FlowEnd> Relay::flow(Side from) {
  const std::uint64_t rate = rate_of(from);
  std::uint64_t moved = 0;
  io::BufferPool::Block block;
  while (!stopped_) {
    std::size_t most = session_.thread.body_blocks.block_size();
    most = std::min<std::size_t>(most, std::max<ByteCount>(session_.stream().proxy_buffer_size, 1));
    if (rate != 0) {
      auto pacing = await_rate(from, rate, moved, most);
      if (const bool ready = co_await pacing; !ready) co_return FlowEnd::stopped;
    }
    auto waiting = await_bytes(from);
    if (const bool ready = co_await waiting; !ready) co_return FlowEnd::stopped;
    block = session_.thread.body_blocks.take();
    auto receive = io::Receive(stream(from), {block.data(), most}, session_.stream().proxy_timeout);
    const auto got = co_await receive;
    if (!got && (got.error().reason == Reason::canceled || stopped_)) co_return FlowEnd::stopped;
    if (!got && got.error().reason == Reason::timed_out) continue;  // a part of a TLS record: judged by await_bytes()
    if (!got) log_failure(from, true, got.error());
    if (!got || *got == 0) {
      on_end_of(from);
      co_return FlowEnd::closed;
    }
    moved += *got;
    count_received(from, *got);
    auto sending = send(from, {block.data(), *got});
    if (const bool sent = co_await sending; !sent) co_return FlowEnd::stopped;
    block.release();
  }
  co_return FlowEnd::stopped;
}

// nginx's pace: so many bytes in each second, the one that runs included.
io::Task<bool> Relay::await_rate(Side, std::uint64_t rate, std::uint64_t moved, std::size_t& most) {
  for (;;) {
    const auto elapsed = std::chrono::duration_cast<std::chrono::seconds>(session_.now() - began_).count();
    const std::uint64_t allowed = rate * (static_cast<std::uint64_t>(elapsed) + 1);
    if (allowed > moved) {
      most = static_cast<std::size_t>(std::min<std::uint64_t>(most, allowed - moved));
      co_return true;
    }
    last_moved_ = session_.now();  // it would move if it were let
    auto waiting = stop_.wait(began_ + std::chrono::seconds(elapsed + 1));
    co_await waiting;
    if (stopped_) co_return false;
  }
}

// No buffer is held while nothing comes: most sessions are idle most of the time.
io::Task<bool> Relay::await_bytes(Side from) {
  while (!stream(from).has_buffered()) {
    const Milliseconds limit = session_.stream().proxy_timeout;
    const auto left = limit - std::chrono::duration_cast<Milliseconds>(session_.now() - last_moved_);
    auto waiting = io::wait_readable(stream(from), std::max(left, Milliseconds{1}));
    const auto ready = co_await waiting;
    if (ready) co_return true;
    if (ready.error().reason != Reason::timed_out || stopped_) co_return false;
    if (session_.now() - last_moved_ < limit) continue;  // the other direction moved
    session_.log(LogLevel::info, with_errno("connection timed out", ETIMEDOUT), "proxying connection");
    cancel();
    co_return false;
  }
  co_return true;
}

io::Task<bool> Relay::send(Side from, std::string_view bytes) {
  const Side to = from == Side::client ? Side::upstream : Side::client;
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  auto operation = io::Send(stream(to), {&part, 1}, session_.stream().proxy_timeout);
  const auto sent = co_await operation;
  (to == Side::client ? session_.sent : session_.tries.back().bytes_sent) += operation.sent;
  last_moved_ = session_.now();
  if (sent) co_return true;
  if (sent.error().reason == Reason::canceled || stopped_) co_return false;
  if (sent.error().reason == Reason::timed_out) {
    session_.log(LogLevel::info, with_errno("connection timed out", ETIMEDOUT), "proxying connection");
  } else {
    log_failure(to, false, sent.error());
  }
  cancel();
  co_return false;
}

void Relay::count_received(Side from, std::size_t bytes) {
  last_moved_ = session_.now();
  if (from == Side::client) {
    session_.received += bytes;
    return;
  }
  UpstreamTry& current = session_.tries.back();
  current.bytes_received += bytes;
  if (current.first_byte_time.count() < 0) {
    const auto since = std::chrono::duration_cast<Milliseconds>(session_.now() - began_);
    current.first_byte_time = std::max(current.connect_time, Milliseconds{0}) + since;
  }
}

// Everything that this side had sent was passed on: flow() receives only after it has sent.
void Relay::on_end_of(Side from) {
  ++closed_sides_;
  if (session_.stream().proxy_half_close && closed_sides_ < 2) {
    io::Stream& to = stream(from == Side::client ? Side::upstream : Side::client);
    if (to.ssl() != nullptr) {
      ERR_clear_error();
      SSL_shutdown(to.ssl());
      ERR_clear_error();
    }
    to.socket().shutdown_write();
    return;
  }
  const UpstreamTry& current = session_.tries.back();
  if (session_.logs(LogLevel::info)) {
    session_.log_plain(LogLevel::info,
                       fmt::format("{} disconnected, bytes from/to client:{}/{}, bytes from/to upstream:{}/{}",
                                   from == Side::client ? "client" : "upstream", session_.received, session_.sent,
                                   current.bytes_received, current.bytes_sent));
  }
  cancel();
}

void Relay::log_failure(Side side, bool reading, Error error) const {
  const LogLevel level = side == Side::client ? LogLevel::info : LogLevel::error;
  const bool tls = error.os_error == EPROTO;
  const std::string text = tls ? certs::with_openssl_errors(reading ? "SSL_read() failed" : "SSL_write() failed")
                               : with_errno(reading ? "recv() failed" : "send() failed", error.os_error);
  session_.log(level, text,
               reading
                   ? (side == Side::client ? "proxying and reading from client" : "proxying and reading from upstream")
                   : (side == Side::client ? "proxying and sending to client" : "proxying and sending to upstream"));
}

}  // namespace gatehouse::stream
