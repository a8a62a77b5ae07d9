// The ring of `hash ... consistent`: ketama points compatible with Cache::Memcached::Fast, as nginx builds them.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace gatehouse::upstream {

/// CRC-32 (IEEE 802.3) of `text`, continuing from `crc`, the result for the bytes before it (0 at the start).
[[nodiscard]] std::uint32_t crc32(std::string_view text, std::uint32_t crc = 0) noexcept;

/// Points on a circle of 2^32, each belonging to a server. Built once, then only read.
class HashRing {
 public:
  /// One `server` line's contribution: 160 points for each unit of weight.
  struct Server {
    std::string_view name;  ///< as written: "host:port", "host" or "unix:/path"
    std::uint64_t weight = 1;
    std::uint32_t id = 0;  ///< what a point of this server returns; ascending, equal only for equal names
  };

  HashRing() = default;
  explicit HashRing(std::span<const Server> servers);

  [[nodiscard]] bool empty() const noexcept { return points_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return points_.size(); }
  /// Index of the first point at or after `hash`; may be size(), which at() wraps to the first.
  [[nodiscard]] std::uint32_t find(std::uint32_t hash) const noexcept;
  /// The server of the point `index` modulo size(). The ring is not empty.
  [[nodiscard]] std::uint32_t at(std::uint32_t index) const noexcept { return points_[index % points_.size()].server; }

 private:
  struct Point {
    std::uint32_t hash;
    std::uint32_t server;
  };
  std::vector<Point> points_;
};

}  // namespace gatehouse::upstream
