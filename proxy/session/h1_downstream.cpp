#include "proxy/session/h1_downstream.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <sys/socket.h>

#include "proxy/http/local_reply.hpp"
#include "proxy/http/status.hpp"
#include "proxy/io/child.hpp"
#include "proxy/session/tunnel.hpp"

namespace gatehouse::session {
namespace {

constexpr std::uint64_t kMostDrained = 64 * kKiB;  // of a request body that nobody wanted
constexpr std::chrono::seconds kRateGrace{5};
const config::LocationSettings kDefaults;

void append_number_field(std::string& out, std::string_view name, std::uint64_t value) {
  const fmt::format_int text(value);
  out.append(name).append(text.data(), text.size()).append("\r\n");
}

}  // namespace

H1Downstream::H1Downstream(exchange::ThreadState& thread, io::Stream& stream, io::ReadBuffer& buffer,
                           const http::RequestHead& head, const http::RequestSemantics& semantics,
                           const exchange::ConnectionInfo& info)
    : thread_(thread),
      stream_(stream),
      buffer_(buffer),
      head_(head),
      semantics_(semantics),
      info_(info),
      settings_(&kDefaults),
      out_(thread) {
  unread_ = buffer_.unread().substr(std::min(head_.size, buffer_.unread().size()));
  request_bytes_ = head_.size;
  switch (semantics_.framing.kind) {
    case http::BodyKind::length: body_left_ = semantics_.framing.length; break;
    case http::BodyKind::chunked: decoder_.emplace(http::BodyOf::request); break;
    case http::BodyKind::none:
    case http::BodyKind::until_close: body_finished_ = true; break;
  }
  continue_due_ = !body_finished_ && semantics_.expect_continue && unread_.empty();
}

void H1Downstream::use_settings(const config::LocationSettings& settings) noexcept {
  settings_ = &settings;
  const bool worn_out = info_.requests >= settings.keepalive_requests ||
                        thread_.reactor.now() - info_.accepted >= settings.keepalive_time;
  if (worn_out || settings.keepalive_timeout.count() == 0) keep_alive_ = false;
}

// ---- the request's body ----

bool H1Downstream::too_slow(TimePoint since, std::uint64_t bytes, ByteCount rate) const noexcept {
  if (rate == 0) return false;
  const auto elapsed = thread_.reactor.now() - since;
  if (elapsed <= kRateGrace) return false;
  const auto ms = static_cast<std::uint64_t>(std::chrono::duration_cast<Milliseconds>(elapsed).count());
  return bytes * 1000 < rate * ms;
}

Result<std::string_view> H1Downstream::decode(std::string_view& unread) {
  if (!decoder_) {
    const std::string_view piece = unread.substr(0, std::min<std::uint64_t>(body_left_, unread.size()));
    unread.remove_prefix(piece.size());
    body_left_ -= piece.size();
    body_finished_ = body_left_ == 0;
    request_bytes_ += piece.size();
    return piece;
  }
  const auto gathered = http::gather_chunks(*decoder_, unread);
  request_bytes_ += gathered.consumed;
  if (gathered.status == http::ChunkedDecoder::Status::failed) return Error{decoder_->reason()};
  body_finished_ = gathered.status == http::ChunkedDecoder::Status::finished;
  return gathered.data;
}

io::Task<Result<std::size_t>> H1Downstream::receive(std::span<char> into) {
  auto receive = io::Receive(stream_, into, settings_->client_body_timeout);
  const auto got = co_await receive;
  if (watched_ != nullptr) watch_client(watched_);  // reading took the watch's place
  if (!got) {
    switch (got.error().reason) {
      case Reason::timed_out: co_return Error{Reason::body_timeout};
      case Reason::canceled: co_return got.error();
      default: co_return Error{Reason::client_closed, got.error().os_error};
    }
  }
  if (*got == 0) co_return Error{Reason::client_closed};
  co_return *got;
}

io::Task<Result<std::string_view>> H1Downstream::read_body() {
  if (body_began_ == TimePoint{}) body_began_ = thread_.reactor.now();
  if (continue_due_) {
    continue_due_ = false;
    auto sending = send(http::kContinue, {}, {});
    const auto sent = co_await sending;
    if (!sent) co_return Error{Reason::client_closed, sent.error().os_error};
  }
  while (!body_finished_) {
    if (!unread_.empty()) {
      const auto piece = decode(unread_);
      if (!piece || !piece->empty()) co_return piece;
      continue;
    }
    if (!body_block_) body_block_ = thread_.body_blocks.take();
    std::size_t room = body_block_.size();
    if (!decoder_) room = std::min<std::uint64_t>(room, body_left_);  // the next request's bytes stay in the socket
    auto receiving = receive({body_block_.data(), room});
    const auto got = co_await receiving;
    if (!got) co_return got.error();
    unread_ = {body_block_.data(), *got};
    if (too_slow(body_began_, request_bytes_ - head_.size + *got, settings_->client_body_min_rate)) {
      co_return Error{Reason::body_too_slow};
    }
  }
  co_return std::string_view{};
}

const http::Fields* H1Downstream::request_trailers() const noexcept {
  return decoder_ && decoder_->finished() ? &decoder_->trailers() : nullptr;
}

// ---- the response ----

void H1Downstream::write_head(const exchange::ResponseHeadOut& head) {
  std::string& out = *out_;
  out.clear();
  const bool interim = head.status < 200;
  const std::string_view ready = head.reason.empty() || head.reason == http::reason_phrase(head.status)
                                     ? http::status_line(head.status)
                                     : std::string_view{};
  if (!ready.empty()) {
    out.append(ready);
  } else {
    fmt::format_to(std::back_inserter(out), "HTTP/1.1 {:03} {}\r\n", head.status,
                   head.reason.empty() ? http::reason_phrase(head.status) : head.reason);
  }
  for (const auto& field : head.fields) out.append(field.name).append(": ").append(field.value).append("\r\n");
  if (interim) {
    if (head.status == 101) out.append("Connection: upgrade\r\n");
    out.append("\r\n");
    return;
  }
  bodiless_ = head_.method == http::Method::head || !http::has_content(head.status);
  chunked_ = false;
  switch (head.framing.kind) {
    case http::BodyKind::length:
      if (http::has_content(head.status)) append_number_field(out, "Content-Length: ", head.framing.length);
      response_left_ = head.framing.length;
      break;
    case http::BodyKind::none:
      if (!bodiless_) out.append("Content-Length: 0\r\n");
      break;
    case http::BodyKind::chunked:
    case http::BodyKind::until_close:
      if (bodiless_) break;
      if (head_.version == http::Version::http11 && settings_->chunked_transfer_encoding) {
        chunked_ = true;
        out.append("Transfer-Encoding: chunked\r\n");
      } else {
        keep_alive_ = false;  // the end of the connection is the end of the body
      }
      break;
  }
  if (head.close_after) keep_alive_ = false;
  out.append(keep_alive_ ? "Connection: keep-alive\r\n" : "Connection: close\r\n");
  if (keep_alive_ && settings_->keepalive_timeout_header) {
    fmt::format_to(std::back_inserter(out), "Keep-Alive: timeout={}\r\n",
                   settings_->keepalive_timeout_header->count() / 1000);
  }
  out.append("\r\n");
}

io::Task<Result<void>> H1Downstream::send(std::string_view first, std::string_view second, std::string_view third) {
  std::array<iovec, 3> parts{};
  std::size_t count = 0;
  for (const std::string_view part : {first, second, third}) {
    if (!part.empty()) parts[count++] = {const_cast<char*>(part.data()), part.size()};
  }
  if (count == 0) co_return Result<void>{};
  pace_.least = settings_->send_min_rate;
  auto send = io::Send(stream_, std::span(parts).first(count), settings_->send_timeout, &pace_);
  const auto sent = co_await send;
  bytes_sent_ += send.sent;
  if (sent) co_return Result<void>{};
  const Reason why = sent.error().reason;
  client_stalled_ = why == Reason::timed_out || why == Reason::body_too_slow;
  co_return sent.error();
}

io::Task<Result<void>> H1Downstream::send_interim(const exchange::ResponseHeadOut& head) {
  if (head_.version == http::Version::http10) co_return Result<void>{};
  write_head(head);
  auto sending = send(*out_, {}, {});
  co_return co_await sending;
}

io::Task<Result<void>> H1Downstream::send_head(const exchange::ResponseHeadOut& head, std::string_view body,
                                               bool complete) {
  if (!body_finished_ && semantics_.expect_continue && continue_due_)
    keep_alive_ = false;  // whether the body comes is unknown
  if (thread_.draining) keep_alive_ = false;
  write_head(head);
  head_sent_ = true;
  response_complete_ = complete || bodiless_;
  if (bodiless_) body = {};
  std::string_view tail;
  if (chunked_) {
    if (!body.empty()) {
      out_->append(http::ChunkHeader(body.size()).view());
      tail = complete ? "\r\n0\r\n\r\n" : "\r\n";
    } else if (complete) {
      tail = http::kLastChunk;
    }
  }
  const std::uint64_t head_bytes = out_->size();
  auto sending = send(*out_, body, tail);
  const auto sent = co_await sending;
  body_bytes_sent_ = bytes_sent_ > head_bytes ? std::min<std::uint64_t>(bytes_sent_ - head_bytes, body.size()) : 0;
  co_return sent;
}

io::Task<Result<void>> H1Downstream::send_body(std::string_view body, bool complete, const http::Fields* trailers) {
  if (bodiless_) co_return Result<void>{};
  std::string_view head;
  std::string_view tail;
  out_->clear();
  if (chunked_) {
    if (!body.empty()) {
      out_->append(http::ChunkHeader(body.size()).view());
      tail = complete ? "\r\n0\r\n\r\n" : "\r\n";
    } else if (complete) {
      tail = http::kLastChunk;
    }
    head = *out_;
    if (complete && trailers != nullptr && !trailers->empty()) {
      std::string end = body.empty() ? "" : "\r\n";
      http::append_last_chunk(*trailers, end);
      const std::size_t head_size = out_->size();
      out_->append(end);
      head = std::string_view(*out_).substr(0, head_size);
      tail = std::string_view(*out_).substr(head_size);
    }
  }
  response_complete_ = complete;
  const std::uint64_t before = bytes_sent_;
  auto sending = send(head, body, tail);
  const auto sent = co_await sending;
  const std::uint64_t progress = bytes_sent_ - before;
  body_bytes_sent_ += std::min<std::uint64_t>(progress > head.size() ? progress - head.size() : 0, body.size());
  co_return sent;
}

io::Task<Result<void>> H1Downstream::tunnel(const exchange::ResponseHeadOut& head, io::Stream& upstream,
                                            std::string_view early, Milliseconds idle_timeout) {
  write_head(head);
  head_sent_ = response_complete_ = tunneled_ = true;
  keep_alive_ = false;
  auto sending = send(*out_, early, {});
  const auto sent = co_await sending;
  if (!sent) co_return sent;
  // Bytes that the client sent early were held until the upstream agreed.
  auto running = run_tunnel(thread_, stream_, upstream, unread_, idle_timeout);
  const TunnelEnd end = co_await running;
  bytes_sent_ += end.to_client;
  body_bytes_sent_ += end.to_client;
  request_bytes_ += end.to_upstream;
  if (end.error.reason != Reason::none) co_return end.error;
  co_return Result<void>{};
}

// ---- the client's disappearance ----

void H1Downstream::watch_client(io::Stream* stream) noexcept {
  if (!stream_.is_open()) return;
  io::Descriptor& descriptor = stream_.socket().descriptor();
  if (stream == nullptr) {
    if (watching_) descriptor.forget_read(watch_);
    watching_ = false;
    watched_ = nullptr;
    return;
  }
  watched_ = stream;
  watching_ = true;
  watch_.canceled = false;
  descriptor.wait_read(watch_, TimePoint::max());
  if (descriptor.peer_closed) on_client_event();
}

bool H1Downstream::on_client_event() {
  const io::Descriptor& descriptor = stream_.socket().descriptor();
  if (watched_ == nullptr || client_gone_) return false;
  if (!watch_.canceled) {
    if (!descriptor.peer_closed || settings_->proxy_ignore_client_abort) return false;
    // A client may have sent its next request before it half-closed: then it is still there to read.
    char byte = 0;
    if (stream_.ssl() == nullptr && ::recv(descriptor.fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0) return false;
  }
  client_gone_ = true;
  watched_->cancel();
  return false;
}

// ---- the end ----

io::Task<Afterwards> H1Downstream::finish() {
  watch_client(nullptr);
  if (tunneled_) co_return Afterwards::tunneled;
  if (client_stalled_ && settings_->reset_timedout_connection) co_return Afterwards::reset;
  if (head_sent_ && !response_complete_) {
    // A length or a missing last chunk shows that the response was cut; an end of connection alone would look like its end.
    const bool visible = chunked_ || response_left_ > 0;
    co_return visible ? Afterwards::close : Afterwards::reset;
  }
  if (aborted_) co_return Afterwards::close;
  if (!keep_alive_) co_return body_finished_&& unread_.empty() ? Afterwards::close : Afterwards::linger;
  continue_due_ = false;
  std::uint64_t drained = 0;
  while (!body_finished_) {
    auto reading = read_body();
    const auto piece = co_await reading;
    if (!piece) co_return Afterwards::linger;
    drained += piece->size();
    if (drained > kMostDrained) co_return Afterwards::linger;
  }
  // What came behind the body is the next request's beginning.
  if (body_block_)
    buffer_.assign(unread_);
  else
    buffer_.consume(buffer_.unread().size() - unread_.size());
  co_return Afterwards::next_request;
}

}  // namespace gatehouse::session
