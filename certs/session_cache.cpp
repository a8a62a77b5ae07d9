#include "certs/session_cache.hpp"

#include <functional>

#include <openssl/crypto.h>

namespace gatehouse::certs {

struct SessionCache::Entry {
  std::string id;
  std::vector<unsigned char> session;
  std::chrono::system_clock::time_point expires;
};

struct SessionCache::Shard {
  mutable std::mutex mutex;
  std::list<Entry> entries;  // most recently used first
  std::unordered_map<std::string_view, std::list<Entry>::iterator> index;
  ByteCount capacity = 0;
  ByteCount bytes = 0;
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t evictions = 0;

  static ByteCount cost(const Entry& entry);
  void erase(std::list<Entry>::iterator entry);
  void shrink(ByteCount room);
};

namespace {

/// List node, hash node and allocator headers of one entry, measured roughly; exactness isn't needed, a bound is.
constexpr ByteCount kBookkeeping = 128;

}  // namespace

ByteCount SessionCache::Shard::cost(const Entry& entry) {
  // nginx documents 4,000 sessions a MiB and configurations are sized by it, so the usual session counts as that much.
  const ByteCount real = kBookkeeping + entry.id.size() + entry.session.size();
  return real <= kTypicalSession * 2 ? kTypicalSession : real;
}

void SessionCache::Shard::erase(std::list<Entry>::iterator entry) {
  bytes -= cost(*entry);
  index.erase(entry->id);
  OPENSSL_cleanse(entry->session.data(), entry->session.size());
  entries.erase(entry);
}

void SessionCache::Shard::shrink(ByteCount room) {
  while (!entries.empty() && bytes > room) {
    ++evictions;
    erase(std::prev(entries.end()));
  }
}

SessionCache::SessionCache(ByteCount capacity) {
  for (auto& shard : shards_) shard = std::make_unique<Shard>();
  resize(capacity);
}

SessionCache::~SessionCache() {
  for (auto& shard : shards_) {
    while (!shard->entries.empty()) shard->erase(shard->entries.begin());
  }
}

SessionCache::Shard& SessionCache::shard_of(std::string_view id) const {
  return *shards_[std::hash<std::string_view>{}(id) % kShards];
}

bool SessionCache::store(std::string_view id, std::span<const unsigned char> session,
                         std::chrono::system_clock::time_point expires) {
  if (session.size() > kMaxSession) return false;
  Shard& shard = shard_of(id);
  Entry entry{std::string(id), {session.begin(), session.end()}, expires};
  const ByteCount needed = Shard::cost(entry);
  const std::lock_guard lock(shard.mutex);
  if (needed > shard.capacity) return false;
  if (const auto old = shard.index.find(id); old != shard.index.end()) shard.erase(old->second);
  shard.shrink(shard.capacity - needed);
  shard.entries.push_front(std::move(entry));
  shard.index.emplace(shard.entries.front().id, shard.entries.begin());
  shard.bytes += needed;
  return true;
}

std::optional<std::vector<unsigned char>> SessionCache::find(std::string_view id,
                                                             std::chrono::system_clock::time_point now) {
  Shard& shard = shard_of(id);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.index.find(id);
  if (found == shard.index.end()) {
    ++shard.misses;
    return std::nullopt;
  }
  const auto entry = found->second;
  if (entry->expires <= now) {
    shard.erase(entry);
    ++shard.misses;
    return std::nullopt;
  }
  shard.entries.splice(shard.entries.begin(), shard.entries, entry);
  ++shard.hits;
  return entry->session;
}

void SessionCache::remove(std::string_view id) {
  Shard& shard = shard_of(id);
  const std::lock_guard lock(shard.mutex);
  if (const auto found = shard.index.find(id); found != shard.index.end()) shard.erase(found->second);
}

void SessionCache::resize(ByteCount capacity) {
  for (auto& shard : shards_) {
    const std::lock_guard lock(shard->mutex);
    shard->capacity = capacity / kShards;
    shard->shrink(shard->capacity);
  }
}

SessionCache::Figures SessionCache::figures() const {
  Figures sum;
  for (const auto& shard : shards_) {
    const std::lock_guard lock(shard->mutex);
    sum.sessions += shard->entries.size();
    sum.bytes += shard->bytes;
    sum.hits += shard->hits;
    sum.misses += shard->misses;
    sum.evictions += shard->evictions;
  }
  return sum;
}

}  // namespace gatehouse::certs
