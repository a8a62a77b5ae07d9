#include "proxy/io/frame_allocator.hpp"

#include <array>
#include <new>

namespace gatehouse::io {
namespace {

constexpr std::size_t kGranule = 64;
constexpr std::size_t kLargest = 32768;  // an optimised build makes one frame of an exchange and all that it awaits
constexpr std::size_t kClasses = kLargest / kGranule;

struct FreeFrame {
  FreeFrame* next;
};

// Frames of one thread by size class; what is left when the thread ends goes back to the heap.
struct FreeLists {
  std::array<FreeFrame*, kClasses> heads{};

  ~FreeLists() {
    for (FreeFrame* frame : heads) {
      while (frame != nullptr) {
        FreeFrame* next = frame->next;
        ::operator delete(frame);
        frame = next;
      }
    }
  }
};

#if defined(__SANITIZE_ADDRESS__)
#define GATEHOUSE_PLAIN_FRAMES 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define GATEHOUSE_PLAIN_FRAMES 1
#endif
#endif

#ifdef GATEHOUSE_PLAIN_FRAMES
constexpr bool kRecycle = false;  // let the sanitizers see every frame's life
#else
constexpr bool kRecycle = true;
#endif

thread_local FreeLists t_frames;

constexpr std::size_t class_of(std::size_t size) { return (size + kGranule - 1) / kGranule - 1; }

}  // namespace

void* allocate_frame(std::size_t size) {
  if (!kRecycle || size > kLargest) return ::operator new(size);
  const std::size_t index = class_of(size);
  if (FreeFrame* frame = t_frames.heads[index]) {
    t_frames.heads[index] = frame->next;
    return frame;
  }
  return ::operator new((index + 1) * kGranule);
}

void free_frame(void* frame, std::size_t size) noexcept {
  if (!kRecycle || size > kLargest) {
    ::operator delete(frame);
    return;
  }
  auto* free = static_cast<FreeFrame*>(frame);
  FreeFrame*& head = t_frames.heads[class_of(size)];
  free->next = head;
  head = free;
}

}  // namespace gatehouse::io
