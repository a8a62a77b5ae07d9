#include "proxy/io/reactor.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/loop.hpp"

namespace gatehouse::io {
namespace {

using std::chrono::milliseconds;
using test::Loop;
using testing::ElementsAre;

TEST(Reactor, RunsWhatOtherThreadsPostInTheirOrder) {
  Loop loop;
  constexpr int kThreads = 4;
  constexpr int kEach = 2000;
  std::array<std::vector<int>, kThreads> seen;
  const auto loop_thread = std::this_thread::get_id();
  int left = kThreads * kEach;
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        loop.reactor.post([&, t, i] {
          EXPECT_EQ(std::this_thread::get_id(), loop_thread);
          seen[t].push_back(i);
          if (--left == 0) loop.stop();
        });
      }
    });
  }
  loop.run();
  for (auto& thread : threads) thread.join();
  for (const auto& numbers : seen) {
    ASSERT_EQ(numbers.size(), static_cast<std::size_t>(kEach));
    EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end()));
  }
}

TEST(Reactor, WorkPostedByPostedWorkRunsToo) {
  Loop loop;
  std::vector<int> order;
  loop.reactor.post([&] {
    order.push_back(1);
    loop.reactor.post([&] {
      order.push_back(3);
      loop.stop();
    });
    order.push_back(2);
  });
  loop.run();
  EXPECT_THAT(order, ElementsAre(1, 2, 3));
}

TEST(Reactor, AStopBeforeTheStartHolds) {
  Loop loop;
  loop.stop();
  loop.run();
  EXPECT_EQ(loop.reactor.rounds(), 0U);
}

Task<void> sleep_and_note(Reactor& reactor, TimePoint until, int number, std::vector<int>& order) {
  auto sleep = reactor.sleep_until(until);
  co_await sleep;
  EXPECT_GE(reactor.now(), until);
  order.push_back(number);
}

TEST(Reactor, SleepersWakeInTheOrderOfTheirDeadlines) {
  Loop loop;
  std::vector<int> order;
  const TimePoint start = loop.reactor.now();
  loop.reactor.spawn(sleep_and_note(loop.reactor, start + milliseconds(60), 3, order));
  loop.reactor.spawn(sleep_and_note(loop.reactor, start + milliseconds(30), 2, order));
  loop.reactor.spawn(sleep_and_note(loop.reactor, start, 1, order));
  EXPECT_THAT(order, ElementsAre(1));  // what is over already does not suspend
  EXPECT_EQ(loop.reactor.live_tasks(), 2U);
  loop.run(sleep_and_note(loop.reactor, start + milliseconds(90), 4, order));
  EXPECT_THAT(order, ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(loop.reactor.live_tasks(), 0U);
}

Task<void> fail() {
  throw std::runtime_error("what went wrong");
  co_return;
}

TEST(Reactor, AnExceptionThatEscapesATaskIsReported) {
  Loop loop;
  std::string text;
  loop.reactor.on_bug([&](const char* what) { text = what; });
  loop.reactor.spawn(fail());
  EXPECT_EQ(text, "what went wrong");
  EXPECT_EQ(loop.reactor.live_tasks(), 0U);
}

struct Yield {
  Reactor& reactor;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) const { reactor.resume_soon(waiter); }
  void await_resume() const noexcept {}
};

Task<void> yield_and_note(Reactor& reactor, int number, std::vector<int>& order) {
  for (int i = 0; i < 3; ++i) {
    order.push_back(number);
    const Yield yield{reactor};
    co_await yield;
  }
}

TEST(Reactor, WhatIsResumedSoonTakesTurns) {
  Loop loop;
  std::vector<int> order;
  loop.reactor.spawn(yield_and_note(loop.reactor, 1, order));
  loop.run(yield_and_note(loop.reactor, 2, order));
  EXPECT_THAT(order, ElementsAre(1, 2, 1, 2, 1, 2));
}

// ---- descriptors

struct SocketPair {
  SocketPair() { EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds.data()), 0); }
  ~SocketPair() {
    for (const int fd : fds) ::close(fd);
  }
  void write() const { EXPECT_EQ(::write(fds[1], "x", 1), 1); }
  std::array<int, 2> fds{};
};

// Watches a descriptor in both directions and does something at the first event.
struct Watch : Operation {
  Watch(Reactor& reactor, int fd, std::function<void(Watch&)> then_)
      : Operation([](Operation& self) {
          auto& watch = static_cast<Watch&>(self);
          const auto act = watch.then;  // a copy: it may destroy the watch
          act(watch);
          return false;
        }),
        then(std::move(then_)),
        descriptor(reactor, fd) {
    descriptor.wait_read(*this, TimePoint::max());
    descriptor.wait_write(*this, TimePoint::max());
  }
  std::function<void(Watch&)> then;
  Descriptor descriptor;
};

TEST(Descriptor, OneOfABatchMayDestroyTheOthers) {
  Loop loop;
  std::array<SocketPair, 3> pairs;
  std::array<std::unique_ptr<Watch>, 3> watches;
  int events = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    pairs[i].write();
    watches[i] = std::make_unique<Watch>(loop.reactor, pairs[i].fds[0], [&](Watch&) {
      ++events;
      for (auto& watch : watches) watch = nullptr;  // itself among them
      loop.reactor.post([&] { loop.stop(); });
    });
  }
  loop.run();
  EXPECT_EQ(events, 1);
}

TEST(Descriptor, AWatchThatIsCancelledHearsOfItOnceAndMayEnd) {
  Loop loop;
  SocketPair pair;
  int calls = 0;
  std::unique_ptr<Watch> watch;
  watch = std::make_unique<Watch>(loop.reactor, pair.fds[0], [&](Watch& self) {
    ++calls;
    EXPECT_TRUE(self.canceled);
    watch = nullptr;
  });
  watch->descriptor.cancel();
  EXPECT_EQ(calls, 1);
}

TEST(Descriptor, AWatchThatExpiresHearsOfIt) {
  Loop loop;
  SocketPair pair;
  int calls = 0;
  auto watch = std::make_unique<Watch>(loop.reactor, pair.fds[0], [&](Watch& self) {
    if (!self.expired) return;
    ++calls;
    loop.stop();
  });
  watch->descriptor.extend_read(loop.reactor.now() + milliseconds(20));
  loop.run();
  EXPECT_EQ(calls, 1);
}

// Waits in both directions, as a TLS operation may, for events that never suffice.
struct WaitBoth : Operation {
  explicit WaitBoth(Descriptor& descriptor_) : Operation([](Operation&) { return false; }), descriptor(descriptor_) {}
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> coroutine) {
    waiter = coroutine;
    descriptor.wait_read(*this, TimePoint::max());
    descriptor.wait_write(*this, TimePoint::max());
  }
  void await_resume() const noexcept {}
  Descriptor& descriptor;
};

Task<void> wait_both(Descriptor& descriptor, int& resumptions) {
  WaitBoth waiting(descriptor);
  co_await waiting;
  ++resumptions;
  EXPECT_TRUE(waiting.canceled);
}

TEST(Descriptor, AnOperationInBothDirectionsIsCancelledOnce) {
  for (const bool both : {false, true}) {
    Loop loop;
    SocketPair pair;
    Descriptor descriptor(loop.reactor, pair.fds[0]);
    int resumptions = 0;
    loop.reactor.spawn(wait_both(descriptor, resumptions));
    loop.reactor.post([&] {
      if (both)
        descriptor.cancel();
      else
        descriptor.cancel_read();
      EXPECT_EQ(resumptions, 0) << "resumed from within cancel";
      pair.write();  // an event that must not find the operation again
      loop.reactor.post([&] { loop.stop(); });
    });
    loop.run();
    EXPECT_EQ(resumptions, 1);
  }
}

// ---- descriptors that are registered when something waits

TEST(LateRegistration, AsksTheKernelWhileNoEventCouldTell) {
  Loop loop;
  SocketPair quiet;
  SocketPair spoken;
  spoken.write();
  SocketPair gone;
  ::shutdown(gone.fds[1], SHUT_RDWR);
  const auto asked = [&](const SocketPair& pair) {
    Descriptor descriptor(loop.reactor, pair.fds[0], Registration::when_waited_for);
    EXPECT_TRUE(descriptor.readable) << "nothing is known yet, so a read is worth a try";
    const bool readable = descriptor.ask_readable();
    EXPECT_EQ(descriptor.readable, readable);
    return std::pair(readable, descriptor.peer_closed);
  };
  EXPECT_EQ(asked(quiet), std::pair(false, false));
  EXPECT_EQ(asked(spoken), std::pair(true, false));
  EXPECT_EQ(asked(gone), std::pair(true, true));
}

struct WaitOnce : Operation {
  explicit WaitOnce(Descriptor& descriptor_) : Operation([](Operation&) { return true; }), descriptor(descriptor_) {}
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> coroutine) {
    waiter = coroutine;
    descriptor.wait_read(*this, TimePoint::max());
  }
  void await_resume() const noexcept {}
  Descriptor& descriptor;
};

Task<void> wait_once(Loop& loop, Descriptor& descriptor, int& heard) {
  WaitOnce waiting(descriptor);
  co_await waiting;
  EXPECT_TRUE(descriptor.readable);
  ++heard;
  loop.stop();
}

TEST(LateRegistration, AnOperationHearsOfWhatCameBeforeAndAfterIt) {
  for (const bool before : {true, false}) {
    Loop loop;
    SocketPair pair;
    if (before) pair.write();
    Descriptor descriptor(loop.reactor, pair.fds[0], Registration::when_waited_for);
    descriptor.readable = false;  // a read has drained it
    int heard = 0;
    loop.reactor.spawn(wait_once(loop, descriptor, heard));
    if (!before) loop.reactor.post([&] { pair.write(); });
    loop.run();
    EXPECT_EQ(heard, 1) << before;
  }
}

// Watches for the peer's end alone, as a connection does whose request is with an upstream.
struct LateWatch : Operation {
  LateWatch(Reactor& reactor, int fd, std::function<void()> then_)
      : Operation([](Operation& self) {
          static_cast<LateWatch&>(self).then();
          return false;
        }),
        then(std::move(then_)),
        descriptor(reactor, fd, Registration::when_waited_for) {
    descriptor.wait_read(*this, TimePoint::max());
  }
  std::function<void()> then;
  Descriptor descriptor;
};

TEST(LateRegistration, AWatchHearsSomeMillisecondsLater) {
  Loop loop;
  constexpr std::size_t kCount = 5;
  std::array<SocketPair, kCount> pairs;
  std::array<std::unique_ptr<LateWatch>, kCount> watches;
  std::array<int, kCount> heard{};
  for (std::size_t i = 0; i < kCount; ++i) {
    watches[i] = std::make_unique<LateWatch>(loop.reactor, pairs[i].fds[0], [&, i] {
      ++heard[i];
      if (std::count(heard.begin(), heard.end(), 0) == 2) loop.stop();
    });
    ::shutdown(pairs[i].fds[1], SHUT_WR);
  }
  watches[0] = nullptr;  // from the list's beginning, so that another takes its place,
  watches[4] = nullptr;  // and from its end
  loop.run();
  EXPECT_THAT(heard, ElementsAre(0, 1, 1, 1, 0));
  for (const std::size_t i : {1, 2, 3}) EXPECT_TRUE(watches[i]->descriptor.peer_closed);
}

Task<void> stop_after(Loop& loop, milliseconds pause) {
  auto sleep = loop.reactor.sleep_until(loop.reactor.now() + pause);
  co_await sleep;
  loop.stop();
}

TEST(LateRegistration, AWatchThatIsGoneByThenIsNeverRegistered) {
  Loop loop;
  SocketPair pair;
  auto watch = std::make_unique<LateWatch>(loop.reactor, pair.fds[0], [] { ADD_FAILURE() << "it was gone"; });
  pair.write();
  loop.reactor.post([&] { watch = nullptr; });
  loop.reactor.spawn(stop_after(loop, milliseconds(30)));
  loop.run();
}

}  // namespace
}  // namespace gatehouse::io
