// Threads for work that would block an event loop: the full WAF evaluation, disk.
#pragma once

#include <condition_variable>
#include <coroutine>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "proxy/io/reactor.hpp"

namespace gatehouse::io {

/// A fixed number of threads behind a bounded queue. Thread-safe. Destruction runs what is queued, then joins.
class WorkerPool {
 public:
  /// `queue_limit` bounds how many jobs may wait; `name` is the threads' name (at most 15 characters).
  WorkerPool(std::size_t threads, std::size_t queue_limit, const char* name);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  /// Queues `job`; false when the queue is full. Jobs must not throw.
  [[nodiscard]] bool submit(std::function<void()> job);
  [[nodiscard]] std::size_t queued() const;
  [[nodiscard]] std::size_t thread_count() const noexcept { return threads_.size(); }

 private:
  void serve();

  const std::size_t queue_limit_;
  mutable std::mutex mutex_;
  std::condition_variable work_;
  std::deque<std::function<void()>> queue_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

/// `auto r = co_await offload(pool, reactor, f)`: runs `f` on the pool and resumes on `reactor`'s thread with its
/// result, or with nothing when the pool's queue was full. The awaiting coroutine must stay alive until then: an
/// offloaded job can't be cancelled.
template <class Function>
class Offload {
 public:
  using Value = std::invoke_result_t<Function&>;

  Offload(WorkerPool& pool, Reactor& reactor, Function function)
      : pool_(pool), reactor_(reactor), function_(std::move(function)) {}
  Offload(const Offload&) = delete;
  Offload& operator=(const Offload&) = delete;

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiter) {
    return pool_.submit([this, waiter] {
      try {
        value_.emplace(function_());
      } catch (...) {
        exception_ = std::current_exception();
      }
      reactor_.post([waiter] { waiter.resume(); });
    });
  }
  std::optional<Value> await_resume() {
    if (exception_) std::rethrow_exception(exception_);
    return std::move(value_);
  }

 private:
  WorkerPool& pool_;
  Reactor& reactor_;
  Function function_;
  std::optional<Value> value_;
  std::exception_ptr exception_;
};

}  // namespace gatehouse::io
