// A response that is fetched slice by slice, each with a range request of its own (nginx's slice module).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/exchange/exchange.hpp"
#include "proxy/io/task.hpp"

namespace gatehouse::exchange {

/// How far a sliced response is. Made by the first look at $slice_range; shared with the subrequests that fetch the further slices.
struct Slicing {
  explicit Slicing(ByteCount size_) : size(size_) {}
  /// Makes [at, at + size) the slice that is asked for next.
  void ask_for(std::uint64_t at);

  const std::uint64_t size;
  std::uint64_t start = 0;  ///< of the slice that is asked for
  std::uint64_t total = 0;  ///< bytes of the whole representation; known once a slice is here
  std::string etag;         ///< of the first slice; "" if it had none
  std::string_view range;   ///< "bytes=FIRST-LAST", in `text`
  bool taken = false;       ///< an upstream answered with the slice that was asked for last
  std::array<char, 64> text{};
};

/// $slice_range: the first slice from where the client's range begins, then whichever is asked for; "" where slicing is off.
[[nodiscard]] std::string_view slice_range(Exchange& exchange);

/// Turns the head of a 206 in Exchange::response into that of the whole representation. A main exchange whose upstream answers
/// otherwise is not sliced any more. False: the upstream sent another slice than the one that was asked for, and the reply is 502.
[[nodiscard]] bool adopt_slice(Exchange& exchange);

/// Whether more slices follow the body that is being sent.
[[nodiscard]] bool awaits_slices(const Exchange& exchange) noexcept;

/// Fetches the slices behind the first one, each when the one before has been sent, and ends the response.
[[nodiscard]] io::Task<void> send_other_slices(Exchange& exchange);

}  // namespace gatehouse::exchange
