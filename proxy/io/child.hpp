// Child: a coroutine that runs beside its parent on the same reactor and that the parent joins.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

#include "proxy/io/task.hpp"

namespace gatehouse::io {

/// Starts at once, runs beside the coroutine that made it, and must be joined (co_await join()) before it is destroyed:
/// structured concurrency for the one place where two directions move at once. Not movable: its address is its
/// identity.
template <class T>
class Child {
 public:
  explicit Child(Task<T> task) { run(*this, std::move(task)); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  [[nodiscard]] bool done() const noexcept { return done_; }

  struct JoinAwaiter {
    Child& child;
    bool await_ready() const noexcept { return child.done_; }
    void await_suspend(std::coroutine_handle<> parent) const noexcept { child.parent_ = parent; }
    T await_resume() const {
      if (child.exception_) std::rethrow_exception(child.exception_);
      return std::move(*child.value_);
    }
  };
  [[nodiscard]] JoinAwaiter join() noexcept { return JoinAwaiter{*this}; }

 private:
  // The frame that drives the task; it destroys itself after waking the parent.
  struct Driver {
    struct promise_type {
      std::coroutine_handle<> next = std::noop_coroutine();
      static void* operator new(std::size_t size) { return allocate_frame(size); }
      static void operator delete(void* frame, std::size_t size) noexcept { free_frame(frame, size); }
      Driver get_return_object() const noexcept { return {}; }
      std::suspend_never initial_suspend() const noexcept { return {}; }
      struct Leave {
        bool await_ready() const noexcept { return false; }
        std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> self) const noexcept {
          const auto next_coroutine = self.promise().next;
          self.destroy();
          return next_coroutine;
        }
        void await_resume() const noexcept {}
      };
      Leave final_suspend() const noexcept { return {}; }
      void return_void() const noexcept {}
      void unhandled_exception() const noexcept { std::terminate(); }  // run() catches everything
    };
  };
  // Hands the parent to the driver's promise, so that it is resumed after the driver's frame is gone.
  struct SetNext {
    std::coroutine_handle<> parent;
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<typename Driver::promise_type> self) const noexcept {
      if (parent) self.promise().next = parent;
      return false;
    }
    void await_resume() const noexcept {}
  };

  static Driver run(Child& child, Task<T> task) {
    try {
      child.value_.emplace(co_await task);
    } catch (...) {
      child.exception_ = std::current_exception();
    }
    task = Task<T>();
    child.done_ = true;
    const SetNext hand_over{child.parent_};
    co_await hand_over;
  }

  bool done_ = false;
  std::coroutine_handle<> parent_;
  std::optional<T> value_;
  std::exception_ptr exception_;
};

}  // namespace gatehouse::io
