// A request, and its response if there was one, with memory of its own: what is evaluated after the exchange is gone.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "waf/transaction_input.hpp"

namespace gatehouse::waf {

/// Copies everything that it is given; what it gives borrows from it. Not thread-safe; may move between threads as a whole.
class RecordedTransaction {
 public:
  /// `request.body` must be in memory: nothing of a spilled file is kept.
  explicit RecordedTransaction(const RequestInput& request);
  RecordedTransaction(const RecordedTransaction&) = delete;
  RecordedTransaction& operator=(const RecordedTransaction&) = delete;

  void set_response(const ResponseInput& response);

  [[nodiscard]] const RequestInput& request() const noexcept { return request_; }
  [[nodiscard]] const std::optional<ResponseInput>& response() const noexcept { return response_; }
  /// Memory of the texts.
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  /// Everything in one line of printable ASCII, bytes beyond it as \\xHH; bodies as far as `longest_body`.
  [[nodiscard]] std::string describe(std::size_t longest_body) const;

 private:
  std::string_view keep(std::string_view text);
  std::string_view keep_body(const BodyView& body);
  std::vector<HeaderView> keep_headers(std::span<const HeaderView> headers);

  std::deque<std::string> texts_;
  std::size_t bytes_ = 0;
  std::vector<HeaderView> request_headers_, response_headers_;
  std::string_view request_body_, response_body_;
  RequestInput request_;
  std::optional<ResponseInput> response_;
};

}  // namespace gatehouse::waf
