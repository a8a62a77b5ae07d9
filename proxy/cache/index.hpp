// What a zone knows in memory of its entries: which exist, who fetches one, which were used last. No disk, no clock.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "proxy/cache/freshness.hpp"
#include "proxy/cache/key.hpp"

namespace gatehouse::cache {

class Index;

/// An exchange's hold on one entry: it is not forgotten meanwhile. Giving it up ends the exchange's turn at fetching it.
class Hold {
 public:
  Hold() = default;
  Hold(Hold&& other) noexcept;
  Hold& operator=(Hold&& other) noexcept;
  ~Hold() { release(); }

  void release() noexcept;
  explicit operator bool() const noexcept { return index_ != nullptr; }

 private:
  friend class Index;
  Index* index_ = nullptr;
  Digest digest_;
  bool fetching_ = false;
  std::uint64_t turn_ = 0;
};

/// What the index says of a key.
struct Known {
  bool exists = false;       ///< a file is said to be there
  bool used_enough = false;  ///< exists, or was asked for `min_uses` times
  int error = 0;             ///< a status that is remembered without a response
};

/// Sharded by digest: a shard's mutex is held for a few loads and stores only. Thread-safe; outlives its holds.
class Index {
 public:
  /// `capacity`: the most entries; the longest unused ones make room.
  explicit Index(std::size_t capacity);
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;

  /// Counts a use at `now` and holds the entry. Without room (every entry is held): no hold.
  [[nodiscard]] Hold use(const Digest& digest, Seconds now, std::uint32_t min_uses, Known& known);
  /// Begins to fetch the entry, unless somebody else does; his turn ends at `lock_until` (milliseconds of any clock, now = `now_ms`).
  [[nodiscard]] bool begin_fetch(Hold& hold, std::int64_t now_ms, std::int64_t lock_until);
  /// Calls `wake` (from any thread) once the entry's fetch has ended; false: it has already.
  [[nodiscard]] bool wait(const Hold& hold, std::function<void()> wake);

  /// The entry's file is there and takes `bytes` on disk.
  void stored(const Digest& digest, std::uint64_t bytes, Seconds now) { learn(digest, bytes, now, true); }
  /// A file was found on disk, `bytes` in size; known ones stay as they are.
  void found(const Digest& digest, std::uint64_t bytes, Seconds now) { learn(digest, bytes, now, false); }
  /// The entry has no file any more.
  void removed(const Digest& digest);
  /// Remembers `status` for the entry until `until`.
  void failed(const Digest& digest, int status, Seconds until);

  /// Takes out up to `most` entries that nobody holds and that were used before `unused_since`; they are the longest unused ones.
  /// Their files are the caller's to remove.
  [[nodiscard]] std::vector<Digest> take_unused(Seconds unused_since, std::size_t most);
  /// Takes entries that had to go when others needed their room.
  [[nodiscard]] std::vector<Digest> take_displaced();

  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::size_t entries() const;

 private:
  friend class Hold;
  struct Entry {
    std::list<Digest>::iterator place;  ///< in Shard::unused_first's order: front = longest unused
    std::uint32_t uses = 0;
    std::uint32_t holds = 0;
    bool exists = false;
    bool fetching = false;
    std::uint64_t turn = 0;
    std::int64_t lock_until = 0;
    int error = 0;
    Seconds error_until = 0;
    Seconds last_use = 0;
    std::uint64_t use_number = 0;  ///< which use of all the last one was: the order within a second
    std::uint64_t bytes = 0;
    std::vector<std::function<void()>> waiting;
  };
  struct Shard {
    mutable std::mutex mutex;
    std::unordered_map<Digest, Entry, DigestHash> entries;
    std::list<Digest> order;
    std::vector<Digest> displaced;
  };
  static constexpr std::size_t kShards = 16;

  [[nodiscard]] Shard& shard(const Digest& digest) noexcept { return shards_[digest.bytes[15] % kShards]; }
  [[nodiscard]] const Shard& shard(const Digest& digest) const noexcept { return shards_[digest.bytes[15] % kShards]; }
  [[nodiscard]] Entry* add(Shard& shard, const Digest& digest);
  void forget(Shard& shard, std::unordered_map<Digest, Entry, DigestHash>::iterator entry);
  void release(Hold& hold) noexcept;
  void learn(const Digest& digest, std::uint64_t bytes, Seconds now, bool replaces);

  const std::size_t shard_capacity_;
  std::array<Shard, kShards> shards_;
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<std::uint64_t> uses_{0};
};

}  // namespace gatehouse::cache
