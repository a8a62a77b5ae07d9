#include "proxy/session/tunnel.hpp"

#include <array>

#include "proxy/io/child.hpp"

namespace gatehouse::session {
namespace {

// One direction of a tunnel with the time at which either moved last.
struct Direction {
  exchange::ThreadState& thread;
  io::Stream& from;
  io::Stream& to;
  Milliseconds idle_timeout;
  TimePoint& last_moved;
  std::uint64_t& moved;
};

io::Task<Error> send_all(Direction direction, std::string_view bytes) {
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  auto send = io::Send(direction.to, {&part, 1}, direction.idle_timeout);
  const auto sent = co_await send;
  direction.moved += send.sent;
  direction.last_moved = direction.thread.reactor.now();
  co_return sent ? Error{} : sent.error();
}

// Until `from` ends, which is passed on as a half-close, or a failure, which ends the other direction too.
io::Task<Result<bool>> copy(Direction direction) {
  io::BufferPool::Block block;
  Error error;
  for (;;) {
    if (!direction.from.has_buffered()) {
      // No buffer is held while nothing comes: most tunnels are idle most of the time.
      const auto since = direction.thread.reactor.now() - direction.last_moved;
      const auto left = direction.idle_timeout - std::chrono::duration_cast<Milliseconds>(since);
      auto waiting = io::wait_readable(direction.from, std::max(left, Milliseconds{1}));
      const auto ready = co_await waiting;
      if (!ready) {
        const bool other_moved = direction.thread.reactor.now() - direction.last_moved < direction.idle_timeout;
        if (ready.error().reason == Reason::timed_out && other_moved) continue;
        error = ready.error();
        break;
      }
    }
    block = direction.thread.body_blocks.take();
    auto receive = io::Receive(direction.from, {block.data(), block.size()}, direction.idle_timeout);
    const auto got = co_await receive;
    if (!got) {
      error = got.error();
      break;
    }
    if (*got == 0) {
      // TLS has no half-close that peers agree on: there the end of one direction is the end of both.
      if (direction.to.ssl() != nullptr || direction.from.ssl() != nullptr)
        direction.to.cancel();
      else
        direction.to.socket().shutdown_write();
      co_return true;
    }
    auto sending = send_all(direction, {block.data(), *got});
    error = co_await sending;
    if (error.reason != Reason::none) break;
    block.release();
  }
  direction.from.cancel();
  direction.to.cancel();
  co_return error;
}

}  // namespace

io::Task<TunnelEnd> run_tunnel(exchange::ThreadState& thread, io::Stream& client, io::Stream& upstream,
                               std::string_view early, Milliseconds idle_timeout) {
  TunnelEnd end;
  TimePoint last_moved = thread.reactor.now();
  const Direction up{thread, client, upstream, idle_timeout, last_moved, end.to_upstream};
  const Direction down{thread, upstream, client, idle_timeout, last_moved, end.to_client};
  if (!early.empty()) {
    auto sending = send_all(up, early);
    end.error = co_await sending;
    if (end.error.reason != Reason::none) co_return end;
  }
  io::Child<Result<bool>> upward(copy(up));
  auto downward = copy(down);
  const auto down_ended = co_await downward;
  if (!down_ended || client.ssl() != nullptr || upstream.ssl() != nullptr) client.cancel();
  auto joining = upward.join();
  const auto up_ended = co_await joining;
  if (!down_ended && down_ended.error().reason != Reason::canceled)
    end.error = down_ended.error();
  else if (!up_ended && up_ended.error().reason != Reason::canceled)
    end.error = up_ended.error();
  co_return end;
}

}  // namespace gatehouse::session
