// The event loop of one thread: edge-triggered epoll, deadlines, work handed over from other threads.
#pragma once

#include <array>
#include <atomic>
#include <coroutine>
#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include <sys/epoll.h>

#include "proxy/base/units.hpp"
#include "proxy/io/task.hpp"
#include "proxy/io/timer_wheel.hpp"

namespace gatehouse::io {

class Reactor;

/// An operation that waits for a descriptor. `attempt` makes the system call: true when the operation is over (its
/// result stands in the operation), false when the call would block. Lives in the frame of the coroutine that awaits
/// it. An operation without a waiter is a watch: `attempt` is called at each event, and once more when it is cancelled
/// or expires; it returns false to go on watching, and may destroy the watch and its descriptor.
struct Operation {
  using Attempt = bool (*)(Operation&);
  explicit Operation(Attempt attempt_) noexcept : attempt(attempt_) {}
  Attempt attempt;
  std::coroutine_handle<> waiter;
  bool expired = false;   ///< the deadline passed
  bool canceled = false;  ///< cancel() was called
};

/// When a descriptor is registered with epoll.
enum class Registration : std::uint8_t {
  at_once,
  /// When something waits for it; for a watch alone, some milliseconds later. A connection that brings its request along and ends with
  /// the answer is never registered.
  when_waited_for,
};

/// One file descriptor's place with a reactor, for reading and writing at once, edge-triggered. Readiness is remembered, so that a
/// system call is made only when it can succeed. Stays at its address; owns no descriptor, which must be closed after it is
/// gone: another one may be open on the same file, and epoll would go on to tell of it.
class Descriptor {
 public:
  /// Throws std::system_error when epoll refuses the descriptor at once; if it does so later, what waits is cancelled.
  Descriptor(Reactor& reactor, int fd, Registration registration = Registration::at_once);
  ~Descriptor();
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  /// Puts the waiting operation in place. At most one operation may wait in each direction.
  void wait_read(Operation& operation, TimePoint deadline);
  void wait_write(Operation& operation, TimePoint deadline);
  /// Moves the deadline of the waiting operation.
  void extend_read(TimePoint deadline);
  void extend_write(TimePoint deadline);

  /// Ends the waiting operations with `canceled`; they resume from the loop, not from here.
  void cancel();
  /// The same for the reading side alone.
  void cancel_read();
  /// Takes a waiting operation out without ending it, if it is the one that waits.
  void forget_read(const Operation& operation) noexcept;

  /// Whether something can be read, or the end was reached. Asks the kernel where no event could have told.
  [[nodiscard]] bool ask_readable() noexcept {
    if (readable && !registered_) poll_readable();
    return readable;
  }

  [[nodiscard]] Reactor& reactor() const noexcept { return reactor_; }
  [[nodiscard]] int fd() const noexcept { return fd_; }

  bool readable;             ///< an edge was seen, or nothing was asked yet, and no call has drained it since
  bool writable = true;      ///< assumed until a call says otherwise
  bool peer_closed = false;  ///< EPOLLRDHUP, EPOLLHUP or EPOLLERR was seen: reads will end without another edge

 private:
  friend class Reactor;
  struct Direction : Timer {
    explicit Direction(Descriptor& owner_) noexcept : Timer(&Descriptor::expire), owner(owner_) {}
    Descriptor& owner;
    Operation* waiting = nullptr;
  };
  static constexpr std::uint32_t kNowhere = UINT32_MAX;

  void on_events(std::uint32_t events);
  void poll_readable() noexcept;
  void await_events(Operation& operation, TimePoint deadline, Direction& direction);
  Operation* take(Direction& direction) noexcept;
  void finish(Direction& direction);
  static void cancel(Reactor& reactor, Operation* operation);
  static void expire(Timer& timer);

  bool registered_ = false;
  Reactor& reactor_;
  int fd_;
  std::uint32_t place_ = kNowhere;  ///< in one of Reactor::unregistered_
  Direction read_{*this};
  Direction write_{*this};
};

/// One thread's loop. Everything but post() and stop() belongs to that thread.
class Reactor {
 public:
  Reactor();
  ~Reactor();
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  /// Runs until stop(). Exceptions of spawned tasks go to the handler of on_bug().
  void run();
  /// Ends run() after the current round. Any thread.
  void stop();
  /// Runs `work` on this reactor's thread, soon. Any thread.
  void post(std::function<void()> work);

  /// The loop's clock: read once per round, so that it costs nothing to ask.
  [[nodiscard]] TimePoint now() const noexcept { return now_; }
  /// Seconds since the epoch at the same instant, for dates and logs.
  [[nodiscard]] std::int64_t wall_milliseconds() const noexcept { return wall_ms_; }

  void arm(Timer& timer, TimePoint deadline) noexcept { wheel_.arm(timer, deadline); }

  /// Starts `task` and owns it until it ends; it runs until its first suspension before spawn() returns.
  void spawn(Task<void> task);
  /// Tasks that spawn() started and that have not ended.
  [[nodiscard]] std::size_t live_tasks() const noexcept { return live_tasks_; }
  /// Called with the text of an exception that escaped a spawned task: always a bug of ours.
  void on_bug(std::function<void(const char*)> handler) { on_bug_ = std::move(handler); }

  /// Resumes `coroutine` from the loop, after what runs now has returned.
  void resume_soon(std::coroutine_handle<> coroutine) { ready_.push_back(coroutine); }

  /// Waits until `when`.
  struct SleepAwaiter;
  [[nodiscard]] SleepAwaiter sleep_until(TimePoint when) noexcept;

  /// Rounds of the loop, for the metrics.
  [[nodiscard]] std::uint64_t rounds() const noexcept { return rounds_; }

 private:
  friend class Descriptor;
  struct Root;
  static Root run_root(Reactor& reactor, Task<void> task);
  void add(Descriptor& descriptor);
  [[nodiscard]] bool try_add(Descriptor& descriptor) noexcept;
  void add_later(Descriptor& descriptor);
  void take_out(Descriptor& descriptor) noexcept;
  void add_overdue();
  [[nodiscard]] int epoll_timeout() const noexcept;
  void forget(Descriptor& descriptor) noexcept;
  void read_clock() noexcept;
  void run_posted();
  void run_ready();

  int epoll_ = -1;
  int wakeup_ = -1;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> woken_{false};
  TimePoint now_;
  std::int64_t wall_ms_ = 0;
  TimerWheel wheel_;
  std::array<epoll_event, 512> events_{};
  int event_count_ = 0;
  int event_index_ = 0;
  /// Watched descriptors that epoll does not know yet, those of this interval and of the one before: the older ones are registered at
  /// its end.
  std::array<std::vector<Descriptor*>, 2> unregistered_;
  std::uint32_t younger_ = 0;
  TimePoint interval_end_;
  std::vector<std::coroutine_handle<>> ready_, resuming_;
  std::mutex posted_mutex_;
  std::vector<std::function<void()>> posted_;
  std::size_t live_tasks_ = 0;
  std::uint64_t rounds_ = 0;
  std::function<void(const char*)> on_bug_;
};

struct Reactor::SleepAwaiter : Timer {
  SleepAwaiter(Reactor& reactor, TimePoint when) noexcept
      : Timer([](Timer& timer) { static_cast<SleepAwaiter&>(timer).waiter_.resume(); }),
        reactor_(reactor),
        when_(when) {}
  bool await_ready() const noexcept { return when_ <= reactor_.now(); }
  void await_suspend(std::coroutine_handle<> waiter) noexcept {
    waiter_ = waiter;
    reactor_.arm(*this, when_);
  }
  void await_resume() const noexcept {}

 private:
  Reactor& reactor_;
  TimePoint when_;
  std::coroutine_handle<> waiter_;
};

inline Reactor::SleepAwaiter Reactor::sleep_until(TimePoint when) noexcept { return SleepAwaiter(*this, when); }

}  // namespace gatehouse::io
