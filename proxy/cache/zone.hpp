// A cache zone: its index in memory, its files on disk, and the keeper that fits the one to the other (proxy_cache_path).
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "proxy/base/log.hpp"
#include "proxy/cache/entry_file.hpp"
#include "proxy/cache/index.hpp"
#include "proxy/cache/zone_options.hpp"

namespace gatehouse::cache {

/// nginx's figure: one megabyte holds about 8,000 keys.
inline constexpr ByteCount kBytesOfKey = 128;

/// One zone. Thread-safe. Every path may block on the disk, as nginx's do without `aio`.
class Zone {
 public:
  explicit Zone(ZoneOptions options);
  /// Ends the keeper, which takes as long as the file that it looks at.
  ~Zone();
  Zone(const Zone&) = delete;
  Zone& operator=(const Zone&) = delete;

  /// Begins to learn what is on disk, and to remove what is unused or too much. The first call counts. `log` outlives the zone.
  void start(std::shared_ptr<const ErrorLog> log);

  [[nodiscard]] const ZoneOptions& options() const noexcept { return options_; }
  [[nodiscard]] Index& index() noexcept { return index_; }
  /// Whether files may be there that the index has not heard of.
  [[nodiscard]] bool is_cold() const noexcept { return cold_.load(std::memory_order_acquire); }
  [[nodiscard]] std::string path_of(const Digest& digest) const;
  /// Removes an entry and its file; false if there was none.
  bool remove(const Digest& digest);
  /// Removes every entry whose key begins with `prefix`, in the keeper's thread, which tells how many to the log.
  void remove_by_prefix(std::string prefix);

  /// One round of what the keeper does every second: unused entries, then those beyond max_size and min_free, at `now`. Returns
  /// whether there is more to do at once.
  bool tidy(Seconds now);
  /// Reads the whole folder into the index: files of entries, remains of a crash removed. Ends early when the zone ends.
  void load();

 private:
  void keep();
  bool rest(Milliseconds time);
  [[nodiscard]] bool is_too_full() const;
  template <class Each>
  void walk(Each&& each);

  const ZoneOptions options_;
  Index index_;
  std::atomic<bool> cold_{true};
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ending_ = false;
  std::vector<std::string> prefixes_;  ///< to be removed
  std::shared_ptr<const ErrorLog> log_;
  std::thread keeper_;
};

}  // namespace gatehouse::cache
