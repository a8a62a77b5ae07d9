#include "proxy/config/geo.hpp"

#include <algorithm>
#include <limits>

#include "proxy/config/endpoint.hpp"

namespace gatehouse::config {
namespace {

std::array<std::uint8_t, 16> masked(std::span<const std::uint8_t> bytes, std::uint8_t length) {
  std::array<std::uint8_t, 16> key{};
  std::ranges::copy(bytes, key.begin());
  for (std::size_t bit = length; bit < bytes.size() * 8; ++bit) {
    key[bit / 8] = static_cast<std::uint8_t>(key[bit / 8] & ~(0x80u >> (bit % 8)));
  }
  return key;
}

}  // namespace

const ComplexValue* GeoTable::Family::find(std::span<const std::uint8_t> bytes) const {
  for (const auto& [length, networks] : by_length) {
    const auto found = networks.find(masked(bytes, length));
    if (found != networks.end()) return &found->second;
  }
  return nullptr;
}

const ComplexValue* GeoTable::find(std::string_view key, Regex::Captures&, const Regex*&) const {
  const auto address = parse_ip(key, 0);
  // nginx takes what is no address for 255.255.255.255.
  return find(address ? *address : SocketAddress::ipv4({255, 255, 255, 255}, 0));
}

const ComplexValue* GeoTable::find(const SocketAddress& address) const {
  auto bytes = address.bytes();
  std::array<std::uint8_t, 4> v4{};
  constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (bytes.size() == 16 && std::equal(kMapped.begin(), kMapped.end(), bytes.begin())) {
    std::copy(bytes.begin() + 12, bytes.end(), v4.begin());
    bytes = v4;
  }
  const ComplexValue* found = nullptr;
  if (bytes.size() == 4) {
    const std::uint32_t number =
        std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 | std::uint32_t{bytes[2]} << 8 | bytes[3];
    if (!ranges_.empty()) {
      auto after = ranges_.upper_bound(number);
      if (after != ranges_.begin() && std::prev(after)->second.last >= number) found = &std::prev(after)->second.value;
    } else {
      found = v4_.find(bytes);
    }
  } else if (bytes.size() == 16) {
    found = v6_.find(bytes);
  }
  return found != nullptr ? found : default_ ? &*default_ : nullptr;
}

std::size_t GeoTable::size() const noexcept {
  std::size_t total = ranges_.size() + (default_ ? 1 : 0);
  for (const auto* family : {&v4_, &v6_}) {
    for (const auto& [length, networks] : family->by_length) total += networks.size();
  }
  return total;
}

bool GeoTable::add(const NetworkRule& network, ComplexValue value) {
  auto& networks = family(network.network).by_length[network.prefix_length];
  return !networks.insert_or_assign(masked(network.network.bytes(), network.prefix_length), std::move(value)).second;
}

bool GeoTable::remove(const NetworkRule& network) {
  auto& by_length = family(network.network).by_length;
  const auto networks = by_length.find(network.prefix_length);
  return networks != by_length.end() &&
         networks->second.erase(masked(network.network.bytes(), network.prefix_length)) > 0;
}

void GeoTable::add_range(std::uint32_t first, std::uint32_t last, ComplexValue value) {
  remove_range(first, last);
  ranges_.insert_or_assign(first, Range{last, std::move(value)});
}

// What other ranges keep of [first, last] is cut away; the parts outside stay.
bool GeoTable::remove_range(std::uint32_t first, std::uint32_t last) {
  bool any = false;
  auto at = ranges_.upper_bound(first);
  if (at != ranges_.begin() && std::prev(at)->second.last >= first) --at;
  while (at != ranges_.end() && at->first <= last) {
    any = true;
    const std::uint32_t old_first = at->first;
    Range old = std::move(at->second);
    at = ranges_.erase(at);
    if (old_first < first) ranges_.insert_or_assign(old_first, Range{first - 1, old.value});
    if (old.last > last) {
      ranges_.insert_or_assign(last + 1, Range{old.last, std::move(old.value)});
      break;
    }
  }
  return any;
}

}  // namespace gatehouse::config
