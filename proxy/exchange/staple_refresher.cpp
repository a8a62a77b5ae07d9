#include "proxy/exchange/staple_refresher.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <pthread.h>

namespace gatehouse::exchange {
namespace {

constexpr std::chrono::seconds kTimeout{10};

}  // namespace

StapleRefresher::~StapleRefresher() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void StapleRefresher::keep(std::vector<std::shared_ptr<certs::FetchedStaple>> staples,
                           std::shared_ptr<const ErrorLog> log) {
  const bool any = !staples.empty();
  {
    const std::lock_guard lock(mutex_);
    staples_ = std::move(staples);
    log_ = std::move(log);
  }
  changed_.notify_one();
  if (!any || thread_.joinable()) return;
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "gh-staples");
    run();
  });
}

void StapleRefresher::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const auto next = std::ranges::min_element(
        staples_, {}, [](const std::shared_ptr<certs::FetchedStaple>& staple) { return staple->due(); });
    if (next == staples_.end()) {
      changed_.wait(lock);
      continue;
    }
    const auto staple = *next;
    const auto log = log_;
    if (const auto due = staple->due(); due > std::chrono::system_clock::now()) {
      changed_.wait_until(lock, due);
      continue;
    }
    lock.unlock();
    if (const auto failure = staple->refresh(std::chrono::system_clock::now(), kTimeout)) {
      log->log(LogLevel::error, 0, "{}", *failure);
    }
    lock.lock();
  }
}

}  // namespace gatehouse::exchange
