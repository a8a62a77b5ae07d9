#include "proxy/exchange/upstream_body.hpp"

#include <algorithm>

namespace gatehouse::exchange {

Error upstream_read_error(Error error) noexcept {
  switch (error.reason) {
    case Reason::timed_out: return {Reason::upstream_read_timeout, ETIMEDOUT};
    case Reason::io_failed: return {Reason::upstream_read, error.os_error};
    default: return error;
  }
}

UpstreamBody::UpstreamBody(io::Stream& stream, io::BufferPool& blocks, const http::BodyFraming& framing,
                           std::string_view received, Milliseconds timeout)
    : stream_(stream),
      blocks_(blocks),
      received_(received),
      kind_(framing.kind),
      left_(framing.length),
      timeout_(timeout) {
  if (kind_ == http::BodyKind::chunked) decoder_.emplace(http::BodyOf::response);
  finished_ = kind_ == http::BodyKind::none;
}

Result<std::string_view> UpstreamBody::decode() {
  std::string_view piece;
  switch (kind_) {
    case http::BodyKind::none: break;
    case http::BodyKind::length:
      piece = received_.substr(0, std::min<std::uint64_t>(left_, received_.size()));
      received_.remove_prefix(piece.size());
      left_ -= piece.size();
      finished_ = left_ == 0;
      break;
    case http::BodyKind::until_close: piece = std::exchange(received_, {}); break;
    case http::BodyKind::chunked: {
      const auto gathered = http::gather_chunks(*decoder_, received_);
      if (gathered.status == http::ChunkedDecoder::Status::failed) return Error{decoder_->reason()};
      finished_ = gathered.status == http::ChunkedDecoder::Status::finished;
      piece = gathered.data;
      break;
    }
  }
  total_ += piece.size();
  return piece;
}

Result<std::string_view> UpstreamBody::ready_piece() {
  if (finished_ || received_.empty()) return std::string_view{};
  return decode();
}

io::Task<Result<std::string_view>> UpstreamBody::next_piece() {
  for (;;) {
    if (finished_) co_return std::string_view{};
    if (!received_.empty()) {
      const auto piece = ready_piece();
      if (!piece || !piece->empty() || finished_) co_return piece;
    }
    if (!block_) block_ = blocks_.take();
    std::size_t room = block_.size();
    if (kind_ == http::BodyKind::length) room = std::min<std::uint64_t>(room, left_);
    auto receive = io::Receive(stream_, {block_.data(), room}, timeout_);
    const auto got = co_await receive;
    if (!got) co_return upstream_read_error(got.error());
    if (*got == 0) {
      if (kind_ != http::BodyKind::until_close) co_return Error{Reason::upstream_closed};
      finished_ = true;
      co_return std::string_view{};
    }
    received_ = {block_.data(), *got};
  }
}

}  // namespace gatehouse::exchange
