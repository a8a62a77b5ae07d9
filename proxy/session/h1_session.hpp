// HTTP/1.1 with a client: bytes <-> exchanges.
#pragma once

#include <memory>
#include <optional>

#include "proxy/exchange/connection_info.hpp"
#include "proxy/exchange/generation.hpp"
#include "proxy/exchange/thread_state.hpp"
#include "proxy/io/stream.hpp"
#include "proxy/io/task.hpp"
#include "proxy/session/connection.hpp"

namespace gatehouse::session {

/// The current generation with the listener a connection belongs to. A listener that the newest configuration lacks keeps the
/// older generation until its connections are gone.
struct Place {
  std::shared_ptr<const exchange::ThreadGeneration> generation;
  const exchange::ListenerRuntime* listener = nullptr;

  [[nodiscard]] const exchange::ServerRuntime& default_server() const {
    return generation->shared->servers[listener->listener->default_server];
  }
  /// The default server's: a connection without a request has no other.
  [[nodiscard]] const ErrorLog& log() const {
    return *generation->shared->locations[default_server().server->root.id].error_log;
  }
  /// To the thread's current generation, where the listener is found by its address.
  void follow(const exchange::ThreadState& thread);
};

/// What an HTTP/1.1 connection keeps while it waits for a request: all that an idle connection costs beside its stream. Lives in
/// the connection's coroutine; everything is borrowed from there.
class H1Connection {
 public:
  H1Connection(exchange::ThreadState& thread, ConnectionEntry& entry, io::Stream& stream,
               exchange::ConnectionInfo& info, Place& place) noexcept
      : thread_(thread), entry_(entry), stream_(stream), info_(info), place_(place) {}

  /// Bytes of a request are here and no event will tell of them.
  [[nodiscard]] bool has_request() const noexcept { return stream_.has_buffered(); }
  /// Before the wait for the next request's first byte: how long it may last; nothing when the connection is over.
  [[nodiscard]] std::optional<Milliseconds> begin_wait();
  /// After it. True when the connection waits on although the time was over: only keepalive_min_timeout was.
  bool end_wait(bool timed_out);

  /// Serves what has arrived, and what follows it without a pause. True when the connection waits for another request, false when
  /// it is over. The state of a request (parser, buffers) exists only in here.
  [[nodiscard]] io::Task<bool> serve();

 private:
  friend class H1Session;
  exchange::ThreadState& thread_;
  ConnectionEntry& entry_;
  io::Stream& stream_;
  exchange::ConnectionInfo& info_;
  Place& place_;
  Milliseconds keepalive_timeout_{0};
  Milliseconds keepalive_min_timeout_{0};
  bool guarded_ = false;  ///< keepalive_min_timeout runs
};

}  // namespace gatehouse::session
