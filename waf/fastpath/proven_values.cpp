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
constexpr std::uint64_t odd_c = 0x8ebc6af09c88c6e3ull;

}  // namespace

ProvenValues::ProvenValues(std::uint64_t seed, Limits limits) : seed_(seed), max_value_(limits.max_value) {
  const std::size_t sets = std::bit_ceil(std::max<std::size_t>(limits.entries / ways, 1));
  tags_.resize(sets);
  entries_.resize(sets * ways);
  mask_ = sets - 1;
}

std::uint64_t ProvenValues::hash(Group group, std::string_view value) const noexcept {
  const char* at = value.data();
  std::size_t left = value.size();
  std::uint64_t state = seed_ ^ mix(group ^ odd_a, left ^ odd_b);
  if (left > 48) {
    // Three chains, since each waits for its last product.
    std::uint64_t second = state;
    std::uint64_t third = state;
    for (; left > 48; at += 48, left -= 48) {
      state = mix(load8(at) ^ odd_a, load8(at + 8) ^ state);
      second = mix(load8(at + 16) ^ odd_b, load8(at + 24) ^ second);
      third = mix(load8(at + 32) ^ odd_c, load8(at + 40) ^ third);
    }
    state ^= mix(second, odd_a) ^ mix(third, odd_b);
  }
  for (; left > 16; at += 16, left -= 16) state = mix(load8(at) ^ odd_a, load8(at + 8) ^ state);
  // What is left, and bytes before it again where there are as many: the size is in already.
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  if (left >= 8) {
    low = load8(at);
    high = load8(at + left - 8);
  } else {
    low = load_rest(at, left);
  }
  state = mix(low ^ odd_b, high ^ state);
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
