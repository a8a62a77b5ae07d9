// What a step of the exchange before the answer looks like.
#pragma once

#include <cstdint>
#include <string_view>

namespace gatehouse::exchange {

struct Exchange;

/// Whether the exchange goes on to the next filter or is answered already (Exchange::reply was called).
enum class Step : std::uint8_t { next, answered };

/// One entry of a phase's list.
struct RequestFilter {
  std::string_view name;
  Step (*run)(Exchange& exchange);
  std::string_view why_here;  ///< the reason for its place in the order
};

}  // namespace gatehouse::exchange
