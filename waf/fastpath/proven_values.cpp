#include "waf/fastpath/proven_values.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace gatehouse::waf::fastpath {
namespace {

/// The two halves of a 128-bit product folded together: every input bit reaches every output bit.
std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

std::uint64_t load(const char* from, std::size_t size) noexcept {
  std::uint64_t word = 0;
  std::memcpy(&word, from, size);
  return word;
}

constexpr std::uint64_t odd_a = 0xa0761d6478bd642full;
constexpr std::uint64_t odd_b = 0xe7037ed1a0b428dbull;

}  // namespace

ProvenValues::ProvenValues(std::uint64_t seed, Limits limits) : seed_(seed), max_value_(limits.max_value) {
  const std::size_t sets = std::bit_ceil(std::max<std::size_t>(limits.entries / ways, 1));
  entries_.resize(sets * ways);
  mask_ = sets - 1;
}

std::uint64_t ProvenValues::hash(Group group, std::string_view value) const noexcept {
  std::uint64_t state = seed_ ^ mix(group ^ odd_a, value.size() ^ odd_b);
  std::size_t at = 0;
  for (; at + 8 <= value.size(); at += 8) state = mix(load(value.data() + at, 8) ^ odd_a, state ^ odd_b);
  if (at < value.size()) state = mix(load(value.data() + at, value.size() - at) ^ odd_a, state ^ odd_b);
  return mix(state ^ odd_b, odd_a);
}

bool ProvenValues::contains(Group group, std::string_view value) noexcept {
  if (value.size() > max_value_) return false;
  const std::uint64_t wanted = hash(group, value);
  Entry* set = set_of(wanted);
  for (Entry* entry = set; entry != set + ways; ++entry) {
    if (entry->used == 0 || entry->hash != wanted || entry->group != group || entry->value != value) continue;
    entry->used = ++turn_;
    ++hits_;
    return true;
  }
  ++misses_;
  return false;
}

void ProvenValues::insert(Group group, std::string_view value) {
  if (value.size() > max_value_) return;
  const std::uint64_t key = hash(group, value);
  Entry* set = set_of(key);
  const auto same = [&](const Entry& e) {
    return e.used != 0 && e.hash == key && e.group == group && e.value == value;
  };
  Entry* place = std::find_if(set, set + ways, same);
  if (place == set + ways) {
    place = std::min_element(set, set + ways, [](const Entry& a, const Entry& b) { return a.used < b.used; });
    place->value.assign(value);
    place->hash = key;
    place->group = group;
  }
  place->used = ++turn_;
}

void ProvenValues::clear() noexcept {
  for (Entry& entry : entries_) entry.used = 0;
}

}  // namespace gatehouse::waf::fastpath
