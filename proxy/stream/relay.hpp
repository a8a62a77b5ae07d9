// Two connections joined: bytes both ways, with nginx's rules of how it ends.
#pragma once

#include <cstdint>

#include "proxy/io/signal.hpp"
#include "proxy/io/stream.hpp"
#include "proxy/io/task.hpp"
#include "proxy/stream/session.hpp"

namespace gatehouse::stream {

/// The relay of one session. Each direction holds at most one buffer, and only while bytes are under way, so a slow
/// reader stops the other side's reading. The streams and the session outlive it.
class Relay {
 public:
  Relay(Session& session, io::Stream& client, io::Stream& upstream)
      : session_(session), client_(client), upstream_(upstream), stop_(session.thread.reactor) {}

  /// Runs until either side ends (both, with proxy_half_close), fails, or nothing moves for proxy_timeout; says so in
  /// the error log.
  [[nodiscard]] io::Task<void> run();
  /// Ends it from outside.
  void cancel();

 private:
  enum class Side : std::uint8_t { client, upstream };
  enum class FlowEnd : std::uint8_t { closed, stopped };

  [[nodiscard]] io::Task<FlowEnd> flow(Side from);
  [[nodiscard]] io::Task<bool> await_rate(Side from, std::uint64_t rate, std::uint64_t moved, std::size_t& most);
  [[nodiscard]] io::Task<bool> await_bytes(Side from);
  [[nodiscard]] io::Task<bool> send(Side from, std::string_view bytes);
  void count_received(Side from, std::size_t bytes);
  void on_end_of(Side from);
  void log_failure(Side side, bool reading, Error error) const;
  [[nodiscard]] io::Stream& stream(Side side) noexcept { return side == Side::client ? client_ : upstream_; }
  [[nodiscard]] std::uint64_t rate_of(Side from) const;

  Session& session_;
  io::Stream& client_;
  io::Stream& upstream_;
  io::Signal stop_;  ///< wakes what waits for its rate
  TimePoint began_{};
  TimePoint last_moved_{};
  bool stopped_ = false;
  int closed_sides_ = 0;
};

}  // namespace gatehouse::stream
