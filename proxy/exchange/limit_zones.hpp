// Zones of limit_req and limit_conn: counts by key, shared by every thread of the process.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "proxy/base/units.hpp"

namespace gatehouse::exchange {

/// nginx's leaky bucket (ngx_http_limit_req_module): each key has an excess in thousandths of a request, which falls by `rate` and
/// rises by 1000 with each request. Thread-safe. Bounded: what was asked for longest ago goes first.
class RequestLimitZone {
 public:
  /// `size` in bytes, of which each key takes about 128; `rate` in requests per 1000 seconds.
  RequestLimitZone(ByteCount size, std::uint64_t rate);

  struct Answer {
    bool refused = false;
    std::uint64_t excess = 0;  ///< thousandths
  };
  /// What a request now would come to. Does not count it. `now` in milliseconds of any steady clock.
  [[nodiscard]] Answer ask(std::string_view key, std::uint64_t burst, std::int64_t now);
  /// Counts a request and says what it came to; a refused one is not counted.
  [[nodiscard]] Answer take(std::string_view key, std::uint64_t burst, std::int64_t now);

  [[nodiscard]] std::uint64_t rate() const noexcept { return rate_; }
  [[nodiscard]] std::size_t keys() const;

 private:
  struct Bucket {
    std::string key;
    std::uint64_t excess = 0;
    std::int64_t last = 0;
  };
  struct Shard {
    mutable std::mutex mutex;
    std::list<Bucket> recent;  ///< most recently used first
    std::unordered_map<std::string_view, std::list<Bucket>::iterator> by_key;
  };
  static constexpr std::size_t kShards = 16;
  [[nodiscard]] Shard& shard_of(std::string_view key) noexcept;
  [[nodiscard]] Answer answer(const Bucket& bucket, std::uint64_t burst, std::int64_t now) const noexcept;

  const std::uint64_t rate_;
  const std::size_t most_;  ///< keys of one shard
  std::array<Shard, kShards> shards_;
};

/// Counts requests in progress by key. Thread-safe.
class ConnectionLimitZone {
 public:
  explicit ConnectionLimitZone(ByteCount size);
  /// Takes a place if fewer than `most` are taken; false, and nothing taken, if not, or if the zone is full of other keys.
  [[nodiscard]] bool take(std::string_view key, std::uint32_t most);
  /// Whether a place could be taken.
  [[nodiscard]] bool has_room(std::string_view key, std::uint32_t most) const;
  void give_back(std::string_view key) noexcept;
  [[nodiscard]] std::size_t keys() const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
  };
  struct Shard {
    mutable std::mutex mutex;
    std::unordered_map<std::string, std::uint32_t, Hash, std::equal_to<>> counts;
  };
  static constexpr std::size_t kShards = 16;
  [[nodiscard]] std::size_t index_of(std::string_view key) const noexcept { return Hash{}(key) % kShards; }
  const std::size_t most_;
  std::array<Shard, kShards> shards_;
};

/// Places that an exchange holds; given back when it goes.
class ConnectionLeases {
 public:
  ConnectionLeases() = default;
  ~ConnectionLeases();
  ConnectionLeases(const ConnectionLeases&) = delete;
  ConnectionLeases& operator=(const ConnectionLeases&) = delete;
  void add(std::shared_ptr<ConnectionLimitZone> zone, std::string_view key) {
    held_.emplace_back(std::move(zone), key);
  }

 private:
  std::vector<std::pair<std::shared_ptr<ConnectionLimitZone>, std::string>> held_;
};

}  // namespace gatehouse::exchange
