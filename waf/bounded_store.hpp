// A bounded map of texts whose entries expire, for values that outlive a request.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "proxy/base/units.hpp"
#include "waf/engine.hpp"

namespace gatehouse::waf {

/// A value that was found, under the key it was first stored with.
struct StoredValue {
  std::string key;
  std::string value;
};

/// Keys compare without regard to ASCII case, as SecLang's collections do. Thread-safe: 16 independently locked shards,
/// each with its part of the byte bound. Over the bound the entries written longest ago go first; an entry not written
/// for CollectionLimits::idle_time does not exist. Reading does not prolong an entry's life.
class BoundedStore {
 public:
  struct Counters {
    std::uint64_t entries = 0;
    std::uint64_t bytes = 0;
    std::uint64_t evicted = 0;
    std::uint64_t expired = 0;
  };

  explicit BoundedStore(CollectionLimits limits);

  /// Stores or replaces. A value larger than a shard's bound is not stored.
  void put(std::string_view key, std::string_view value, TimePoint now);
  /// Replaces only; false if there is no such entry.
  bool replace(std::string_view key, std::string_view value, TimePoint now);
  void erase(std::string_view key);
  [[nodiscard]] std::optional<StoredValue> get(std::string_view key, TimePoint now);
  /// A copy of every live entry; cost is the whole store.
  [[nodiscard]] std::vector<StoredValue> all(TimePoint now);
  [[nodiscard]] Counters counters() const;

 private:
  struct Entry {
    StoredValue stored;
    std::string folded;  // the map's key
    TimePoint written;
  };
  using Order = std::list<Entry>;  // front: written longest ago
  struct Shard {
    mutable std::mutex mutex;
    Order order;
    std::unordered_map<std::string_view, Order::iterator> index;  // views into Entry::folded
    Counters counters;
  };

  static constexpr std::size_t kShards = 16;

  Shard& shard_of(const std::string& folded);
  void write(Shard& shard, std::string folded, std::string_view key, std::string_view value, TimePoint now);
  void remove(Shard& shard, Order::iterator entry);
  void expire(Shard& shard, TimePoint now);

  CollectionLimits limits_;
  std::array<Shard, kShards> shards_;
};

}  // namespace gatehouse::waf
