#include "proxy/exchange/limit_zones.hpp"

#include <algorithm>
#include <functional>

namespace gatehouse::exchange {
namespace {

constexpr ByteCount kBytesOfKey = 128;  // nginx's: a node of its tree with a short key

std::size_t keys_of_shard(ByteCount size, std::size_t shards) {
  return std::max<std::size_t>(1, static_cast<std::size_t>(size / kBytesOfKey) / shards);
}

}  // namespace

RequestLimitZone::RequestLimitZone(ByteCount size, std::uint64_t rate)
    : rate_(rate), most_(keys_of_shard(size, kShards)) {}

RequestLimitZone::Shard& RequestLimitZone::shard_of(std::string_view key) noexcept {
  return shards_[(std::hash<std::string_view>{}(key) >> 7) % kShards];
}

RequestLimitZone::Answer RequestLimitZone::answer(const Bucket& bucket, std::uint64_t burst,
                                                  std::int64_t now) const noexcept {
  std::int64_t elapsed = now - bucket.last;
  if (elapsed < -60000) {
    elapsed = 1;
  } else if (elapsed < 0) {
    elapsed = 0;
  }
  const auto drained = static_cast<std::int64_t>(rate_) * elapsed / 1000;
  const std::int64_t excess = std::max<std::int64_t>(0, static_cast<std::int64_t>(bucket.excess) - drained + 1000);
  return {static_cast<std::uint64_t>(excess) > burst, static_cast<std::uint64_t>(excess)};
}

RequestLimitZone::Answer RequestLimitZone::ask(std::string_view key, std::uint64_t burst, std::int64_t now) {
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.by_key.find(key);
  return found == shard.by_key.end() ? Answer{} : answer(*found->second, burst, now);
}

RequestLimitZone::Answer RequestLimitZone::take(std::string_view key, std::uint64_t burst, std::int64_t now) {
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.by_key.find(key);
  if (found != shard.by_key.end()) {
    Bucket& bucket = *found->second;
    shard.recent.splice(shard.recent.begin(), shard.recent, found->second);
    const Answer result = answer(bucket, burst, now);
    if (result.refused) return result;
    bucket.excess = result.excess;
    if (now != bucket.last) bucket.last = now;
    return result;
  }
  if (shard.recent.size() >= most_) {
    shard.by_key.erase(shard.recent.back().key);
    shard.recent.pop_back();
  }
  shard.recent.push_front({std::string(key), 0, now});
  shard.by_key.emplace(shard.recent.front().key, shard.recent.begin());
  return {};
}

std::size_t RequestLimitZone::keys() const {
  std::size_t total = 0;
  for (const auto& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    total += shard.recent.size();
  }
  return total;
}

ConnectionLimitZone::ConnectionLimitZone(ByteCount size) : most_(keys_of_shard(size, kShards)) {}

bool ConnectionLimitZone::take(std::string_view key, std::uint32_t most) {
  Shard& shard = shards_[index_of(key)];
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.counts.find(key);
  if (found != shard.counts.end()) {
    if (found->second >= most) return false;
    ++found->second;
    return true;
  }
  if (shard.counts.size() >= most_) return false;
  shard.counts.emplace(std::string(key), 1);
  return true;
}

bool ConnectionLimitZone::has_room(std::string_view key, std::uint32_t most) const {
  const Shard& shard = shards_[index_of(key)];
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.counts.find(key);
  return found == shard.counts.end() ? shard.counts.size() < most_ : found->second < most;
}

void ConnectionLimitZone::give_back(std::string_view key) noexcept {
  Shard& shard = shards_[index_of(key)];
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.counts.find(key);
  if (found != shard.counts.end() && --found->second == 0) shard.counts.erase(found);
}

std::size_t ConnectionLimitZone::keys() const {
  std::size_t total = 0;
  for (const auto& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    total += shard.counts.size();
  }
  return total;
}

ConnectionLeases::~ConnectionLeases() {
  for (const auto& [zone, key] : held_) zone->give_back(key);
}

}  // namespace gatehouse::exchange
