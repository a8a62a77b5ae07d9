// Sessions kept on our side (TLS 1.2 session IDs, TLS 1.3 without stateless tickets), bounded in bytes, shared by all
// threads.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "proxy/base/units.hpp"

namespace gatehouse::certs {

/// Serialised sessions by session ID; the least recently used goes first. Sharded, so that threads seldom meet on a
/// lock. What is removed is wiped: it holds master secrets.
class SessionCache {
 public:
  /// Room for a session including its bookkeeping: about 4,000 sessions a MiB, as nginx documents it.
  static constexpr ByteCount kTypicalSession = 256;
  /// A session longer than this is not kept (a client certificate chain can make it so).
  static constexpr std::size_t kMaxSession = 8 * kKiB;

  explicit SessionCache(ByteCount capacity);
  ~SessionCache();
  SessionCache(const SessionCache&) = delete;
  SessionCache& operator=(const SessionCache&) = delete;

  /// Keeps `session` until `expires` at most. False if it is too long to be kept.
  bool store(std::string_view id, std::span<const unsigned char> session,
             std::chrono::system_clock::time_point expires);

  /// A copy of the session, unless unknown or expired at `now`.
  [[nodiscard]] std::optional<std::vector<unsigned char>> find(std::string_view id,
                                                               std::chrono::system_clock::time_point now);

  void remove(std::string_view id);

  /// A reload may change the size; what no longer fits goes.
  void resize(ByteCount capacity);

  struct Figures {
    std::uint64_t sessions = 0;
    ByteCount bytes = 0;
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
    std::uint64_t evictions = 0;  ///< unexpired sessions that had to make room
  };
  [[nodiscard]] Figures figures() const;

 private:
  struct Entry;
  struct Shard;
  static constexpr std::size_t kShards = 16;

  Shard& shard_of(std::string_view id) const;

  std::array<std::unique_ptr<Shard>, kShards> shards_;
};

}  // namespace gatehouse::certs
