// Memory of one exchange: handed out by bumping a pointer, given back all at once.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace gatehouse {

/// Bytes for strings that live as long as an exchange. The first 2 KiB stand inside, more comes from the heap in growing blocks. One
/// thread; nothing is destructed.
class Arena {
 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  [[nodiscard]] char* allocate(std::size_t size) {
    if (size > left_) grow(size);
    char* at = next_;
    next_ += size;
    left_ -= size;
    return at;
  }

  [[nodiscard]] std::string_view copy(std::string_view text) {
    if (text.empty()) return {};
    char* at = allocate(text.size());
    std::memcpy(at, text.data(), text.size());
    return {at, text.size()};
  }

  /// Joins parts into one string.
  template <class... Parts>
  [[nodiscard]] std::string_view concat(Parts... parts) {
    const std::size_t size = (std::string_view(parts).size() + ...);
    char* const start = allocate(size);
    char* at = start;
    const auto add = [&at](std::string_view part) {
      std::memcpy(at, part.data(), part.size());
      at += part.size();
    };
    (add(parts), ...);
    return {start, size};
  }

  /// Forgets everything; blocks beyond the first are freed.
  void clear() noexcept {
    blocks_.clear();
    next_ = first_;
    left_ = sizeof first_;
  }

 private:
  void grow(std::size_t size) {
    const std::size_t block = size > kBlock ? size : kBlock;
    blocks_.push_back(std::unique_ptr<char[]>(new char[block]));
    next_ = blocks_.back().get();
    left_ = block;
  }

  static constexpr std::size_t kBlock = 8192;
  char first_[2048];
  char* next_ = first_;
  std::size_t left_ = sizeof first_;
  std::vector<std::unique_ptr<char[]>> blocks_;
};

}  // namespace gatehouse
