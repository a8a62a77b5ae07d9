// The receive buffer of a connection: a pooled block that grows when a head needs more.
#pragma once

#include <cstring>
#include <memory>
#include <span>
#include <string_view>

#include "proxy/io/buffer_pool.hpp"

namespace gatehouse::io {

/// Bytes that were received and not yet consumed, in one piece. Holds no memory while empty and released.
class ReadBuffer {
 public:
  explicit ReadBuffer(BufferPool& pool) noexcept : pool_(&pool) {}

  [[nodiscard]] std::string_view unread() const noexcept { return {data() + begin_, end_ - begin_}; }
  [[nodiscard]] bool empty() const noexcept { return begin_ == end_; }
  void consume(std::size_t count) noexcept { begin_ += count; }
  void commit(std::size_t count) noexcept { end_ += count; }

  /// Room for at least `least` more bytes behind the unread ones. Moves them to the front, or into a larger block, when needed: views
  /// into the buffer are then invalid.
  [[nodiscard]] std::span<char> prepare(std::size_t least) {
    if (capacity() == 0) block_ = pool_->take();
    if (begin_ == end_) begin_ = end_ = 0;
    if (capacity() - end_ < least) make_room(least);
    return {data() + end_, capacity() - end_};
  }
  /// Replaces the content.
  void assign(std::string_view bytes) {
    begin_ = end_ = 0;
    if (bytes.empty()) return;
    const auto room = prepare(bytes.size());
    std::memmove(room.data(), bytes.data(), bytes.size());
    end_ = bytes.size();
  }
  /// Moves the unread bytes to the front of the block; views into the buffer are then invalid.
  void compact() noexcept {
    if (begin_ == 0) return;
    std::memmove(data(), data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  /// Gives the memory back; what was unread is lost.
  void release() noexcept {
    block_.release();
    large_ = nullptr;
    large_size_ = begin_ = end_ = 0;
  }

 private:
  [[nodiscard]] char* data() const noexcept { return large_ ? large_.get() : block_.data(); }
  [[nodiscard]] std::size_t capacity() const noexcept { return large_ ? large_size_ : block_.size(); }
  void make_room(std::size_t least) {
    compact();
    if (capacity() - end_ >= least) return;
    std::size_t size = capacity() * 2;
    while (size - end_ < least) size *= 2;
    std::unique_ptr<char[]> larger(new char[size]);
    std::memcpy(larger.get(), data(), end_);
    large_ = std::move(larger);
    large_size_ = size;
    block_.release();
  }

  BufferPool* pool_;
  BufferPool::Block block_;
  std::unique_ptr<char[]> large_;
  std::size_t large_size_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace gatehouse::io
