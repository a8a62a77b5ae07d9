#include "proxy/io/reactor.hpp"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <exception>
#include <system_error>

#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

namespace gatehouse::io {
namespace {

// A watch is heard after one to two of these.
constexpr Milliseconds kRegistrationInterval{5};

}  // namespace

// ---- Descriptor ----

Descriptor::Descriptor(Reactor& reactor, int fd, Registration registration)
    : readable(registration == Registration::when_waited_for), reactor_(reactor), fd_(fd) {
  if (registration == Registration::at_once) reactor_.add(*this);
}

Descriptor::~Descriptor() { reactor_.forget(*this); }

void Descriptor::poll_readable() noexcept {
  pollfd asked{.fd = fd_, .events = POLLIN | POLLRDHUP, .revents = 0};
  if (::poll(&asked, 1, 0) < 0) return;  // a read will say what is wrong
  readable = asked.revents != 0;
  peer_closed = (asked.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

void Descriptor::await_events(Operation& operation, TimePoint deadline, Direction& direction) {
  if (operation.canceled && operation.waiter) return;  // refused when it waited for the other direction
  direction.waiting = &operation;
  reactor_.arm(direction, deadline);
  if (registered_) return;
  if (!operation.waiter) {
    reactor_.add_later(*this);
  } else if (!reactor_.try_add(*this)) {
    cancel();
  }
}

void Descriptor::wait_read(Operation& operation, TimePoint deadline) { await_events(operation, deadline, read_); }
void Descriptor::wait_write(Operation& operation, TimePoint deadline) { await_events(operation, deadline, write_); }

void Descriptor::extend_read(TimePoint deadline) { reactor_.arm(read_, deadline); }
void Descriptor::extend_write(TimePoint deadline) { reactor_.arm(write_, deadline); }

Operation* Descriptor::take(Direction& direction) noexcept {
  Operation* const operation = direction.waiting;
  if (operation == nullptr) return nullptr;
  for (Direction* side : {&read_, &write_}) {  // a TLS operation may wait for both
    if (side->waiting != operation) continue;
    side->waiting = nullptr;
    side->disarm();
  }
  return operation;
}

void Descriptor::finish(Direction& direction) {
  const Operation* operation = take(direction);
  if (operation->waiter) operation->waiter.resume();
}

void Descriptor::cancel(Reactor& reactor, Operation* operation) {
  if (operation == nullptr) return;
  operation->canceled = true;
  if (operation->waiter)
    reactor.resume_soon(operation->waiter);
  else
    operation->attempt(*operation);  // a watch: it passes the news on by itself
}

void Descriptor::cancel() {
  // Both are taken out before either is told: a watch may destroy this object.
  Reactor& reactor = reactor_;
  Operation* const reading = take(read_);
  Operation* const writing = take(write_);
  cancel(reactor, reading);
  cancel(reactor, writing);
}

void Descriptor::cancel_read() { cancel(reactor_, take(read_)); }

void Descriptor::forget_read(const Operation& operation) noexcept {
  if (read_.waiting != &operation) return;
  read_.waiting = nullptr;
  read_.disarm();
}

void Descriptor::on_events(std::uint32_t events) {
  constexpr std::uint32_t kGone = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
  if ((events & kGone) != 0) peer_closed = true;
  if ((events & (EPOLLIN | EPOLLPRI | kGone)) != 0) readable = true;
  if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) writable = true;
  // What one side does may end the connection and this object with it; the loop's slot, which outlives it, says whether it did.
  const epoll_event& slot = reactor_.events_[static_cast<std::size_t>(reactor_.event_index_)];
  if (writable && write_.waiting != nullptr) {
    Operation& operation = *write_.waiting;
    const bool over = operation.attempt(operation);
    if (slot.data.ptr != this) return;  // a watch ended it
    if (over) finish(write_);
    if (slot.data.ptr != this) return;
  }
  if (readable && read_.waiting != nullptr && read_.waiting->attempt(*read_.waiting)) finish(read_);
}

void Descriptor::expire(Timer& timer) {
  auto& direction = static_cast<Direction&>(timer);
  Operation* const operation = direction.owner.take(direction);
  if (operation == nullptr) return;
  operation->expired = true;
  if (operation->waiter)
    operation->waiter.resume();
  else
    operation->attempt(*operation);
}

// ---- Reactor ----

/// The frame that owns a spawned task; destroys itself at the end.
struct Reactor::Root {
  struct promise_type {
    static void* operator new(std::size_t size) { return allocate_frame(size); }
    static void operator delete(void* frame, std::size_t size) noexcept { free_frame(frame, size); }
    Root get_return_object() const noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }  // run_root catches everything
  };
};

Reactor::Root Reactor::run_root(Reactor& reactor, Task<void> task) {
  ++reactor.live_tasks_;
  try {
    co_await task;
  } catch (const std::exception& error) {
    if (reactor.on_bug_) reactor.on_bug_(error.what());
  } catch (...) {
    if (reactor.on_bug_) reactor.on_bug_("unknown exception");
  }
  --reactor.live_tasks_;
}

Reactor::Reactor() : now_(Clock::now()), wheel_(now_) {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  wakeup_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (epoll_ < 0 || wakeup_ < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1 or eventfd");
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, wakeup_, &event) != 0) {
    throw std::system_error(errno, std::generic_category(), "epoll_ctl of the wake-up event");
  }
  read_clock();
}

Reactor::~Reactor() {
  close(wakeup_);
  close(epoll_);
}

void Reactor::add(Descriptor& descriptor) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = &descriptor;
  // What is there already is told of as an edge.
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor.fd_, &event) != 0) {
    throw std::system_error(errno, std::generic_category(), "epoll_ctl");
  }
  descriptor.registered_ = true;
  take_out(descriptor);
}

bool Reactor::try_add(Descriptor& descriptor) noexcept {
  try {
    add(descriptor);
    return true;
  } catch (const std::exception& error) {
    if (on_bug_) on_bug_(error.what());
    return false;
  }
}

void Reactor::add_later(Descriptor& descriptor) {
  if (descriptor.place_ != Descriptor::kNowhere) return;
  if (unregistered_[0].empty() && unregistered_[1].empty()) interval_end_ = now_ + kRegistrationInterval;
  auto& younger = unregistered_[younger_];
  descriptor.place_ = static_cast<std::uint32_t>(younger.size() * 2 + younger_);
  younger.push_back(&descriptor);
}

void Reactor::take_out(Descriptor& descriptor) noexcept {
  const std::uint32_t place = std::exchange(descriptor.place_, Descriptor::kNowhere);
  if (place == Descriptor::kNowhere) return;
  auto& list = unregistered_[place % 2];
  list[place / 2] = list.back();
  if (list[place / 2] != &descriptor) list[place / 2]->place_ = place;
  list.pop_back();
}

// A watch that is cancelled because epoll refuses its descriptor may destroy others, so the list is asked again each time.
void Reactor::add_overdue() {
  if ((unregistered_[0].empty() && unregistered_[1].empty()) || now_ < interval_end_) return;
  auto& older = unregistered_[1 - younger_];
  while (!older.empty()) {
    Descriptor& descriptor = *older.back();
    if (try_add(descriptor)) continue;
    take_out(descriptor);
    descriptor.cancel();
  }
  younger_ = 1 - younger_;
  interval_end_ = now_ + kRegistrationInterval;
}

int Reactor::epoll_timeout() const noexcept {
  if (!ready_.empty()) return 0;
  const auto wait = static_cast<int>(wheel_.next_wait(now_).count());
  if (unregistered_[0].empty() && unregistered_[1].empty()) return wait;
  constexpr auto most = static_cast<int>(kRegistrationInterval / Milliseconds(1));
  return wait < 0 ? most : std::min(wait, most);
}

void Reactor::forget(Descriptor& descriptor) noexcept {
  // Closing is not enough: while another thread starts a process (the rules' check of a reload), that process holds every descriptor
  // until it runs its program, and the kernel would go on to report this one, by the address of an object that is gone.
  take_out(descriptor);
  if (!descriptor.registered_) return;
  epoll_event none{};
  [[maybe_unused]] const int taken_out = ::epoll_ctl(epoll_, EPOLL_CTL_DEL, descriptor.fd_, &none);
  assert(taken_out == 0 && "a Descriptor goes before what it describes is closed");
  // Events of this round that name it are dropped here.
  for (int i = event_index_; i < event_count_; ++i) {
    auto& event = events_[static_cast<std::size_t>(i)];
    if (event.data.ptr == &descriptor) event.data.ptr = this;
  }
}

void Reactor::read_clock() noexcept {
  now_ = Clock::now();
  timespec wall{};
  clock_gettime(CLOCK_REALTIME_COARSE, &wall);
  wall_ms_ = static_cast<std::int64_t>(wall.tv_sec) * 1000 + wall.tv_nsec / 1000000;
}

void Reactor::stop() {
  stopping_.store(true, std::memory_order_release);
  post({});
}

void Reactor::post(std::function<void()> work) {
  {
    const std::lock_guard lock(posted_mutex_);
    if (work) posted_.push_back(std::move(work));
  }
  if (!woken_.exchange(true, std::memory_order_acq_rel)) {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = write(wakeup_, &one, sizeof one);
  }
}

void Reactor::run_posted() {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = read(wakeup_, &count, sizeof count);
  woken_.store(false, std::memory_order_release);
  std::vector<std::function<void()>> work;
  {
    const std::lock_guard lock(posted_mutex_);
    work.swap(posted_);
  }
  for (auto& item : work) item();
}

void Reactor::run_ready() {
  while (!ready_.empty()) {
    resuming_.swap(ready_);
    for (const auto coroutine : resuming_) coroutine.resume();
    resuming_.clear();
  }
}

void Reactor::spawn(Task<void> task) { run_root(*this, std::move(task)); }

void Reactor::run() {
  while (!stopping_.load(std::memory_order_acquire)) {
    run_ready();
    add_overdue();
    event_count_ = epoll_wait(epoll_, events_.data(), static_cast<int>(events_.size()), epoll_timeout());
    ++rounds_;
    read_clock();
    if (event_count_ < 0) event_count_ = 0;  // EINTR
    for (event_index_ = 0; event_index_ < event_count_; ++event_index_) {
      const epoll_event event = events_[static_cast<std::size_t>(event_index_)];
      if (event.data.ptr == nullptr) {
        run_posted();
      } else if (event.data.ptr != this) {
        static_cast<Descriptor*>(event.data.ptr)->on_events(event.events);
      }
    }
    event_count_ = event_index_ = 0;
    run_ready();
    wheel_.advance(now_);
  }
}

}  // namespace gatehouse::io
