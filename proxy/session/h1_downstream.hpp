// The client's side of one HTTP/1.1 exchange.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/config/model.hpp"
#include "proxy/exchange/connection_info.hpp"
#include "proxy/exchange/downstream.hpp"
#include "proxy/exchange/thread_state.hpp"
#include "proxy/http/chunked.hpp"
#include "proxy/http/message.hpp"
#include "proxy/http/semantics.hpp"
#include "proxy/io/read_buffer.hpp"
#include "proxy/io/stream.hpp"

namespace gatehouse::session {

/// How the connection goes on after an exchange.
enum class Afterwards : std::uint8_t {
  next_request,
  close,   ///< the client has sent all it had to send
  linger,  ///< more may be on its way: closing at once could take the answer away from the client
  reset,
  tunneled,
};

class H1Downstream final : public exchange::Downstream {
 public:
  /// `buffer` holds the head at its front (head.size bytes, not consumed) and what came behind it.
  H1Downstream(exchange::ThreadState& thread, io::Stream& stream, io::ReadBuffer& buffer, const http::RequestHead& head,
               const http::RequestSemantics& semantics, const exchange::ConnectionInfo& info);
  ~H1Downstream() override { watch_client(nullptr); }

  void use_settings(const config::LocationSettings& settings) noexcept override;
  /// The connection may carry another request if the exchange leaves it fit for one.
  void allow_keep_alive(bool allowed) noexcept { keep_alive_ = allowed; }

  io::Task<Result<std::string_view>> read_body() override;
  bool body_finished() const noexcept override { return body_finished_; }
  bool body_at_hand() const noexcept override {
    return body_finished_ || (!decoder_ && !continue_due_ && unread_.size() >= body_left_);
  }
  void cancel_read_body() noexcept override { stream_.socket().descriptor().cancel_read(); }
  const http::Fields* request_trailers() const noexcept override;
  io::Task<Result<void>> send_interim(const exchange::ResponseHeadOut& head) override;
  io::Task<Result<void>> send_head(const exchange::ResponseHeadOut& head, std::string_view body,
                                   bool complete) override;
  io::Task<Result<void>> send_body(std::string_view body, bool complete, const http::Fields* trailers) override;
  bool head_sent() const noexcept override { return head_sent_; }
  std::uint64_t bytes_sent() const noexcept override { return bytes_sent_; }
  std::uint64_t body_bytes_sent() const noexcept override { return body_bytes_sent_; }
  std::uint64_t request_bytes() const noexcept override { return request_bytes_; }
  void watch_client(io::Stream* stream) noexcept override;
  bool client_gone() const noexcept override { return client_gone_; }
  io::Task<Result<void>> tunnel(const exchange::ResponseHeadOut& head, io::Stream& upstream, std::string_view early,
                                Milliseconds idle_timeout) override;
  void close_after_response() noexcept override { keep_alive_ = false; }
  void abort() noexcept override { aborted_ = true; }
  [[nodiscard]] bool aborted() const noexcept override { return aborted_; }

  /// Reads and drops what is left of the request body, up to a bound, so that the connection can go on; then tells how it goes on.
  [[nodiscard]] io::Task<Afterwards> finish();
  [[nodiscard]] bool response_complete() const noexcept { return response_complete_; }

 private:
  struct Watch : io::Operation {
    explicit Watch(H1Downstream& owner_) noexcept
        : Operation([](Operation& self) { return static_cast<Watch&>(self).owner.on_client_event(); }), owner(owner_) {}
    H1Downstream& owner;
  };

  void write_head(const exchange::ResponseHeadOut& head);
  io::Task<Result<void>> send(std::string_view first, std::string_view second, std::string_view third);
  io::Task<Result<std::size_t>> receive(std::span<char> into);
  [[nodiscard]] Result<std::string_view> decode(std::string_view& unread);
  [[nodiscard]] bool too_slow(TimePoint since, std::uint64_t bytes, ByteCount rate) const noexcept;
  bool on_client_event();

  exchange::ThreadState& thread_;
  io::Stream& stream_;
  io::ReadBuffer& buffer_;
  const http::RequestHead& head_;
  const http::RequestSemantics& semantics_;
  const exchange::ConnectionInfo& info_;
  const config::LocationSettings* settings_ = nullptr;

  // request body
  std::string_view unread_;  ///< received behind the head, or in body_block_, and not yet decoded
  io::BufferPool::Block body_block_;
  std::optional<http::ChunkedDecoder> decoder_;
  std::uint64_t body_left_ = 0;
  bool body_finished_ = false;
  bool continue_due_ = false;
  TimePoint body_began_{};
  std::uint64_t request_bytes_ = 0;

  // response
  exchange::ScratchString out_;
  bool keep_alive_ = true;
  bool head_sent_ = false;
  bool chunked_ = false;
  bool bodiless_ = false;
  bool response_complete_ = false;
  bool aborted_ = false;
  bool tunneled_ = false;
  bool client_stalled_ = false;      ///< it took nothing for send_timeout, or less than send_min_rate
  std::uint64_t response_left_ = 0;  ///< of a response of known length
  io::SendPace pace_;
  std::uint64_t bytes_sent_ = 0;
  std::uint64_t body_bytes_sent_ = 0;
  TimePoint send_began_{};

  // the watch
  Watch watch_{*this};
  io::Stream* watched_ = nullptr;
  bool watching_ = false;
  bool client_gone_ = false;
};

}  // namespace gatehouse::session
