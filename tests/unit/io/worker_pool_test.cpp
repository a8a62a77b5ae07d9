#include "proxy/io/worker_pool.hpp"

#include <array>
#include <atomic>
#include <latch>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>
#include <pthread.h>

#include "tests/support/loop.hpp"

namespace gatehouse::io {
namespace {

using test::Loop;

TEST(WorkerPool, RunsEveryJobThatItTookBeforeItEnds) {
  std::atomic<int> done{0};
  {
    WorkerPool pool(3, 1000, "jobs");
    EXPECT_EQ(pool.thread_count(), 3U);
    for (int i = 0; i < 1000; ++i) ASSERT_TRUE(pool.submit([&] { ++done; }));
  }
  EXPECT_EQ(done, 1000);
}

TEST(WorkerPool, RefusesWhatItsQueueCannotHold) {
  std::latch started(1), release(1);
  WorkerPool pool(1, 2, "jobs");
  ASSERT_TRUE(pool.submit([&] {
    started.count_down();
    release.wait();
  }));
  started.wait();
  EXPECT_TRUE(pool.submit([] {}));
  EXPECT_TRUE(pool.submit([] {}));
  EXPECT_FALSE(pool.submit([] { ADD_FAILURE() << "was refused"; }));
  EXPECT_EQ(pool.queued(), 2U);
  release.count_down();
}

Task<void> offload_three_ways(Reactor& reactor, WorkerPool& pool, bool& done) {
  const auto loop_thread = std::this_thread::get_id();
  auto name_of_thread = [] {
    std::array<char, 16> name{};
    pthread_getname_np(pthread_self(), name.data(), name.size());
    return std::string(name.data());
  };
  Offload named(pool, reactor, name_of_thread);
  const auto name = co_await named;
  EXPECT_EQ(name, "jobs");
  EXPECT_EQ(std::this_thread::get_id(), loop_thread);
  auto fail = []() -> int { throw std::runtime_error("failed"); };
  Offload failing(pool, reactor, fail);
  EXPECT_THROW(co_await failing, std::runtime_error);
  EXPECT_EQ(std::this_thread::get_id(), loop_thread);
  done = true;
}

TEST(Offload, ResumesOnTheLoopWithTheResultOrTheException) {
  Loop loop;
  WorkerPool pool(2, 10, "jobs");
  bool done = false;
  loop.run(offload_three_ways(loop.reactor, pool, done));
  EXPECT_TRUE(done);
}

Task<void> offload_to_full_pool(Reactor& reactor, WorkerPool& pool, bool& refused) {
  auto job = [] { return 1; };
  Offload offload(pool, reactor, job);
  const auto result = co_await offload;
  refused = !result;
}

TEST(Offload, GivesNothingWhenTheQueueIsFull) {
  Loop loop;
  WorkerPool pool(1, 0, "jobs");
  bool refused = false;
  loop.run(offload_to_full_pool(loop.reactor, pool, refused));
  EXPECT_TRUE(refused);
}

Task<void> offload_often(Reactor& reactor, WorkerPool& pool, int& sum) {
  for (int i = 0; i < 200; ++i) {
    auto job = [i] { return i; };
    Offload offload(pool, reactor, job);
    const auto result = co_await offload;
    sum += result.value_or(0);
  }
}

TEST(Offload, ManyAtOnceEndOnceEach) {
  Loop loop;
  WorkerPool pool(3, 100, "jobs");
  int sum = 0;
  for (int i = 0; i < 7; ++i) loop.reactor.spawn(offload_often(loop.reactor, pool, sum));
  struct Poll : Timer {
    explicit Poll(Loop& loop_)
        : Timer([](Timer& self) {
            auto& poll = static_cast<Poll&>(self);
            if (poll.loop.reactor.live_tasks() == 0)
              poll.loop.stop();
            else
              poll.loop.reactor.arm(poll, poll.loop.reactor.now());
          }),
          loop(loop_) {}
    Loop& loop;
  } poll(loop);
  loop.reactor.arm(poll, loop.reactor.now());
  loop.run();
  EXPECT_EQ(sum, 7 * 19900);
}

}  // namespace
}  // namespace gatehouse::io
