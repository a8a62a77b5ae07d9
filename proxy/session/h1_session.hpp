// HTTP/1.1 with a client: bytes <-> exchanges.
#pragma once

#include "proxy/exchange/connection_info.hpp"
#include "proxy/exchange/thread_state.hpp"
#include "proxy/io/read_buffer.hpp"
#include "proxy/io/stream.hpp"
#include "proxy/io/task.hpp"
#include "proxy/session/connection.hpp"

namespace gatehouse::session {

/// Serves requests until the connection ends. `address` is the listener's, by which its runtime is found in each generation; `buffer`
/// may hold bytes that came behind a PROXY header.
[[nodiscard]] io::Task<void> serve_h1(exchange::ThreadState& thread, ConnectionEntry& entry, io::Stream& stream,
                                      io::ReadBuffer& buffer, exchange::ConnectionInfo& info, SocketAddress address);

}  // namespace gatehouse::session
