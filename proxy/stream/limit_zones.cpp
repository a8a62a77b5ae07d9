#include "proxy/stream/limit_zones.hpp"

namespace gatehouse::stream {

LimitLease::~LimitLease() {
  if (zone_) zone_->leave(key_);
}

std::optional<LimitLease> LimitZone::enter(std::string_view key, std::uint32_t most) {
  Shard& shard = shard_of(key);
  std::string owned(key);
  {
    const std::lock_guard lock(shard.mutex);
    const auto known = shard.counts.find(owned);
    if (known == shard.counts.end()) {
      if (shard.counts.size() >= most_keys_) return std::nullopt;
      shard.counts.emplace(owned, 1);
    } else {
      if (known->second >= most) return std::nullopt;
      ++known->second;
    }
  }
  return LimitLease(shared_from_this(), std::move(owned));
}

void LimitZone::leave(const std::string& key) noexcept {
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  const auto known = shard.counts.find(key);
  if (known != shard.counts.end() && --known->second == 0) shard.counts.erase(known);
}

std::shared_ptr<LimitZone> LimitZones::get(const std::string& name, ByteCount size) {
  const std::lock_guard lock(mutex_);
  Entry& entry = zones_[name];
  if (!entry.zone || entry.size != size) entry = {size, std::make_shared<LimitZone>(size)};
  return entry.zone;
}

}  // namespace gatehouse::stream
