// Quantities that carry their unit.
#pragma once

#include <chrono>
#include <cstdint>

namespace gatehouse {

/// The proxy's clock on the event loops: monotonic, millisecond resolution, read once per loop iteration (see io::Reactor::now).
using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Milliseconds = std::chrono::milliseconds;

/// A number of bytes; nginx's sizes (`8k`, `1m`) parse to it.
using ByteCount = std::uint64_t;

inline constexpr ByteCount kKiB = 1024;
inline constexpr ByteCount kMiB = 1024 * kKiB;

}  // namespace gatehouse
