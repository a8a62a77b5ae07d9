#include "proxy/session/h1_session.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <sys/socket.h>

#include "proxy/exchange/exchange.hpp"
#include "proxy/exchange/run_exchange.hpp"
#include "proxy/http/local_reply.hpp"
#include "proxy/http/request_parser.hpp"
#include "proxy/session/h1_downstream.hpp"

namespace gatehouse::session {
namespace {

constexpr std::size_t kReadAtLeast = 1024;

// What reading a head came to.
enum class HeadEnd : std::uint8_t { complete, refused, closed };

}  // namespace

// The requests of one connection from one wait to the next.
class H1Session {
 public:
  explicit H1Session(H1Connection& connection)
      : connection_(connection),
        thread_(connection.thread_),
        stream_(connection.stream_),
        info_(connection.info_),
        place_(connection.place_),
        buffer_(thread_.head_blocks) {}

  io::Task<bool> run();

 private:
  io::Task<HeadEnd> read_head();
  io::Task<Afterwards> serve_one();
  io::Task<Afterwards> refuse(Reason why);
  io::Task<void> linger();

  H1Connection& connection_;
  exchange::ThreadState& thread_;
  io::Stream& stream_;
  exchange::ConnectionInfo& info_;
  Place& place_;
  io::ReadBuffer buffer_;
  http::RequestParser parser_;
  Reason refusal_ = Reason::none;
};

io::Task<HeadEnd> H1Session::read_head() {
  const exchange::ServerRuntime& server = place_.default_server();
  parser_.set_limits(server.parse_limits);
  parser_.reset();
  const TimePoint deadline = thread_.reactor.now() + server.server->settings.client_header_timeout;
  for (;;) {
    if (!buffer_.empty()) {
      switch (parser_.parse(buffer_.unread())) {
        case http::ParseStatus::complete: co_return HeadEnd::complete;
        case http::ParseStatus::failed: refusal_ = parser_.reason(); co_return HeadEnd::refused;
        case http::ParseStatus::incomplete: break;
      }
    }
    const auto left = std::chrono::duration_cast<Milliseconds>(deadline - thread_.reactor.now());
    auto receive = io::Receive(stream_, buffer_.prepare(kReadAtLeast), std::max(left, Milliseconds{1}));
    const auto got = co_await receive;
    if (got && *got > 0) {
      buffer_.commit(*got);
      continue;
    }
    if (!got && got.error().reason == Reason::timed_out && parser_.started()) {
      refusal_ = Reason::head_timeout;
      co_return HeadEnd::refused;
    }
    co_return HeadEnd::closed;
  }
}

io::Task<Afterwards> H1Session::refuse(Reason why) {
  static const http::RequestSemantics kNothing;
  H1Downstream downstream(thread_, stream_, buffer_, parser_.head(), kNothing, info_);
  exchange::Exchange exchange(thread_, place_.generation, downstream, info_, parser_.head(), kNothing);
  auto refusing = exchange::refuse_exchange(exchange, *place_.listener, why);
  co_await refusing;
  auto finishing = downstream.finish();
  const Afterwards afterwards = co_await finishing;
  // What follows a broken head can't be understood, but it may still be coming.
  co_return afterwards == Afterwards::close&& why != Reason::tls_on_plain_port ? Afterwards::linger : afterwards;
}

io::Task<Afterwards> H1Session::serve_one() {
  const auto semantics = http::validate_request(parser_.head());
  if (!semantics) {
    auto refusing = refuse(semantics.error().reason);
    co_return co_await refusing;
  }
  H1Downstream downstream(thread_, stream_, buffer_, parser_.head(), *semantics, info_);
  downstream.allow_keep_alive(semantics->after == http::AfterMessage::keep);
  exchange::Exchange exchange(thread_, place_.generation, downstream, info_, parser_.head(), *semantics);
  auto running = exchange::run_exchange(exchange, *place_.listener);
  co_await running;
  connection_.keepalive_timeout_ = exchange.settings().keepalive_timeout;
  connection_.keepalive_min_timeout_ = exchange.settings().keepalive_min_timeout;
  auto finishing = downstream.finish();
  co_return co_await finishing;
}

// Closes our side and reads what still comes, so that a reset does not take the answer away from a client that is still sending.
io::Task<void> H1Session::linger() {
  const auto& settings = place_.default_server().server->root.settings;
  if (settings.lingering_close == config::LocationSettings::LingeringClose::off) co_return;
  if (stream_.ssl() != nullptr) SSL_shutdown(stream_.ssl());
  stream_.socket().shutdown_write();
  const TimePoint deadline = thread_.reactor.now() + settings.lingering_time;
  io::BufferPool::Block block = thread_.head_blocks.take();
  while (thread_.reactor.now() < deadline && !thread_.draining) {
    // Below TLS: nothing of what comes is looked at.
    auto waiting = io::wait_readable(stream_, settings.lingering_timeout);
    const auto ready = co_await waiting;
    if (!ready) break;
    const ssize_t got = ::recv(stream_.socket().fd(), block.data(), block.size(), MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN)) break;
    if (got < 0) stream_.socket().descriptor().readable = false;
  }
}

io::Task<bool> H1Session::run() {
  do {
    place_.follow(thread_);
    auto reading = read_head();
    const HeadEnd head = co_await reading;
    if (head == HeadEnd::closed) co_return false;
    ++info_.requests;
    Afterwards afterwards = Afterwards::close;
    if (head == HeadEnd::refused) {
      auto refusing = refuse(refusal_);
      afterwards = co_await refusing;
    } else {
      auto serving = serve_one();
      afterwards = co_await serving;
    }
    switch (afterwards) {
      case Afterwards::next_request: break;
      case Afterwards::close: co_return false;
      case Afterwards::linger: {
        auto lingering = linger();
        co_await lingering;
        co_return false;
      }
      case Afterwards::reset: stream_.socket().set_reset_on_close(); co_return false;
      case Afterwards::tunneled: co_return false;
    }
  } while (!buffer_.empty() || stream_.has_buffered());
  co_return true;
}

void Place::follow(const exchange::ThreadState& thread) {
  if (generation == thread.generation) return;
  const auto& listeners = thread.generation->shared->listener_by_address;
  const auto found = listeners.find(listener->listener->address);
  if (found == listeners.end()) return;
  generation = thread.generation;
  listener = &generation->shared->listeners[found->second];
}

std::optional<Milliseconds> H1Connection::begin_wait() {
  place_.follow(thread_);
  if (info_.requests == 0) return place_.default_server().server->settings.client_header_timeout;
  if (keepalive_min_timeout_.count() > 0) {
    // Not marked idle: neither a shutdown nor want of room ends it.
    guarded_ = true;
    thread_.metrics.connections_waiting.add();
    return std::min(keepalive_min_timeout_, keepalive_timeout_);
  }
  if (thread_.draining) return std::nullopt;
  place_.log().debug(info_.debug, info_.number, "set http keepalive handler");
  entry_.set_idle(true);
  thread_.metrics.connections_waiting.add();
  return keepalive_timeout_;
}

bool H1Connection::end_wait(bool timed_out) {
  if (std::exchange(guarded_, false)) {
    thread_.metrics.connections_waiting.subtract();
    if (!timed_out) return false;
    // The rest of keepalive_timeout, now as any other.
    keepalive_timeout_ -= std::exchange(keepalive_min_timeout_, Milliseconds{0});
    return keepalive_timeout_.count() > 0;
  }
  if (!entry_.idle()) return false;
  place_.log().debug(info_.debug, info_.number, "http keepalive handler");
  entry_.set_idle(false);
  thread_.metrics.connections_waiting.subtract();
  return false;
}

io::Task<bool> H1Connection::serve() {
  H1Session session(*this);
  auto running = session.run();
  co_return co_await running;
}

}  // namespace gatehouse::session
