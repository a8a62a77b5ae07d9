// Deadlines of one event thread: a hashed timing wheel whose timers are set by a store and expire lazily.
#pragma once

#include <array>
#include <cstdint>

#include "proxy/base/units.hpp"

namespace gatehouse::io {

class TimerWheel;

/// One deadline. Embedded in what waits; unlinks itself when destroyed. Not movable, because the wheel points to it.
class Timer {
 public:
  using Callback = void (*)(Timer&);

  explicit Timer(Callback on_expiry) noexcept : on_expiry_(on_expiry) {}
  ~Timer() { unlink(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  /// Disarms without touching the wheel: the slot is left at the wheel's next visit.
  void disarm() noexcept { deadline_ = TimePoint::max(); }
  [[nodiscard]] bool armed() const noexcept { return deadline_ != TimePoint::max(); }

 private:
  friend class TimerWheel;
  void unlink() noexcept;

  Callback on_expiry_;
  TimePoint deadline_ = TimePoint::max();
  Timer* next_ = nullptr;
  Timer** slot_link_ = nullptr;  // the pointer that points to this timer; null when unlinked
  std::uint64_t tick_ = 0;       // the tick whose slot it stands in
};

/// Resolution 8 ms, horizon 32 s: a later deadline is looked at again at the horizon. Moving a deadline later, which is
/// what every successful read does, costs one store. Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", 1987.
class TimerWheel {
 public:
  static constexpr Milliseconds kTick{8};
  static constexpr std::size_t kSlots = 4096;

  explicit TimerWheel(TimePoint now) noexcept : origin_(now) {}
  ~TimerWheel();
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  /// Arms or re-arms `timer`. It expires at the first advance() at or after `deadline`, at most one tick late.
  void arm(Timer& timer, TimePoint deadline) noexcept;

  /// Runs the callback of every timer whose deadline is not after `now`. Callbacks may arm and destroy timers.
  void advance(TimePoint now);

  /// How long epoll may sleep: until the next occupied slot, or nothing (negative) when none is occupied.
  [[nodiscard]] Milliseconds next_wait(TimePoint now) const noexcept;

 private:
  [[nodiscard]] std::uint64_t tick_of(TimePoint when) const noexcept;
  void link(Timer& timer) noexcept;

  TimePoint origin_;
  std::uint64_t current_ = 0;  // first tick that was not yet visited
  std::array<Timer*, kSlots> slots_{};
  std::array<std::uint64_t, kSlots / 64> occupied_{};  // a bit per slot that may hold timers
};

}  // namespace gatehouse::io
