#include "proxy/cache/index.hpp"

#include <algorithm>
#include <utility>

namespace gatehouse::cache {

Hold::Hold(Hold&& other) noexcept
    : index_(std::exchange(other.index_, nullptr)),
      digest_(other.digest_),
      fetching_(std::exchange(other.fetching_, false)),
      turn_(other.turn_) {}

Hold& Hold::operator=(Hold&& other) noexcept {
  if (this == &other) return *this;
  release();
  index_ = std::exchange(other.index_, nullptr);
  digest_ = other.digest_;
  fetching_ = std::exchange(other.fetching_, false);
  turn_ = other.turn_;
  return *this;
}

void Hold::release() noexcept {
  if (index_ != nullptr) std::exchange(index_, nullptr)->release(*this);
}

Index::Index(std::size_t capacity) : shard_capacity_(std::max<std::size_t>(1, capacity / kShards)) {}

void Index::forget(Shard& shard, std::unordered_map<Digest, Entry, DigestHash>::iterator entry) {
  bytes_.fetch_sub(entry->second.bytes, std::memory_order_relaxed);
  shard.order.erase(entry->second.place);
  shard.entries.erase(entry);
}

// Room for one more, if need be in place of the longest unused entry that nobody holds.
Index::Entry* Index::add(Shard& shard, const Digest& digest) {
  if (shard.entries.size() >= shard_capacity_) {
    const auto free = std::find_if(shard.order.begin(), shard.order.end(), [&](const Digest& candidate) {
      return shard.entries.find(candidate)->second.holds == 0;
    });
    if (free == shard.order.end()) return nullptr;
    const auto entry = shard.entries.find(*free);
    if (entry->second.exists) shard.displaced.push_back(*free);
    forget(shard, entry);
  }
  Entry& entry = shard.entries[digest];
  entry.place = shard.order.insert(shard.order.end(), digest);
  entry.use_number = uses_.fetch_add(1, std::memory_order_relaxed);
  return &entry;
}

Hold Index::use(const Digest& digest, Seconds now, std::uint32_t min_uses, Known& known) {
  Hold hold;
  Shard& place = shard(digest);
  const std::lock_guard lock(place.mutex);
  const auto found = place.entries.find(digest);
  Entry* entry = found == place.entries.end() ? nullptr : &found->second;
  if (entry == nullptr) {
    entry = add(place, digest);
    if (entry == nullptr) return hold;
  }
  if (entry->error != 0 && entry->error_until < now) entry->error = 0;
  ++entry->uses;
  ++entry->holds;
  entry->last_use = now;
  entry->use_number = uses_.fetch_add(1, std::memory_order_relaxed);
  place.order.splice(place.order.end(), place.order, entry->place);
  known.exists = entry->exists;
  known.error = entry->error;
  known.used_enough = entry->exists || entry->uses >= min_uses;
  hold.index_ = this;
  hold.digest_ = digest;
  return hold;
}

bool Index::begin_fetch(Hold& hold, std::int64_t now_ms, std::int64_t lock_until) {
  Shard& place = shard(hold.digest_);
  const std::lock_guard lock(place.mutex);
  Entry& entry = place.entries.find(hold.digest_)->second;
  if (entry.fetching && entry.lock_until > now_ms) return false;
  entry.fetching = true;
  entry.lock_until = lock_until;
  hold.fetching_ = true;
  hold.turn_ = ++entry.turn;
  return true;
}

bool Index::wait(const Hold& hold, std::function<void()> wake) {
  Shard& place = shard(hold.digest_);
  const std::lock_guard lock(place.mutex);
  Entry& entry = place.entries.find(hold.digest_)->second;
  if (!entry.fetching) return false;
  entry.waiting.push_back(std::move(wake));
  return true;
}

void Index::release(Hold& hold) noexcept {
  std::vector<std::function<void()>> waiting;
  {
    Shard& place = shard(hold.digest_);
    const std::lock_guard lock(place.mutex);
    const auto found = place.entries.find(hold.digest_);
    Entry& entry = found->second;
    --entry.holds;
    if (std::exchange(hold.fetching_, false) && entry.turn == hold.turn_) {
      entry.fetching = false;
      waiting.swap(entry.waiting);
    }
  }
  for (const auto& wake : waiting) wake();
}

void Index::learn(const Digest& digest, std::uint64_t bytes, Seconds now, bool replaces) {
  Shard& place = shard(digest);
  const std::lock_guard lock(place.mutex);
  const auto known = place.entries.find(digest);
  Entry* const entry = known == place.entries.end() ? add(place, digest) : &known->second;
  if (entry == nullptr || (entry->exists && !replaces)) return;
  bytes_.fetch_add(bytes - entry->bytes, std::memory_order_relaxed);
  entry->bytes = bytes;
  entry->exists = true;
  if (replaces) entry->error = 0;
  if (entry->last_use == 0) entry->last_use = now;
}

void Index::removed(const Digest& digest) {
  Shard& place = shard(digest);
  const std::lock_guard lock(place.mutex);
  const auto found = place.entries.find(digest);
  if (found == place.entries.end()) return;
  bytes_.fetch_sub(std::exchange(found->second.bytes, 0), std::memory_order_relaxed);
  found->second.exists = false;
}

void Index::failed(const Digest& digest, int status, Seconds until) {
  Shard& place = shard(digest);
  const std::lock_guard lock(place.mutex);
  const auto found = place.entries.find(digest);
  if (found == place.entries.end()) return;
  found->second.error = status;
  found->second.error_until = until;
}

std::vector<Digest> Index::take_unused(Seconds unused_since, std::size_t most) {
  std::vector<Digest> taken;
  while (taken.size() < most) {
    // The shard whose longest unused entry is the oldest of all.
    Shard* oldest = nullptr;
    std::uint64_t first = 0;
    for (Shard& place : shards_) {
      const std::lock_guard lock(place.mutex);
      for (const Digest& digest : place.order) {
        const Entry& entry = place.entries.find(digest)->second;
        if (entry.holds != 0) continue;
        if (entry.last_use < unused_since && (oldest == nullptr || entry.use_number < first)) {
          first = entry.use_number;
          oldest = &place;
        }
        break;
      }
    }
    if (oldest == nullptr) break;
    const std::lock_guard lock(oldest->mutex);
    for (const Digest& digest : oldest->order) {
      const auto entry = oldest->entries.find(digest);
      if (entry->second.holds != 0) continue;
      if (entry->second.last_use >= unused_since) break;
      taken.push_back(digest);
      forget(*oldest, entry);
      break;
    }
  }
  return taken;
}

std::vector<Digest> Index::take_displaced() {
  std::vector<Digest> all;
  for (Shard& place : shards_) {
    const std::lock_guard lock(place.mutex);
    all.insert(all.end(), place.displaced.begin(), place.displaced.end());
    place.displaced.clear();
  }
  return all;
}

std::size_t Index::entries() const {
  std::size_t count = 0;
  for (const Shard& place : shards_) {
    const std::lock_guard lock(place.mutex);
    count += place.entries.size();
  }
  return count;
}

}  // namespace gatehouse::cache
