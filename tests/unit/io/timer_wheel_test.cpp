#include "proxy/io/timer_wheel.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace gatehouse::io {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

const TimePoint kStart = TimePoint(seconds(1000));
constexpr TimePoint kNever = TimePoint::max();

struct Probe : Timer {
  explicit Probe(std::function<void(Probe&)> then = {})
      : Timer([](Timer& self) {
          auto& probe = static_cast<Probe&>(self);
          ++probe.expiries;
          if (probe.on_expiry) probe.on_expiry(probe);
        }),
        on_expiry(std::move(then)) {}
  std::function<void(Probe&)> on_expiry;
  int expiries = 0;
};

TEST(TimerWheel, NeverExpiresEarlyAndAtMostOneTickLate) {
  for (auto delay = microseconds(0); delay < milliseconds(40); delay += microseconds(333)) {
    TimerWheel wheel(kStart);
    Probe probe;
    const TimePoint deadline = kStart + delay;
    wheel.arm(probe, deadline);
    TimePoint now = kStart;
    while (probe.expiries == 0) {
      now += microseconds(500);
      wheel.advance(now);
    }
    EXPECT_GE(now, deadline);
    EXPECT_LE(now, deadline + TimerWheel::kTick + milliseconds(1));
    EXPECT_FALSE(probe.armed());
  }
}

TEST(TimerWheel, ADeadlineBehindTheHorizonIsKept) {
  TimerWheel wheel(kStart);
  Probe probe;
  wheel.arm(probe, kStart + seconds(100));
  for (int second = 1; second <= 99; ++second) wheel.advance(kStart + seconds(second));
  EXPECT_EQ(probe.expiries, 0);
  wheel.advance(kStart + milliseconds(100009));
  EXPECT_EQ(probe.expiries, 1);
}

TEST(TimerWheel, AMovedOrDisarmedDeadlineDoesNotExpireAtItsOldPlace) {
  TimerWheel wheel(kStart);
  Probe later, sooner, disarmed, rearmed;
  for (Probe* probe : {&later, &sooner, &disarmed, &rearmed}) wheel.arm(*probe, kStart + seconds(1));
  wheel.arm(later, kStart + seconds(2));
  wheel.arm(sooner, kStart + milliseconds(100));
  disarmed.disarm();
  rearmed.disarm();
  wheel.arm(rearmed, kStart + seconds(3));
  wheel.advance(kStart + milliseconds(120));
  EXPECT_EQ(sooner.expiries, 1);
  wheel.advance(kStart + milliseconds(1500));
  EXPECT_EQ(later.expiries + disarmed.expiries + rearmed.expiries, 0);
  wheel.advance(kStart + milliseconds(3100));
  EXPECT_EQ(later.expiries, 1);
  EXPECT_EQ(rearmed.expiries, 1);
  EXPECT_EQ(disarmed.expiries, 0);
}

TEST(TimerWheel, ATimerThatArmsItselfForNowWaitsForTheNextAdvance) {
  TimerWheel wheel(kStart);
  Probe probe([&](Probe& self) { wheel.arm(self, kStart); });
  wheel.arm(probe, kStart);
  for (int i = 1; i <= 5; ++i) wheel.advance(kStart + milliseconds(16 * i));
  EXPECT_EQ(probe.expiries, 5);
}

TEST(TimerWheel, ACallbackMayDestroyTimersOfItsOwnSlot) {
  TimerWheel wheel(kStart);
  std::vector<std::unique_ptr<Probe>> probes;
  int expiries = 0;
  for (int i = 0; i < 10; ++i) {
    probes.push_back(std::make_unique<Probe>([&](Probe&) {
      ++expiries;
      probes.clear();  // itself, those before and those behind
    }));
    wheel.arm(*probes.back(), kStart + milliseconds(20));
  }
  wheel.advance(kStart + seconds(1));
  EXPECT_EQ(expiries, 1);
  EXPECT_EQ(wheel.next_wait(kStart + seconds(1)), milliseconds(-1));
}

TEST(TimerWheel, TimersMayOutliveTheWheel) {
  Probe probe;
  {
    TimerWheel wheel(kStart);
    wheel.arm(probe, kStart + seconds(1));
  }
  EXPECT_EQ(probe.expiries, 0);
}

TEST(TimerWheel, AnEmptyWheelLetsTheLoopSleepForever) {
  TimerWheel wheel(kStart);
  EXPECT_EQ(wheel.next_wait(kStart), milliseconds(-1));
  Probe probe;
  wheel.arm(probe, kStart + seconds(1));
  EXPECT_GE(wheel.next_wait(kStart), seconds(1));
  EXPECT_LE(wheel.next_wait(kStart), milliseconds(1010));
  probe.disarm();
  wheel.advance(kStart + seconds(2));
  EXPECT_EQ(wheel.next_wait(kStart + seconds(2)), milliseconds(-1));
}

// Against the obvious model, a deadline per timer: any order of arming, moving, disarming, destroying and waiting.
TEST(TimerWheel, AgreesWithAModel) {
  constexpr auto kLate = TimerWheel::kTick + milliseconds(1);
  struct Entry {
    std::unique_ptr<Probe> timer;
    TimePoint deadline = kNever;
  };
  for (unsigned seed = 0; seed < 20; ++seed) {
    std::mt19937 random(seed);
    const auto below = [&](int limit) { return static_cast<int>(random() % static_cast<unsigned>(limit)); };
    TimerWheel wheel(kStart);
    TimePoint now = kStart;
    std::vector<Entry> entries(40);
    const auto renew = [&](std::size_t i) {
      entries[i].deadline = kNever;
      entries[i].timer = std::make_unique<Probe>([&, i](Probe& self) {
        EXPECT_LE(entries[i].deadline, now) << "early";
        entries[i].deadline = kNever;
        if (below(4) != 0) return;
        entries[i].deadline = now + milliseconds(below(100));
        wheel.arm(self, entries[i].deadline);
      });
    };
    for (std::size_t i = 0; i < entries.size(); ++i) renew(i);
    for (int step = 0; step < 3000; ++step) {
      const auto index = static_cast<std::size_t>(below(static_cast<int>(entries.size())));
      Entry& entry = entries[index];
      switch (below(8)) {
        case 0:
          entry.timer->disarm();
          entry.deadline = kNever;
          break;
        case 1: renew(index); break;
        case 2:
        case 3:
        case 4:
          entry.deadline = now + microseconds(below(step % 5 == 0 ? 90000000 : 200000));
          wheel.arm(*entry.timer, entry.deadline);
          break;
        default:
          now += microseconds(below(500) == 0 ? 40000000 : below(30000));
          wheel.advance(now);
          for (const Entry& each : entries) EXPECT_GT(each.deadline, now - kLate) << "late";
      }
      const TimePoint earliest = std::min_element(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
                                   return a.deadline < b.deadline;
                                 })->deadline;
      const Milliseconds wait = wheel.next_wait(now);
      if (earliest == kNever) continue;
      EXPECT_GE(wait, milliseconds(0));
      EXPECT_LE(now + wait, std::max(earliest, now) + kLate) << "the loop would sleep too long";
    }
  }
}

}  // namespace
}  // namespace gatehouse::io
