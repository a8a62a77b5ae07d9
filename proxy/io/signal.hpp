// Signal: coroutines of one reactor waiting for something another coroutine of it does.
#pragma once

#include <coroutine>
#include <vector>

#include "proxy/io/reactor.hpp"

namespace gatehouse::io {

/// wait() suspends until notify_all() or the deadline; waiters are resumed from the loop. One reactor only.
class Signal {
 public:
  explicit Signal(Reactor& reactor) noexcept : reactor_(&reactor) {}
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;

  class Waiter : Timer {
   public:
    Waiter(Signal& signal, TimePoint deadline) noexcept
        : Timer([](Timer& timer) { static_cast<Waiter&>(timer).expire(); }), signal_(signal), deadline_(deadline) {}
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) {
      waiter_ = waiter;
      signal_.waiting_.push_back(this);
      if (deadline_ != TimePoint::max()) signal_.reactor_->arm(*this, deadline_);
    }
    /// True when notified, false when the deadline passed first.
    bool await_resume() const noexcept { return !expired_; }

   private:
    friend class Signal;
    void expire() {
      expired_ = true;
      std::erase(signal_.waiting_, this);
      waiter_.resume();
    }
    Signal& signal_;
    TimePoint deadline_;
    std::coroutine_handle<> waiter_;
    bool expired_ = false;
  };

  [[nodiscard]] Waiter wait(TimePoint deadline = TimePoint::max()) noexcept { return Waiter(*this, deadline); }

  void notify_all() {
    for (Waiter* waiter : waiting_) {
      waiter->disarm();
      reactor_->resume_soon(waiter->waiter_);
    }
    waiting_.clear();
  }

 private:
  Reactor* reactor_;
  std::vector<Waiter*> waiting_;
};

}  // namespace gatehouse::io
