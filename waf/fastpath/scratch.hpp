// Memory for texts that live as long as one request's inspection.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace gatehouse::waf::fastpath {

/// A bump allocator of bytes: grows in blocks, keeps them across reset(), so that steady state allocates nothing.
///
/// One per thread. Every pointer it gave is valid until reset().
class Scratch {
 public:
  /// Blocks beyond `keep` bytes in all are given back to the heap by reset().
  explicit Scratch(std::size_t block = std::size_t{64} * 1024, std::size_t keep = std::size_t{4} * 1024 * 1024)
      : block_size_(block), keep_(keep) {}

  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  Scratch(Scratch&&) noexcept = default;
  Scratch& operator=(Scratch&&) noexcept = default;
  ~Scratch() = default;

  /// Room for `size` bytes, uninitialised; follow with commit() to keep fewer.
  [[nodiscard]] unsigned char* reserve(std::size_t size) {
    if (size > static_cast<std::size_t>(end_ - next_)) grow(size);
    return next_;
  }
  /// Keeps the first `size` bytes of the last reserve() and returns them.
  std::string_view commit(std::size_t size) noexcept {
    const std::string_view kept(reinterpret_cast<const char*>(next_), size);
    next_ += size;
    return kept;
  }
  [[nodiscard]] std::string_view copy(std::string_view text) {
    unsigned char* out = reserve(text.size());
    if (!text.empty()) std::memcpy(out, text.data(), text.size());
    return commit(text.size());
  }

  /// Forgets every text; keeps the memory up to the limit.
  void reset() noexcept {
    std::size_t total = 0;
    std::size_t kept = 0;
    while (kept < blocks_.size() && total + blocks_[kept].size <= keep_) total += blocks_[kept++].size;
    blocks_.resize(kept);
    current_ = 0;
    next_ = blocks_.empty() ? nullptr : blocks_.front().bytes.get();
    end_ = blocks_.empty() ? nullptr : next_ + blocks_.front().size;
  }

 private:
  struct Block {
    std::unique_ptr<unsigned char[]> bytes;
    std::size_t size = 0;
  };

  void grow(std::size_t size) {
    while (current_ + 1 < blocks_.size()) {
      ++current_;
      if (blocks_[current_].size >= size) return use(current_);
    }
    const std::size_t wanted = size > block_size_ ? size : block_size_;
    blocks_.push_back({std::make_unique_for_overwrite<unsigned char[]>(wanted), wanted});
    current_ = blocks_.size() - 1;
    use(current_);
  }
  void use(std::size_t index) noexcept {
    next_ = blocks_[index].bytes.get();
    end_ = next_ + blocks_[index].size;
  }

  std::size_t block_size_;
  std::size_t keep_;
  std::vector<Block> blocks_;
  std::size_t current_ = 0;
  unsigned char* next_ = nullptr;
  unsigned char* end_ = nullptr;
};

}  // namespace gatehouse::waf::fastpath
