// Recycled blocks for heads and bodies, one pool per event thread.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace gatehouse::io {

/// Hands out blocks of one size and keeps a bounded number of free ones. Belongs to one thread; outlives its blocks.
class BufferPool {
 public:
  BufferPool(std::size_t block_size, std::size_t keep) : block_size_(block_size), keep_(keep) { free_.reserve(keep); }
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  /// A block that goes back to its pool by itself.
  class Block {
   public:
    Block() = default;
    Block(Block&& other) noexcept : pool_(std::exchange(other.pool_, nullptr)), bytes_(std::move(other.bytes_)) {}
    Block& operator=(Block&& other) noexcept {
      if (this != &other) {
        release();
        pool_ = std::exchange(other.pool_, nullptr);
        bytes_ = std::move(other.bytes_);
      }
      return *this;
    }
    ~Block() { release(); }

    void release() noexcept {
      if (pool_ != nullptr && bytes_) pool_->put(std::move(bytes_));
      pool_ = nullptr;
      bytes_ = nullptr;
    }
    explicit operator bool() const noexcept { return bytes_ != nullptr; }
    [[nodiscard]] char* data() const noexcept { return bytes_.get(); }
    [[nodiscard]] std::size_t size() const noexcept { return pool_ == nullptr ? 0 : pool_->block_size_; }

   private:
    friend class BufferPool;
    Block(BufferPool& pool, std::unique_ptr<char[]> bytes) noexcept : pool_(&pool), bytes_(std::move(bytes)) {}
    BufferPool* pool_ = nullptr;
    std::unique_ptr<char[]> bytes_;
  };

  [[nodiscard]] Block take() {
    if (free_.empty()) return Block(*this, std::unique_ptr<char[]>(new char[block_size_]));
    std::unique_ptr<char[]> bytes = std::move(free_.back());
    free_.pop_back();
    return Block(*this, std::move(bytes));
  }
  [[nodiscard]] std::size_t block_size() const noexcept { return block_size_; }

 private:
  void put(std::unique_ptr<char[]> bytes) noexcept {
    if (free_.size() < keep_) free_.push_back(std::move(bytes));  // capacity was reserved: cannot throw
  }
  std::size_t block_size_;
  std::size_t keep_;
  std::vector<std::unique_ptr<char[]>> free_;
};

}  // namespace gatehouse::io
