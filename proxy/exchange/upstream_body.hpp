// The body of an upstream's response, pulled piece by piece.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "proxy/base/error.hpp"
#include "proxy/http/chunked.hpp"
#include "proxy/http/framing.hpp"
#include "proxy/io/buffer_pool.hpp"
#include "proxy/io/stream.hpp"
#include "proxy/io/task.hpp"

namespace gatehouse::exchange {

/// Decodes the framing and never reads beyond a body of known length. Borrows the stream and the bytes that came behind the head.
class UpstreamBody {
 public:
  UpstreamBody(io::Stream& stream, io::BufferPool& blocks, const http::BodyFraming& framing, std::string_view received,
               Milliseconds timeout);

  /// A piece that is already here, without waiting: empty if there is none. Sets finished(). Error: upstream_bad_framing.
  [[nodiscard]] Result<std::string_view> ready_piece();
  /// The next piece, empty at the end; borrowed until the next call. Errors: upstream_bad_framing, upstream_read, upstream_read_timeout,
  /// upstream_closed, canceled.
  [[nodiscard]] io::Task<Result<std::string_view>> next_piece();

  /// The block that the last piece lies in, so that the piece stays while further ones are asked for. The body's users keep it for as
  /// long as they use the body.
  [[nodiscard]] io::BufferPool::Block give_block() noexcept { return std::move(block_); }

  [[nodiscard]] bool finished() const noexcept { return finished_; }
  /// Bytes came behind the body: the connection must not be used again.
  [[nodiscard]] bool has_surplus() const noexcept { return !received_.empty(); }
  [[nodiscard]] std::uint64_t received() const noexcept { return total_; }
  [[nodiscard]] const http::Fields* trailers() const noexcept {
    return decoder_ && decoder_->finished() && !decoder_->trailers().empty() ? &decoder_->trailers() : nullptr;
  }

 private:
  [[nodiscard]] Result<std::string_view> decode();

  io::Stream& stream_;
  io::BufferPool& blocks_;
  io::BufferPool::Block block_;
  std::string_view received_;  ///< received and not decoded
  http::BodyKind kind_;
  std::uint64_t left_;       ///< of a body of known length
  std::uint64_t total_ = 0;  ///< body bytes given out
  std::optional<http::ChunkedDecoder> decoder_;
  Milliseconds timeout_;
  bool finished_ = false;
};

/// The reason of a failed operation on an upstream's stream.
[[nodiscard]] Error upstream_read_error(Error error) noexcept;

}  // namespace gatehouse::exchange
