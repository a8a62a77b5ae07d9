// The last stretch of every response, whoever made it: filters of its body, its pace, the client.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/exchange/body_filters/body_filter.hpp"
#include "proxy/exchange/exchange.hpp"
#include "proxy/io/task.hpp"

namespace gatehouse::exchange {

/// The filters of one response and what they hold. Made when a response begins in a place where one of them may act.
class ResponseOutput {
 public:
  /// Asks every filter whether it acts on Exchange::response, which they change; in nginx's order.
  explicit ResponseOutput(Exchange& exchange);
  ~ResponseOutput();
  ResponseOutput(const ResponseOutput&) = delete;
  ResponseOutput& operator=(const ResponseOutput&) = delete;

  /// The only thing that happens to the body is that one piece of it is taken: a file can be read from there.
  [[nodiscard]] std::optional<http::ByteRange> only_range() const noexcept;
  /// The filter that has something to fetch first; null: none.
  [[nodiscard]] Addition* addition() noexcept;
  /// Leaves the range to the caller, who sends nothing else of the body.
  void drop_range() noexcept { filters_.clear(); }
  /// Runs a piece through the filters; borrowed until the next call.
  [[nodiscard]] Result<std::string_view> filter(std::string_view piece, bool last);
  /// The next piece is the representation's from `offset` on, not from where the last one ended.
  void seek(std::uint64_t offset) noexcept;
  /// Whether any filter acts on the body.
  [[nodiscard]] bool filters_body() const noexcept { return !filters_.empty(); }

  /// Bytes per second for this response; 0: as fast as it goes.
  [[nodiscard]] std::uint64_t rate() const noexcept { return rate_; }
  [[nodiscard]] std::uint64_t rate_after() const noexcept { return rate_after_; }
  void set_rate(std::uint64_t rate, std::uint64_t after) noexcept {
    rate_ = rate;
    rate_after_ = after;
  }

  http::Fields trailers;  ///< add_trailer's, evaluated at the body's end

 private:
  std::vector<std::unique_ptr<BodyFilter>> filters_;
  std::vector<std::string> buffers_;  ///< one for each filter
  std::uint64_t rate_ = 0;
  std::uint64_t rate_after_ = 0;
};

/// Settles the head of the response: filters are chosen and change it. Done by send_response_head() unless it was called before.
void begin_output(Exchange& exchange);

/// Sends Exchange::response with the first bytes of its body; `complete`: the body ends with them. As Downstream::send_head.
[[nodiscard]] io::Task<Result<void>> send_response_head(Exchange& exchange, std::string_view body, bool complete);
/// Sends more of the body. As Downstream::send_body.
[[nodiscard]] io::Task<Result<void>> send_response_body(Exchange& exchange, std::string_view body, bool complete,
                                                        const http::Fields* trailers);
/// For a body without trailers that is sent in a loop: with the head if `head` is set, which it clears, else behind it.
[[nodiscard]] inline io::Task<Result<void>> send_response_piece(Exchange& exchange, bool& head, std::string_view body,
                                                                bool complete) {
  return std::exchange(head, false) ? send_response_head(exchange, body, complete)
                                    : send_response_body(exchange, body, complete, nullptr);
}

}  // namespace gatehouse::exchange
