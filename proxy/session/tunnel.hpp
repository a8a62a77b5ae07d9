// Two byte streams joined: what follows a 101.
#pragma once

#include <cstdint>
#include <string_view>

#include "proxy/base/error.hpp"
#include "proxy/exchange/thread_state.hpp"
#include "proxy/io/stream.hpp"
#include "proxy/io/task.hpp"

namespace gatehouse::session {

/// How a tunnel ended.
struct TunnelEnd {
  std::uint64_t to_client = 0;    ///< bytes
  std::uint64_t to_upstream = 0;  ///< bytes
  Error error;                    ///< none: one side closed after the other; timed_out: silent for too long
};

/// Copies both ways until both sides have closed, one fails, or nothing moved either way for `idle_timeout`. A half-close is passed on.
/// `early`: bytes from the client that were received already.
[[nodiscard]] io::Task<TunnelEnd> run_tunnel(exchange::ThreadState& thread, io::Stream& client, io::Stream& upstream,
                                             std::string_view early, Milliseconds idle_timeout);

}  // namespace gatehouse::session
