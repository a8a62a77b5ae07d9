#include "proxy/io/task.hpp"

#include <stdexcept>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxy/io/child.hpp"
#include "proxy/io/signal.hpp"
#include "tests/support/loop.hpp"

namespace gatehouse::io {
namespace {

using std::chrono::milliseconds;
using test::Loop;
using testing::ElementsAre;

Task<int> number(int value) { co_return value; }
Task<int> failing() {
  throw std::runtime_error("failed");
  co_return 0;
}

Task<int> sum_to(int n) {
  if (n == 0) co_return 0;
  auto rest = sum_to(n - 1);
  const int sum = co_await rest;
  co_return n + sum;
}

Task<void> check_results(bool& done) {
  auto task = number(7);
  const int value = co_await task;
  EXPECT_EQ(value, 7);
  auto deep = sum_to(1000);
  const int sum = co_await deep;
  EXPECT_EQ(sum, 500500);
  auto bad = failing();
  EXPECT_THROW(co_await bad, std::runtime_error);
  done = true;
}

TEST(Task, HandsOverItsResultOrItsException) {
  Loop loop;
  bool done = false;
  loop.run(check_results(done));
  EXPECT_TRUE(done);
}

TEST(Task, OneThatWasNeverAwaitedDoesNothing) {
  bool done = false;
  {
    const auto task = check_results(done);
  }
  EXPECT_FALSE(done);
}

Task<int> number_later(Reactor& reactor, int value) {
  auto sleep = reactor.sleep_until(reactor.now() + milliseconds(15));
  co_await sleep;
  co_return value;
}
Task<int> fail_later(Reactor& reactor) {
  auto sleep = reactor.sleep_until(reactor.now() + milliseconds(15));
  co_await sleep;
  throw std::runtime_error("failed");
}

Task<void> join_children(Reactor& reactor, bool& done) {
  Child<int> at_once(number(1));
  Child<int> later(number_later(reactor, 2));
  Child<int> bad_at_once(failing());
  Child<int> bad_later(fail_later(reactor));
  EXPECT_TRUE(at_once.done());
  EXPECT_TRUE(bad_at_once.done());
  EXPECT_FALSE(later.done());
  auto join_later = later.join();
  const int second = co_await join_later;
  EXPECT_EQ(second, 2);
  auto join_at_once = at_once.join();
  const int first = co_await join_at_once;
  EXPECT_EQ(first, 1);
  auto join_bad_at_once = bad_at_once.join();
  EXPECT_THROW(co_await join_bad_at_once, std::runtime_error);
  auto join_bad_later = bad_later.join();
  EXPECT_THROW(co_await join_bad_later, std::runtime_error);
  done = true;
}

TEST(Child, IsJoinedBeforeAndAfterItsEndWithResultOrException) {
  Loop loop;
  bool done = false;
  loop.run(join_children(loop.reactor, done));
  EXPECT_TRUE(done);
}

Task<void> wait_and_note(Signal& signal, TimePoint deadline, int number, std::vector<int>& notified,
                         std::vector<int>& expired) {
  auto waiting = signal.wait(deadline);
  const bool told = co_await waiting;
  (told ? notified : expired).push_back(number);
}

TEST(Signal, WakesAllWhoWaitAndTellsThemFromThoseWhoWaitedTooLong) {
  Loop loop;
  Signal signal(loop.reactor);
  std::vector<int> notified, expired;
  const TimePoint now = loop.reactor.now();
  loop.reactor.spawn(wait_and_note(signal, TimePoint::max(), 1, notified, expired));
  loop.reactor.spawn(wait_and_note(signal, now + milliseconds(10), 2, notified, expired));
  loop.reactor.spawn(wait_and_note(signal, now + std::chrono::hours(1), 3, notified, expired));
  struct Notify : Timer {
    Notify(Signal& signal_, Loop& loop_)
        : Timer([](Timer& self) {
            auto& notify = static_cast<Notify&>(self);
            notify.signal.notify_all();
            notify.signal.notify_all();  // nobody waits any more
            notify.loop.reactor.post([&l = notify.loop] { l.stop(); });
          }),
          signal(signal_),
          loop(loop_) {}
    Signal& signal;
    Loop& loop;
  } notify(signal, loop);
  loop.reactor.arm(notify, now + milliseconds(40));
  loop.run();
  EXPECT_THAT(notified, ElementsAre(1, 3));
  EXPECT_THAT(expired, ElementsAre(2));
}

}  // namespace
}  // namespace gatehouse::io
