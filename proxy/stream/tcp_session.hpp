// One TCP session from accept to close, as a list of phases.
#pragma once

#include "proxy/exchange/connection_info.hpp"
#include "proxy/io/stream.hpp"
#include "proxy/io/task.hpp"

namespace gatehouse::stream {

class StreamThread;

/// Serves an accepted connection to its end. Owns everything it uses but the thread's own.
[[nodiscard]] io::Task<void> serve_connection(StreamThread& owner, io::Socket socket, std::size_t listener,
                                              exchange::ConnectionInfo info);

}  // namespace gatehouse::stream
