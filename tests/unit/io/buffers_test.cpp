#include <algorithm>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "proxy/io/buffer_pool.hpp"
#include "proxy/io/frame_allocator.hpp"
#include "proxy/io/read_buffer.hpp"

namespace gatehouse::io {
namespace {

TEST(BufferPool, HandsABlockOutAgain) {
  BufferPool pool(64, 2);
  char* first = nullptr;
  {
    const auto block = pool.take();
    first = block.data();
    EXPECT_EQ(block.size(), 64U);
  }
  const auto again = pool.take();
  EXPECT_EQ(again.data(), first);
  const auto other = pool.take();
  EXPECT_NE(other.data(), first);
}

TEST(BufferPool, ABlockIsMovedAndReleasedOnce) {
  BufferPool pool(64, 4);
  auto one = pool.take();
  auto two = pool.take();
  char* const kept = two.data();
  one = std::move(two);
  EXPECT_EQ(one.data(), kept);
  EXPECT_FALSE(two);  // NOLINT(bugprone-use-after-move): a moved block is empty by contract
  EXPECT_EQ(two.size(), 0U);
  one.release();
  one.release();
  EXPECT_FALSE(one);
  const auto last = pool.take();
  EXPECT_EQ(last.data(), kept);
}

// Any order of receiving, parsing and moving, against a string.
TEST(ReadBuffer, AgreesWithAModel) {
  for (unsigned seed = 0; seed < 50; ++seed) {
    std::mt19937 random(seed);
    const auto below = [&](std::size_t limit) { return static_cast<std::size_t>(random() % limit); };
    BufferPool pool(64, 2);
    ReadBuffer buffer(pool);
    std::string model;
    for (int step = 0; step < 500; ++step) {
      switch (below(8)) {
        case 0:
        case 1:
        case 2: {
          const std::size_t least = 1 + below(below(10) == 0 ? 1000 : 40);
          const auto room = buffer.prepare(least);
          ASSERT_GE(room.size(), least);
          const std::size_t count = below(least + 1);
          for (std::size_t i = 0; i < count; ++i) model += room[i] = static_cast<char>('a' + below(26));
          buffer.commit(count);
          break;
        }
        case 3:
        case 4: {
          const std::size_t count = below(model.size() + 1);
          buffer.consume(count);
          model.erase(0, count);
          break;
        }
        case 5: buffer.compact(); break;
        case 6: {
          // What it holds already, or something new.
          const std::size_t from = below(model.size() + 1);
          if (below(2) == 0)
            buffer.assign(buffer.unread().substr(from)), model.erase(0, from);
          else
            buffer.assign(model = std::string(below(300), 'z'));
          break;
        }
        default:
          if (below(5) != 0) break;
          buffer.release();
          model.clear();
      }
      ASSERT_EQ(buffer.unread(), model);
      ASSERT_EQ(buffer.empty(), model.empty());
    }
  }
}

TEST(FrameAllocator, FramesDoNotOverlapAndKeepTheirBytes) {
  std::mt19937 random(1);
  std::map<char*, std::pair<std::size_t, char>> frames;
  for (int step = 0; step < 5000; ++step) {
    if (frames.size() < 50 || random() % 2 == 0) {
      const std::size_t size = 1 + random() % 10000;
      const char mark = static_cast<char>(random());
      auto* frame = static_cast<char*>(allocate_frame(size));
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(frame) % alignof(std::max_align_t), 0U);
      std::memset(frame, mark, size);
      ASSERT_TRUE(frames.emplace(frame, std::pair(size, mark)).second);
    } else {
      const auto chosen = std::next(frames.begin(), static_cast<std::ptrdiff_t>(random() % frames.size()));
      const auto [size, mark] = chosen->second;
      EXPECT_TRUE(std::all_of(chosen->first, chosen->first + size, [m = mark](char c) { return c == m; }));
      free_frame(chosen->first, size);
      frames.erase(chosen);
    }
  }
  for (const auto& [frame, entry] : frames) free_frame(frame, entry.first);
}

TEST(FrameAllocator, AFrameMayBeFreedByAnotherThread) {
  std::vector<void*> frames;
  for (std::size_t i = 0; i < 100; ++i) frames.push_back(allocate_frame(64 * (i + 1)));
  std::thread([&] {
    for (std::size_t i = 0; i < 100; ++i) free_frame(frames[i], 64 * (i + 1));
  }).join();
}

}  // namespace
}  // namespace gatehouse::io
