// Access log lines, gathered per thread and written in batches.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "proxy/base/log.hpp"
#include "proxy/base/units.hpp"
#include "proxy/config/model.hpp"
#include "proxy/io/reactor.hpp"

namespace gatehouse::exchange {

struct Exchange;

/// The lines of one thread that are not written yet, by file. Lines reach the file within 20 ms (or the target's `flush=`), or when
/// the buffer of the target is full; a line is never split over two writes.
class AccessLogBuffers {
 public:
  explicit AccessLogBuffers(io::Reactor& reactor) noexcept : reactor_(reactor), flush_timer_(*this) {}
  ~AccessLogBuffers() { flush(); }
  AccessLogBuffers(const AccessLogBuffers&) = delete;
  AccessLogBuffers& operator=(const AccessLogBuffers&) = delete;

  /// The buffer that a line for `file` is appended to; call finish_line() when it ends with its '\n'. `limit` is the target's
  /// buffer: room for it is taken at once, so that no line has to make any.
  [[nodiscard]] std::string& line_buffer(const std::shared_ptr<LogFile>& file, ByteCount limit);
  void finish_line(const std::shared_ptr<LogFile>& file, ByteCount limit, Milliseconds delay);
  /// Writes everything now.
  void flush() noexcept;

 private:
  struct FlushTimer : io::Timer {
    explicit FlushTimer(AccessLogBuffers& owner_) noexcept
        : Timer([](Timer& timer) { static_cast<FlushTimer&>(timer).owner.flush(); }), owner(owner_) {}
    AccessLogBuffers& owner;
  };
  io::Reactor& reactor_;
  FlushTimer flush_timer_;
  std::unordered_map<std::shared_ptr<LogFile>, std::string> buffers_;
};

/// Appends one value of a line, escaped as the format says; nothing is "-" (not in JSON).
void append_log_value(std::string& out, std::optional<std::string_view> value, config::LogFormat::Escape escape);

/// Writes the exchange's lines to every target of its place.
void write_access_log(Exchange& exchange);

}  // namespace gatehouse::exchange
