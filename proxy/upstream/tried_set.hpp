// The peers one request tried already: a set of small integers that allocates only above 64.
#pragma once

#include <cstdint>
#include <vector>

namespace gatehouse::upstream {

/// A set of slots. Slots below 64 live in one word; the first insert of a greater one allocates.
class TriedSet {
 public:
  [[nodiscard]] bool contains(std::uint32_t slot) const noexcept {
    if (slot < 64) return (first_ >> slot & 1) != 0;
    const std::size_t word = slot / 64 - 1;
    return word < more_.size() && (more_[word] >> slot % 64 & 1) != 0;
  }

  void insert(std::uint32_t slot) {
    if (slot < 64) {
      first_ |= std::uint64_t{1} << slot;
      return;
    }
    const std::size_t word = slot / 64 - 1;
    if (word >= more_.size()) more_.resize(word + 1);
    more_[word] |= std::uint64_t{1} << slot % 64;
  }

  void erase(std::uint32_t slot) noexcept {
    if (slot < 64) {
      first_ &= ~(std::uint64_t{1} << slot);
      return;
    }
    const std::size_t word = slot / 64 - 1;
    if (word < more_.size()) more_[word] &= ~(std::uint64_t{1} << slot % 64);
  }

 private:
  std::uint64_t first_ = 0;
  std::vector<std::uint64_t> more_;
};

}  // namespace gatehouse::upstream
