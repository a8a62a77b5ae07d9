// A bounded memory of values that were proven clean: User-Agent, Accept and cookies come again and again.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::waf::fastpath {

/// Values proven clean, keyed by their exact bytes and what was proven (the caller's group of checks).
///
/// One per thread. A hit compares every byte, so a hash collision costs time, never soundness. Bounded: a full set of
/// four forgets the one that was not asked for longest. Belongs to one compiled rule set: throw it away with the set.
class ProvenValues {
 public:
  /// What was proven of a value; the meaning is the caller's, e.g. a plan's target class.
  using Group = std::uint32_t;

  struct Limits {
    std::size_t entries = 4096;    ///< rounded up to a power of two, at least 4
    std::size_t max_value = 1024;  ///< longer values are not remembered
  };

  /// `seed` makes the hash unpredictable to clients, who could otherwise evict what others use.
  explicit ProvenValues(std::uint64_t seed) : ProvenValues(seed, Limits()) {}
  ProvenValues(std::uint64_t seed, Limits limits);

  [[nodiscard]] bool contains(Group group, std::string_view value) noexcept;

  /// Remembers that `value` was proven clean for `group`. Allocates only while the table warms up.
  void insert(Group group, std::string_view value);

  /// Forgets everything, keeps the memory.
  void clear() noexcept;

  [[nodiscard]] std::uint64_t hits() const noexcept { return hits_; }
  [[nodiscard]] std::uint64_t misses() const noexcept { return misses_; }

 private:
  static constexpr std::size_t ways = 4;
  /// The hashes of one set beside each other: what isn't there is told from one cache line.
  struct alignas(32) Tags {
    std::array<std::uint64_t, ways> hashes{};  ///< 0: empty
  };
  struct Entry {
    std::uint64_t used = 0;  ///< turn of the last use
    Group group = 0;
    std::string value;
  };
  [[nodiscard]] std::uint64_t hash(Group group, std::string_view value) const noexcept;

  std::vector<Tags> tags_;
  std::vector<Entry> entries_;  ///< `ways` for each of tags_
  std::uint64_t mask_;
  std::uint64_t seed_;
  std::size_t max_value_;
  std::uint64_t turn_ = 0;
  std::uint64_t hits_ = 0;
  std::uint64_t misses_ = 0;
};

}  // namespace gatehouse::waf::fastpath
