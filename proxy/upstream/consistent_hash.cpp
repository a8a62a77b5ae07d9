#include "proxy/upstream/consistent_hash.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include <zlib.h>

namespace gatehouse::upstream {
namespace {

constexpr std::uint64_t kPointsPerWeight = 160;

struct HostPort {
  std::string_view host;
  std::string_view port;
};

// nginx splits at the last colon if only digits follow it; anything else is a host without a port.
HostPort split(std::string_view name) {
  constexpr std::string_view kUnix = "unix:";
  const auto same_letter = [](unsigned char a, char b) { return std::tolower(a) == b; };
  if (std::equal(kUnix.begin(), kUnix.end(), name.begin(), name.begin() + std::min(name.size(), kUnix.size()),
                 same_letter)) {
    return {name.substr(kUnix.size()), {}};
  }
  const std::size_t colon = name.find_last_not_of("0123456789");
  if (colon == std::string_view::npos || name[colon] != ':') return {name, {}};
  return {name.substr(0, colon), name.substr(colon + 1)};
}

}  // namespace

std::uint32_t crc32(std::string_view text, std::uint32_t crc) noexcept {
  // zlib takes a null pointer, which an empty view may hold, for "start anew".
  if (text.empty()) return crc;
  return static_cast<std::uint32_t>(::crc32_z(crc, reinterpret_cast<const Bytef*>(text.data()), text.size()));
}

HashRing::HashRing(std::span<const Server> servers) {
  std::uint64_t count = 0;
  for (const Server& server : servers) count += server.weight * kPointsPerWeight;
  points_.reserve(count);
  for (const Server& server : servers) {
    const auto [host, port] = split(server.name);
    std::uint32_t base = crc32(host);
    base = crc32(std::string_view("\0", 1), base);
    base = crc32(port, base);
    std::uint32_t previous = 0;
    for (std::uint64_t i = 0; i < server.weight * kPointsPerWeight; ++i) {
      const std::array<char, 4> little_endian = {static_cast<char>(previous), static_cast<char>(previous >> 8),
                                                 static_cast<char>(previous >> 16), static_cast<char>(previous >> 24)};
      previous = crc32(std::string_view(little_endian.data(), little_endian.size()), base);
      points_.push_back({previous, server.id});
    }
  }
  // Where two servers meet in one point, the first in the configuration has it.
  std::sort(points_.begin(), points_.end(),
            [](const Point& a, const Point& b) { return a.hash != b.hash ? a.hash < b.hash : a.server < b.server; });
  const auto same = [](const Point& a, const Point& b) { return a.hash == b.hash; };
  points_.erase(std::unique(points_.begin(), points_.end(), same), points_.end());
}

std::uint32_t HashRing::find(std::uint32_t hash) const noexcept {
  const auto before = [](const Point& point, std::uint32_t wanted) { return point.hash < wanted; };
  return static_cast<std::uint32_t>(std::lower_bound(points_.begin(), points_.end(), hash, before) - points_.begin());
}

}  // namespace gatehouse::upstream
