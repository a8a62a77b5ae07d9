#include "waf/bounded_store.hpp"

#include <algorithm>
#include <functional>

#include "proxy/base/ascii.hpp"

namespace gatehouse::waf {
namespace {

// List and hash nodes, string headers and allocator overhead of one entry, measured generously.
constexpr ByteCount kEntryOverhead = 240;

ByteCount cost(std::string_view key, std::string_view value) { return kEntryOverhead + 2 * key.size() + value.size(); }

}  // namespace

BoundedStore::BoundedStore(CollectionLimits limits) : limits_(limits) {}

BoundedStore::Shard& BoundedStore::shard_of(const std::string& folded) {
  return shards_[std::hash<std::string>{}(folded) % kShards];
}

void BoundedStore::remove(Shard& shard, Order::iterator entry) {
  shard.counters.bytes -= cost(entry->stored.key, entry->stored.value);
  --shard.counters.entries;
  shard.index.erase(entry->folded);
  shard.order.erase(entry);
}

void BoundedStore::expire(Shard& shard, TimePoint now) {
  while (!shard.order.empty() && now - shard.order.front().written >= limits_.idle_time) {
    remove(shard, shard.order.begin());
    ++shard.counters.expired;
  }
}

void BoundedStore::write(Shard& shard, std::string folded, std::string_view key, std::string_view value,
                         TimePoint now) {
  const ByteCount bound = limits_.bytes / kShards;
  const ByteCount needed = cost(key, value);
  StoredValue stored{std::string(key), std::string(value)};
  if (const auto found = shard.index.find(folded); found != shard.index.end()) {
    stored.key = found->second->stored.key;
    remove(shard, found->second);
  }
  if (needed > bound) return;
  while (shard.counters.bytes + needed > bound) {
    remove(shard, shard.order.begin());
    ++shard.counters.evicted;
  }
  shard.order.push_back(Entry{std::move(stored), std::move(folded), now});
  shard.index.emplace(shard.order.back().folded, std::prev(shard.order.end()));
  shard.counters.bytes += needed;
  ++shard.counters.entries;
}

void BoundedStore::put(std::string_view key, std::string_view value, TimePoint now) {
  std::string folded = lower_case(key);
  Shard& shard = shard_of(folded);
  const std::scoped_lock lock(shard.mutex);
  expire(shard, now);
  write(shard, std::move(folded), key, value, now);
}

bool BoundedStore::replace(std::string_view key, std::string_view value, TimePoint now) {
  std::string folded = lower_case(key);
  Shard& shard = shard_of(folded);
  const std::scoped_lock lock(shard.mutex);
  expire(shard, now);
  if (!shard.index.contains(folded)) return false;
  write(shard, std::move(folded), key, value, now);
  return true;
}

void BoundedStore::erase(std::string_view key) {
  const std::string folded = lower_case(key);
  Shard& shard = shard_of(folded);
  const std::scoped_lock lock(shard.mutex);
  if (const auto found = shard.index.find(folded); found != shard.index.end()) remove(shard, found->second);
}

std::optional<StoredValue> BoundedStore::get(std::string_view key, TimePoint now) {
  const std::string folded = lower_case(key);
  Shard& shard = shard_of(folded);
  const std::scoped_lock lock(shard.mutex);
  expire(shard, now);
  const auto found = shard.index.find(folded);
  if (found == shard.index.end()) return std::nullopt;
  return found->second->stored;
}

std::vector<StoredValue> BoundedStore::all(TimePoint now) {
  std::vector<StoredValue> values;
  for (Shard& shard : shards_) {
    const std::scoped_lock lock(shard.mutex);
    expire(shard, now);
    for (const Entry& entry : shard.order) values.push_back(entry.stored);
  }
  return values;
}

BoundedStore::Counters BoundedStore::counters() const {
  Counters sum;
  for (const Shard& shard : shards_) {
    const std::scoped_lock lock(shard.mutex);
    sum.entries += shard.counters.entries;
    sum.bytes += shard.counters.bytes;
    sum.evicted += shard.counters.evicted;
    sum.expired += shard.counters.expired;
  }
  return sum;
}

}  // namespace gatehouse::waf
