#include "proxy/stream/udp_session.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include <fmt/format.h>
#include <sys/socket.h>

#include "proxy/exchange/plain_address.hpp"
#include "proxy/http/proxy_protocol.hpp"
#include "proxy/stream/admit.hpp"
#include "proxy/stream/stream_thread.hpp"
#include "proxy/stream/variables.hpp"

namespace gatehouse::stream {
namespace {

constexpr int kOk = 200;
constexpr int kInternalError = 500;
constexpr int kBadGateway = 502;

}  // namespace

UdpSession::UdpSession(StreamThread& owner, std::size_t listener, exchange::ConnectionInfo info,
                       std::shared_ptr<UdpSocket> socket, const std::shared_ptr<UdpSessions>& table,
                       std::optional<SocketAddress> answer_from)
    : Registered(owner.registry()),
      owner_(owner),
      session_(owner.thread(), owner.generation(), listener, Transport::udp, std::move(info)),
      socket_(std::move(socket)),
      table_(table),
      answer_from_(std::move(answer_from)),
      key_{session_.connection.peer, session_.connection.local} {}

io::Task<void> UdpSession::serve(std::shared_ptr<UdpSession> self) {
  Session& session = self->session_;
  if (session.logs(LogLevel::info)) {
    session.log_plain(LogLevel::info, fmt::format("udp client {} connected to {}", session.connection.peer.to_string(),
                                                  session.listener.address));
  }
  int status = admit(session);
  if (status == 0) {
    auto running = self->content();
    status = co_await running;
  }
  session.status = status;
  self->leave_table();
  self->upstream_.close();
  session.finish();
}

void UdpSession::cancel() {
  stopping_ = true;
  upstream_.cancel();
}

void UdpSession::leave_table() {
  if (!in_table_) return;
  in_table_ = false;
  if (const auto table = table_.lock()) table->erase(key_);
}

// ---- the client's side ----

void UdpSession::take(std::string_view bytes) {
  if (stopping_) return;
  if (!connected_) {
    if (waiting_.size() >= kMostWaiting) return;
    ++requests_;
    session_.received += bytes.size();
    waiting_.emplace_back(bytes);
    return;
  }
  ++requests_;
  session_.received += bytes.size();
  send_up(bytes);
  if (is_complete()) cancel();
}

void UdpSession::send_up(std::string_view bytes) {
  last_moved_ = session_.now();
  const ssize_t sent = ::send(upstream_.socket().fd(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent >= 0) session_.tries.back().bytes_sent += static_cast<std::uint64_t>(sent);
}

// The first datagram carries the PROXY header.
void UdpSession::send_waiting() {
  std::string header;
  if (session_.stream().proxy_protocol) {
    http::append_proxy_v1(exchange::plain_address(session_.client), exchange::plain_address(session_.connection.local),
                          header);
  }
  for (const auto& datagram : waiting_) {
    send_up(header.empty() ? datagram : header + datagram);
    header.clear();
  }
}

// Whether everything that was asked is answered; a session that has had its share of requests takes no more.
bool UdpSession::is_complete() {
  const auto& settings = session_.stream();
  if (settings.proxy_requests != 0) {
    if (requests_ < settings.proxy_requests) return false;
    leave_table();
  }
  return settings.proxy_responses && responses_ >= std::uint64_t{*settings.proxy_responses} * requests_;
}

// ---- the upstream's side ----

io::Task<int> UdpSession::content() {
  const auto& root = session_.server->server->root;
  if (root.proxy_pass) {
    auto proxying = proxy();
    co_return co_await proxying;
  }
  if (!session_.stream().return_text) {
    session_.log(LogLevel::error, "datagrams can't be passed to another listener");
    co_return kInternalError;
  }
  const std::string_view text = evaluate(*session_.stream().return_text, session_);
  session_.sent += send_datagrams(socket_->fd(), {&text, 1}, session_.connection.peer, answer_from_);
  co_return kOk;
}

io::Task<int> UdpSession::proxy() {
  UpstreamChoice choice(session_);
  auto finding = choice.find();
  if (const int status = co_await finding; status != 0) co_return status;
  while (!stopping_) {
    if (!choice.pick()) co_return kBadGateway;
    if (connect(choice)) {
      auto exchanging = exchange_datagrams();
      const Outcome outcome = co_await exchanging;
      if (outcome != Outcome::try_next) {
        choice.end(outcome == Outcome::failed);
        co_return outcome == Outcome::failed ? kBadGateway : kOk;
      }
      connected_ = false;
      upstream_.close();
    }
    if (!choice.next()) co_return kBadGateway;
  }
  co_return kOk;
}

bool UdpSession::connect(UpstreamChoice& choice) {
  const auto local = choice.local_address();
  auto connected = io::connect_datagrams(session_.thread.reactor, choice.peer().spec.address, local ? &*local : nullptr,
                                         session_.stream().proxy_bind_transparent);
  if (!connected) {
    session_.log(LogLevel::error, with_errno("connect() failed", connected.error().os_error), "connecting to upstream");
    return false;
  }
  upstream_ = io::Stream(std::move(*connected));
  choice.on_connected();
  connected_at_ = session_.now();
  if (session_.logs(LogLevel::info)) {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    std::string from;
    if (getsockname(upstream_.socket().fd(), reinterpret_cast<sockaddr*>(&storage), &size) == 0) {
      from = SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&storage), size)
                 .value_or(SocketAddress{})
                 .to_string();
    }
    session_.log_plain(LogLevel::info, fmt::format("udp proxy {} connected to {}", from, choice.peer().address_text));
  }
  return true;
}

io::Task<UdpSession::Outcome> UdpSession::exchange_datagrams() {
  connected_ = true;
  send_waiting();
  while (!is_complete() && !stopping_) {
    const Milliseconds limit = session_.stream().proxy_timeout;
    const auto left = limit - std::chrono::duration_cast<Milliseconds>(session_.now() - last_moved_);
    auto waiting = io::wait_readable(upstream_, std::max(left, Milliseconds{1}));
    const auto ready = co_await waiting;
    if (!ready && ready.error().reason == Reason::timed_out && session_.now() - last_moved_ < limit) continue;
    std::optional<Outcome> over;
    if (ready)
      over = receive_answers();
    else if (ready.error().reason == Reason::timed_out)
      over = on_silence();
    if (over) co_return *over;
  }
  log_end("udp done");
  co_return Outcome::done;
}

// Forwards a batch of answers. More of them than were asked for are not passed on: a client whose address was forged
// would get them.
std::optional<UdpSession::Outcome> UdpSession::receive_answers() {
  DatagramBatch& batch = owner_.batch();
  const int got = batch.receive(upstream_.socket().fd());
  if (got < static_cast<int>(DatagramBatch::kMost)) upstream_.socket().descriptor().readable = false;
  if (got < 0) {
    if (errno == EAGAIN) return std::nullopt;
    session_.log(LogLevel::error, with_errno("recv() failed", errno), "proxying and reading from upstream");
    if (responses_ == 0) return Outcome::try_next;
    return std::nullopt;  // it may come back before proxy_timeout
  }
  waiting_.clear();  // the upstream is there: what it was asked is not asked of another one
  UpstreamTry& current = session_.tries.back();
  last_moved_ = session_.now();
  if (current.first_byte_time.count() < 0 && got > 0) {
    current.first_byte_time = std::max(current.connect_time, Milliseconds{0}) +
                              std::chrono::duration_cast<Milliseconds>(last_moved_ - connected_at_);
  }
  std::array<std::string_view, DatagramBatch::kMost> answers;
  std::size_t count = 0;
  const auto& expected = session_.stream().proxy_responses;
  for (int i = 0; i < got; ++i) {
    const auto bytes = batch.bytes(static_cast<std::size_t>(i));
    current.bytes_received += bytes.size();
    if (expected && responses_ >= std::uint64_t{*expected} * requests_) continue;
    ++responses_;
    answers[count++] = bytes;
  }
  if (count > 0) {
    session_.sent +=
        send_datagrams(socket_->fd(), std::span(answers).first(count), session_.connection.peer, answer_from_);
  }
  return std::nullopt;
}

std::optional<UdpSession::Outcome> UdpSession::on_silence() {
  const auto& expected = session_.stream().proxy_responses;
  if (!expected || responses_ >= std::uint64_t{*expected} * requests_) {
    log_end("udp timed out");
    return Outcome::done;
  }
  session_.log(LogLevel::error, with_errno("upstream timed out", ETIMEDOUT), "proxying connection");
  return Outcome::failed;
}

void UdpSession::log_end(std::string_view how) const {
  if (!session_.logs(LogLevel::info)) return;
  const UpstreamTry& current = session_.tries.back();
  session_.log_plain(LogLevel::info,
                     fmt::format("{}, packets from/to client:{}/{}, bytes from/to client:{}/{}, bytes from/to "
                                 "upstream:{}/{}",
                                 how, requests_, responses_, session_.received, session_.sent, current.bytes_received,
                                 current.bytes_sent));
}

}  // namespace gatehouse::stream
