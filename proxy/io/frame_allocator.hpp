// Recycled memory for coroutine frames, so that a request in steady state allocates nothing.
#pragma once

#include <cstddef>

namespace gatehouse::io {

/// Memory for a coroutine frame, from the calling thread's free lists. Frames above 32 KiB come from the heap.
[[nodiscard]] void* allocate_frame(std::size_t size);

/// Gives a frame back to the calling thread's free lists; any thread may free what another allocated.
void free_frame(void* frame, std::size_t size) noexcept;

}  // namespace gatehouse::io
