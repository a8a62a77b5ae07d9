#include "proxy/io/timer_wheel.hpp"

#include <algorithm>
#include <bit>

namespace gatehouse::io {

void Timer::unlink() noexcept {
  if (slot_link_ == nullptr) return;
  *slot_link_ = next_;
  if (next_ != nullptr) next_->slot_link_ = slot_link_;
  slot_link_ = nullptr;
  next_ = nullptr;
}

TimerWheel::~TimerWheel() {
  for (Timer*& head : slots_) {
    while (head != nullptr) head->unlink();
  }
}

std::uint64_t TimerWheel::tick_of(TimePoint when) const noexcept {
  if (when <= origin_) return 0;
  // Rounded up, so that a timer never expires before its deadline.
  const auto span = std::chrono::duration_cast<Milliseconds>(when - origin_).count() + 1;
  return (static_cast<std::uint64_t>(span) + kTick.count() - 1) / static_cast<std::uint64_t>(kTick.count());
}

void TimerWheel::link(Timer& timer) noexcept {
  const std::uint64_t wanted = std::max(tick_of(timer.deadline_), current_);
  timer.tick_ = std::min(wanted, current_ + kSlots - 1);
  const std::size_t slot = timer.tick_ % kSlots;
  timer.next_ = slots_[slot];
  timer.slot_link_ = &slots_[slot];
  if (timer.next_ != nullptr) timer.next_->slot_link_ = &timer.next_;
  slots_[slot] = &timer;
  occupied_[slot / 64] |= std::uint64_t{1} << (slot % 64);
}

void TimerWheel::arm(Timer& timer, TimePoint deadline) noexcept {
  timer.deadline_ = deadline;
  if (timer.slot_link_ != nullptr) {
    if (deadline == TimePoint::max() || tick_of(deadline) >= timer.tick_) return;  // seen again when its slot comes
    timer.unlink();
  }
  if (deadline != TimePoint::max()) link(timer);
}

void TimerWheel::advance(TimePoint now) {
  if (now < origin_) return;
  const auto elapsed = std::chrono::duration_cast<Milliseconds>(now - origin_).count();
  const std::uint64_t last = static_cast<std::uint64_t>(elapsed) / static_cast<std::uint64_t>(kTick.count());
  if (last < current_) return;
  const std::uint64_t first = current_;
  const std::uint64_t count = std::min<std::uint64_t>(last - first + 1, kSlots);
  current_ = last + 1;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::size_t slot = (first + i) % kSlots;
    if ((occupied_[slot / 64] & (std::uint64_t{1} << (slot % 64))) == 0) continue;
    occupied_[slot / 64] &= ~(std::uint64_t{1} << (slot % 64));
    // Detach the whole slot first: callbacks may link new timers into it.
    Timer* due = slots_[slot];
    slots_[slot] = nullptr;
    if (due != nullptr) due->slot_link_ = &due;
    while (due != nullptr) {
      Timer& timer = *due;
      timer.unlink();
      if (timer.deadline_ == TimePoint::max()) continue;
      if (timer.deadline_ > now) {
        link(timer);
        continue;
      }
      timer.deadline_ = TimePoint::max();
      timer.on_expiry_(timer);
    }
  }
}

Milliseconds TimerWheel::next_wait(TimePoint now) const noexcept {
  const std::size_t start = current_ % kSlots;
  for (std::size_t step = 0; step <= occupied_.size(); ++step) {
    const std::size_t word = (start / 64 + step) % occupied_.size();
    std::uint64_t bits = occupied_[word];
    if (step == 0) bits &= ~std::uint64_t{0} << (start % 64);
    if (step == occupied_.size()) bits &= start % 64 == 0 ? 0 : (std::uint64_t{1} << (start % 64)) - 1;
    if (bits == 0) continue;
    const std::size_t slot = word * 64 + static_cast<std::size_t>(std::countr_zero(bits));
    const std::uint64_t tick = current_ + (slot + kSlots - start) % kSlots;
    const TimePoint due = origin_ + kTick * static_cast<std::int64_t>(tick);
    if (due <= now) return Milliseconds{0};
    return std::chrono::ceil<Milliseconds>(due - now);
  }
  return Milliseconds{-1};
}

}  // namespace gatehouse::io
