#include "proxy/config/settings/headers.hpp"
#include "proxy/exchange/upstream/upstream_run.hpp"
#include "proxy/exchange/variables.hpp"

namespace gatehouse::exchange {
namespace {

constexpr std::size_t kResponseHeadRoom = 4096;

}  // namespace

io::Task<Error> UpstreamRun::receive_head() {
  std::uint32_t interim = 0;
  ex_.upstream_fields = nullptr;  // of an earlier attempt: its bytes go
  ex_.upstream_head.release();
  parser_.reset();
  for (;;) {
    io::Stream& stream = connection_->stream;
    const Milliseconds timeout = ex_.settings().proxy_read_timeout;
    Error failed;
    std::size_t received = 0;
    if (!stream.has_buffered()) {
      // No buffer is taken before there is something to put into it: a slow origin costs none.
      auto waiting = io::wait_readable(stream, timeout);
      if (const auto ready = co_await waiting; !ready) failed = ready.error();
    }
    if (failed.reason == Reason::none) {
      auto receive = io::Receive(stream, ex_.upstream_head.prepare(kResponseHeadRoom), timeout);
      const auto got = co_await receive;
      if (got)
        received = *got;
      else
        failed = got.error();
    }
    if (failed.reason != Reason::none) {
      // While the request is still going up, a silent upstream is only waiting for its end.
      if (failed.reason == Reason::timed_out && pump_ && !pump_->done()) continue;
      if (failed.reason == Reason::canceled) co_return Error{Reason::client_closed};
      co_return upstream_read_error(failed);
    }
    if (received == 0) co_return Error{Reason::upstream_closed};
    response_byte_seen_ = true;
    current().bytes_received += received;
    ex_.upstream_head.commit(received);
    for (;;) {
      const auto status = parser_.parse(ex_.upstream_head.unread());
      if (status == http::ParseStatus::failed) co_return Error{parser_.reason()};
      if (status == http::ParseStatus::incomplete) break;
      const int code = parser_.head().status;
      if (code >= 200 || code == 101) {
        ex_.upstream_fields = &parser_.head().fields;
        co_return Error{};
      }
      if (++interim > ex_.settings().proxy_max_interim_responses) co_return Error{Reason::upstream_bad_interim};
      auto passing = pass_interim();
      if (const Error error = co_await passing; error.reason != Reason::none) co_return error;
      ex_.upstream_head.consume(parser_.head().size);
      ex_.upstream_head.compact();
      parser_.reset();
      if (ex_.upstream_head.empty()) break;
    }
  }
}

// 100 was answered by ourselves; other interim responses are the client's to see (RFC 9110 section 15.2).
io::Task<Error> UpstreamRun::pass_interim() {
  if (parser_.head().status == 100 || ex_.head.version == http::Version::http10) co_return Error{};
  const auto& headers = ex_.settings().headers;
  if (parser_.head().status == 103 && headers && !all_are_true(headers->early_hints, ex_)) co_return Error{};
  ResponseHeadOut head;
  head.status = parser_.head().status;
  head.reason = parser_.head().reason;
  for (const auto& field : parser_.head().fields) {
    if (!http::is_hop_by_hop(parser_.head().fields, field) && field.id != http::FieldId::content_length) {
      head.fields.add(field.name, field.value, field.id);
    }
  }
  auto sending = ex_.downstream.send_interim(head);
  const auto sent = co_await sending;
  co_return sent ? Error{} : Error{Reason::client_closed};
}

}  // namespace gatehouse::exchange
