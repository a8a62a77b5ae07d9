// A reactor for one test: left by stop() or at the end of a coroutine, and never later than after 20 s.
#pragma once

#include <chrono>
#include <utility>

#include <gtest/gtest.h>

#include "proxy/io/reactor.hpp"
#include "proxy/io/task.hpp"

namespace gatehouse::test {

struct Loop {
  Loop() {
    reactor.on_bug([](const char* what) { ADD_FAILURE() << "a task ended with: " << what; });
  }
  void run() { reactor.run(); }
  void stop() { reactor.stop(); }
  /// Runs the loop until `task` has ended.
  void run(io::Task<void> task) {
    reactor.spawn(then_stop(reactor, std::move(task)));
    run();
  }

  io::Reactor reactor;

 private:
  static io::Task<void> then_stop(io::Reactor& reactor, io::Task<void> task) {
    try {
      co_await task;
    } catch (const std::exception& error) {
      ADD_FAILURE() << "the task ended with: " << error.what();
    }
    reactor.stop();
  }

  struct Watchdog : io::Timer {
    explicit Watchdog(io::Reactor& reactor_)
        : Timer([](io::Timer& self) {
            ADD_FAILURE() << "the loop was not left in time";
            static_cast<Watchdog&>(self).reactor.stop();
          }),
          reactor(reactor_) {
      reactor.arm(*this, reactor.now() + std::chrono::seconds(20));
    }
    io::Reactor& reactor;
  } watchdog_{reactor};
};

}  // namespace gatehouse::test
