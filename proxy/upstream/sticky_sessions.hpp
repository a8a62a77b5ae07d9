// Which server a session belongs to (nginx's `sticky learn`).
#pragma once

#include <cstddef>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "proxy/base/digest.hpp"
#include "proxy/base/units.hpp"

namespace gatehouse::upstream {

/// The sessions of one zone. Thread-safe: shared by all event threads, and kept over reloads. Knows no clock.
class StickySessions {
 public:
  /// `size`: of the zone, of which a session takes kBytesOfSession; the longest unused ones make room.
  StickySessions(ByteCount size, Milliseconds timeout);

  /// The server that the session was bound to less than the zone's timeout ago; nothing otherwise. Does not count as a use.
  [[nodiscard]] std::optional<std::string> find(std::string_view session, TimePoint now);
  /// Binds the session to a server, and counts a use. Sessions that are not known are made only if `create` is set.
  void learn(std::string_view session, std::string_view server, bool create, TimePoint now);

  [[nodiscard]] std::size_t size() const;

  /// nginx's figure: one megabyte holds about 8,000 sessions.
  static constexpr ByteCount kBytesOfSession = 128;

 private:
  struct Session {
    Digest id;  ///< of what the client sends: its length does not matter, nor who reads memory
    std::string server;
    TimePoint last;
  };
  void expire(TimePoint now);

  const std::size_t capacity_;
  const Milliseconds timeout_;
  mutable std::mutex mutex_;
  std::list<Session> sessions_;  ///< the longest unused first
  std::unordered_map<Digest, std::list<Session>::iterator, DigestHash> by_id_;
};

}  // namespace gatehouse::upstream
