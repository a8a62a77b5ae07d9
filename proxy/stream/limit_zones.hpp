// limit_conn: sessions counted by key, over all threads and reloads (ngx_stream_limit_conn_module).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "proxy/base/units.hpp"

namespace gatehouse::stream {

class LimitZone;

/// One counted session; gives its count back when destroyed.
class LimitLease {
 public:
  LimitLease(std::shared_ptr<LimitZone> zone, std::string key) noexcept
      : zone_(std::move(zone)), key_(std::move(key)) {}
  LimitLease(LimitLease&&) noexcept = default;
  LimitLease& operator=(LimitLease&&) noexcept = default;
  ~LimitLease();

 private:
  std::shared_ptr<LimitZone> zone_;
  std::string key_;
};

/// The counts of one zone. Thread-safe; sharded by key.
class LimitZone : public std::enable_shared_from_this<LimitZone> {
 public:
  /// Bytes of a zone's size that one key takes, as nginx documents it for IPv6 addresses on 64 bit machines.
  static constexpr ByteCount kEntry = 128;
  explicit LimitZone(ByteCount size) noexcept : most_keys_(size / kEntry / kShards + 1) {}

  /// Counts one more session of `key`, unless it has `most` already or the zone has no room for another key.
  [[nodiscard]] std::optional<LimitLease> enter(std::string_view key, std::uint32_t most);

 private:
  friend class LimitLease;
  static constexpr std::size_t kShards = 16;
  struct Shard {
    std::mutex mutex;
    std::unordered_map<std::string, std::uint32_t> counts;
  };
  [[nodiscard]] Shard& shard_of(std::string_view key) noexcept {
    return shards_[std::hash<std::string_view>{}(key) % kShards];
  }
  void leave(const std::string& key) noexcept;

  const std::size_t most_keys_;  // of each shard
  std::array<Shard, kShards> shards_;
};

/// Every zone of the process by name. Thread-safe.
class LimitZones {
 public:
  /// The zone of that name; of another size than before, it begins anew.
  [[nodiscard]] std::shared_ptr<LimitZone> get(const std::string& name, ByteCount size);

 private:
  struct Entry {
    ByteCount size = 0;
    std::shared_ptr<LimitZone> zone;
  };
  std::mutex mutex_;
  std::map<std::string, Entry> zones_;
};

}  // namespace gatehouse::stream
