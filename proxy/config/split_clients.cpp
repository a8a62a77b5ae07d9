#include "proxy/config/split_clients.hpp"

namespace gatehouse::config {

std::uint32_t murmur_hash2(std::string_view data) noexcept {
  constexpr std::uint32_t kMultiplier = 0x5bd1e995;
  const auto byte = [&](std::size_t i) { return std::uint32_t{static_cast<unsigned char>(data[i])}; };
  auto hash = static_cast<std::uint32_t>(data.size());
  std::size_t at = 0;
  for (; data.size() - at >= 4; at += 4) {
    std::uint32_t word = byte(at) | byte(at + 1) << 8 | byte(at + 2) << 16 | byte(at + 3) << 24;
    word *= kMultiplier;
    word ^= word >> 24;
    word *= kMultiplier;
    hash = (hash * kMultiplier) ^ word;
  }
  const std::size_t rest = data.size() - at;
  if (rest >= 3) hash ^= byte(at + 2) << 16;
  if (rest >= 2) hash ^= byte(at + 1) << 8;
  if (rest >= 1) hash = (hash ^ byte(at)) * kMultiplier;
  hash ^= hash >> 13;
  hash *= kMultiplier;
  return hash ^ hash >> 15;
}

bool SplitClients::set_parts(std::vector<Part> parts) {
  std::uint32_t sum = 0;
  std::uint64_t last = 0;
  for (auto& part : parts) {
    sum += part.percent;
    if (sum > 10000) return false;
    if (part.percent == 0) continue;
    last += part.percent * std::uint64_t{0xffffffff} / 10000;
    part.last = static_cast<std::uint32_t>(last);
  }
  parts_ = std::move(parts);
  return true;
}

const ComplexValue* SplitClients::find(std::string_view key, Regex::Captures&, const Regex*&) const {
  const std::uint32_t hash = murmur_hash2(key);
  for (const auto& part : parts_) {
    if (part.last == 0 || hash < part.last) return &part.value;
  }
  return nullptr;
}

}  // namespace gatehouse::config
