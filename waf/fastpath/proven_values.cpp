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

std::uint64_t load8(const char* from) noexcept {
  std::uint64_t word = 0;
  std::memcpy(&word, from, sizeof(word));
  return word;
}

/// Fewer than eight bytes.
std::uint64_t load_rest(const char* from, std::size_t size) noexcept {
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < size; ++i) word = word << 8 | static_cast<unsigned char>(from[i]);
  return word;
}

constexpr std::uint64_t odd_a = 0xa0761d6478bd642full;
constexpr std::uint64_t odd_b = 0xe7037ed1a0b428dbull;

}  // namespace

ProvenValues::ProvenValues(std::uint64_t seed, Limits limits) : seed_(seed), max_value_(limits.max_value) {
  const std::size_t sets = std::bit_ceil(std::max<std::size_t>(limits.entries / ways, 1));
  tags_.resize(sets);
  entries_.resize(sets * ways);
  mask_ = sets - 1;
}

std::uint64_t ProvenValues::hash(Group group, std::string_view value) const noexcept {
  std::uint64_t state = seed_ ^ mix(group ^ odd_a, value.size() ^ odd_b);
  std::size_t at = 0;
  for (; at + 8 <= value.size(); at += 8) state = mix(load8(value.data() + at) ^ odd_a, state ^ odd_b);
  if (at < value.size()) {
    // The last eight bytes again, where there are as many.
    const std::uint64_t rest =
        value.size() >= 8 ? load8(value.data() + value.size() - 8) : load_rest(value.data(), value.size());
    state = mix(rest ^ odd_a, state ^ odd_b);
  }
  return mix(state ^ odd_b, odd_a) | 1;  // never that of an empty place
}

bool ProvenValues::contains(Group group, std::string_view value) noexcept {
  if (value.size() > max_value_) return false;
  const std::uint64_t wanted = hash(group, value);
  const std::size_t set = (wanted >> 1) & mask_;
  for (std::size_t way = 0; way < ways; ++way) {
    if (tags_[set].hashes[way] != wanted) continue;
    Entry& entry = entries_[set * ways + way];
    if (entry.group != group || entry.value != value) continue;
    entry.used = ++turn_;
    ++hits_;
    return true;
  }
  ++misses_;
  return false;
}

void ProvenValues::insert(Group group, std::string_view value) {
  if (value.size() > max_value_) return;
  const std::uint64_t key = hash(group, value);
  const std::size_t set = (key >> 1) & mask_;
  auto& hashes = tags_[set].hashes;
  Entry* const entries = &entries_[set * ways];
  std::size_t place = 0;  // where it is, else where nothing is, else where the oldest is
  for (std::size_t way = 0; way < ways; ++way) {
    if (hashes[way] == key && entries[way].group == group && entries[way].value == value) {
      place = way;
      break;
    }
    if (entries[way].used < entries[place].used) place = way;
  }
  hashes[place] = key;
  entries[place].group = group;
  entries[place].value.assign(value);
  entries[place].used = ++turn_;
}

void ProvenValues::clear() noexcept {
  std::ranges::fill(tags_, Tags{});
  for (Entry& entry : entries_) entry.used = 0;
}

}  // namespace gatehouse::waf::fastpath
