// Work for a thread that waits in poll(): other threads post it, the descriptor becomes readable, the thread runs it.
#pragma once

#include <cerrno>
#include <cstdint>
#include <functional>
#include <mutex>
#include <system_error>
#include <utility>
#include <vector>

#include <sys/eventfd.h>
#include <unistd.h>

#include "proxy/base/unique_fd.hpp"

namespace gatehouse::server {

/// post() from any thread; the rest from the thread that waits.
class Mailbox {
 public:
  Mailbox() : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (!event_) throw std::system_error(errno, std::generic_category(), "eventfd() failed");
  }

  void post(std::function<void()> work) {
    {
      const std::lock_guard lock(mutex_);
      work_.push_back(std::move(work));
    }
    const std::uint64_t one = 1;
    (void)!::write(event_.get(), &one, sizeof one);  // fails only when it is readable already
  }

  /// Runs what was posted before the call.
  void run() {
    std::uint64_t count = 0;
    (void)!::read(event_.get(), &count, sizeof count);
    std::vector<std::function<void()>> work;
    {
      const std::lock_guard lock(mutex_);
      work.swap(work_);
    }
    for (auto& one : work) one();
  }

  [[nodiscard]] int fd() const noexcept { return event_.get(); }

 private:
  UniqueFd event_;
  std::mutex mutex_;
  std::vector<std::function<void()>> work_;
};

}  // namespace gatehouse::server
