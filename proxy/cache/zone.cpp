#include "proxy/cache/zone.hpp"

#include <chrono>
#include <ctime>
#include <filesystem>
#include <limits>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace gatehouse::cache {
namespace {

namespace fs = std::filesystem;

constexpr Milliseconds kRound{1000};
// A file that another process (a predecessor that is still draining) may be writing is left alone for that long.
constexpr Seconds kAbandoned = 3600;

}  // namespace

Zone::Zone(ZoneOptions options) : options_(std::move(options)), index_(options_.keys_size / kBytesOfKey) {}

Zone::~Zone() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  if (keeper_.joinable()) keeper_.join();
}

void Zone::start(std::shared_ptr<const ErrorLog> log) {
  const std::lock_guard lock(mutex_);
  if (keeper_.joinable()) return;
  log_ = std::move(log);
  keeper_ = std::thread([this] { keep(); });
}

std::string Zone::path_of(const Digest& digest) const {
  return options_.path + "/" + cache::path_of(digest, options_.levels);
}

bool Zone::remove(const Digest& digest) {
  index_.removed(digest);
  return ::unlink(path_of(digest).c_str()) == 0;
}

void Zone::remove_by_prefix(std::string prefix) {
  {
    const std::lock_guard lock(mutex_);
    prefixes_.push_back(std::move(prefix));
  }
  changed_.notify_all();
}

// Waits, unless there is something to do; false: the zone ends.
bool Zone::rest(Milliseconds time) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, time, [this] { return ending_ || !prefixes_.empty(); });
  return !ending_;
}

// Calls `each` with every regular file below the zone's folder, at the loader's pace; ends when the zone does.
template <class Each>
void Zone::walk(Each&& each) {
  std::uint32_t seen = 0;
  auto began = std::chrono::steady_clock::now();
  std::error_code error;
  fs::recursive_directory_iterator at(options_.path, fs::directory_options::skip_permission_denied, error);
  for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    std::error_code ignored;
    if (!at->is_regular_file(ignored) || at->is_symlink(ignored)) continue;
    each(at->path());
    const auto now = std::chrono::steady_clock::now();
    if (++seen < options_.loader.files && now - began < options_.loader.threshold) continue;
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, options_.loader.sleep, [this] { return ending_; });
      if (ending_) return;
    }
    seen = 0;
    began = std::chrono::steady_clock::now();
  }
}

void Zone::load() {
  const Seconds now = std::time(nullptr);
  walk([&](const fs::path& path) {
    const std::string name = path.filename().string();
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0) return;
    if (is_temporary_name(name)) {
      if (status.st_mtime < now - kAbandoned) ::unlink(path.c_str());
      return;
    }
    const auto digest = parse_hex(name);
    if (!digest || path_of(*digest) != path.string()) return;  // not ours: left alone
    index_.found(*digest, static_cast<std::uint64_t>(status.st_blocks) * 512, now);
  });
  cold_.store(false, std::memory_order_release);
}

bool Zone::is_too_full() const {
  if (options_.max_size != 0 && index_.bytes() > options_.max_size) return true;
  if (options_.min_free == 0) return false;
  struct statvfs status{};
  if (::statvfs(options_.path.c_str(), &status) != 0) return false;
  return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize < options_.min_free;
}

bool Zone::tidy(Seconds now) {
  const auto unlink_all = [&](const std::vector<Digest>& digests) {
    for (const Digest& digest : digests) ::unlink(path_of(digest).c_str());
    return digests.size();
  };
  unlink_all(index_.take_displaced());
  const std::uint32_t most = options_.manager.files;
  if (unlink_all(index_.take_unused(now - options_.inactive, most)) == most) return true;
  for (std::uint32_t i = 0; i < most; ++i) {
    if (!is_too_full()) return false;
    if (unlink_all(index_.take_unused(std::numeric_limits<Seconds>::max(), 1)) == 0) return false;
  }
  return true;
}

void Zone::keep() {
  load();
  for (;;) {
    std::vector<std::string> prefixes;
    {
      const std::lock_guard lock(mutex_);
      if (ending_) return;
      prefixes.swap(prefixes_);
    }
    if (!prefixes.empty()) {
      std::uint64_t count = 0;
      walk([&](const fs::path& path) {
        const auto digest = parse_hex(path.filename().string());
        if (!digest) return;
        const auto key = key_of(path.string());
        if (!key) return;
        for (const auto& prefix : prefixes) {
          if (!key->starts_with(prefix)) continue;
          count += remove(*digest) ? 1 : 0;
          break;
        }
      });
      log_->log(LogLevel::notice, 0, "cache zone \"{}\": {} entries purged", options_.name, count);
    }
    const bool more = tidy(std::time(nullptr));
    if (!rest(more ? options_.manager.sleep : kRound)) return;
  }
}

}  // namespace gatehouse::cache
