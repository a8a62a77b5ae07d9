// Keeps the OCSP staples of a configuration fresh, on a thread of its own: asking a responder blocks.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "certs/stapling.hpp"
#include "proxy/base/log.hpp"

namespace gatehouse::exchange {

/// One per worker process. The thread runs from the first staples on. Destruction waits for the question that is being asked, for
/// 10 seconds at most.
class StapleRefresher {
 public:
  StapleRefresher() = default;
  ~StapleRefresher();
  StapleRefresher(const StapleRefresher&) = delete;
  StapleRefresher& operator=(const StapleRefresher&) = delete;

  /// From now on these staples are kept fresh, and no others; failures go to `log` at [error]. The loader's thread.
  void keep(std::vector<std::shared_ptr<certs::FetchedStaple>> staples, std::shared_ptr<const ErrorLog> log);

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::shared_ptr<certs::FetchedStaple>> staples_;
  std::shared_ptr<const ErrorLog> log_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace gatehouse::exchange
