// One downstream connection: PROXY header, TLS handshake, then the session of its HTTP version.
#pragma once

#include <cstdint>

#include "proxy/exchange/connection_info.hpp"
#include "proxy/exchange/thread_state.hpp"
#include "proxy/io/stream.hpp"
#include "proxy/io/task.hpp"

namespace gatehouse::session {

/// What the connections of one thread are known by: so that they can be counted, evicted while idle, and drained.
class ConnectionRegistry;

/// A connection's place in its thread's registry. Lives in the connection's coroutine.
class ConnectionEntry {
 public:
  ConnectionEntry(ConnectionRegistry& registry, io::Stream& stream) noexcept;
  ~ConnectionEntry();
  ConnectionEntry(const ConnectionEntry&) = delete;
  ConnectionEntry& operator=(const ConnectionEntry&) = delete;

  /// Between two requests, nothing of the next one received: such a connection may be closed at any time.
  void set_idle(bool idle) noexcept;
  [[nodiscard]] bool idle() const noexcept { return idle_; }

 private:
  friend class ConnectionRegistry;
  ConnectionRegistry& registry_;
  io::Stream& stream_;
  bool idle_ = false;
  ConnectionEntry* previous_ = nullptr;
  ConnectionEntry* next_ = nullptr;
};

class ConnectionRegistry {
 public:
  ConnectionRegistry() = default;
  ConnectionRegistry(const ConnectionRegistry&) = delete;
  ConnectionRegistry& operator=(const ConnectionRegistry&) = delete;

  [[nodiscard]] std::uint64_t open() const noexcept { return open_.value(); }
  [[nodiscard]] std::uint64_t idle() const noexcept { return idle_count_.value(); }

  /// Ends the waiting of every idle connection, so that it closes. For a drain.
  void cancel_idle();
  /// Ends whatever any connection waits for. For a stop.
  void cancel_all();
  /// Closes the connection that has been idle longest; false if none is.
  bool evict_idle();

 private:
  friend class ConnectionEntry;
  struct List {
    ConnectionEntry* first = nullptr;
    ConnectionEntry* last = nullptr;
  };
  void link(List& list, ConnectionEntry& entry) noexcept;
  void unlink(List& list, ConnectionEntry& entry) noexcept;

  List active_, idle_;  // idle_ in order of becoming idle
  exchange::Counter open_, idle_count_;
};

/// Serves an accepted connection to its end. Owns everything it uses.
[[nodiscard]] io::Task<void> serve_connection(exchange::ThreadState& thread, ConnectionRegistry& registry,
                                              io::Socket socket, std::size_t listener, exchange::ConnectionInfo info);

}  // namespace gatehouse::session
