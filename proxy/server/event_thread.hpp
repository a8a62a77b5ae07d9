// One event thread of the worker process: its reactor, its listening sockets, its connections.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "proxy/base/address.hpp"
#include "proxy/exchange/generation.hpp"
#include "proxy/exchange/metrics.hpp"
#include "proxy/exchange/waf_service.hpp"
#include "proxy/stream/generation.hpp"
#include "proxy/stream/metrics.hpp"

namespace gatehouse::server {

/// A listening socket that a thread accepts on. The descriptor belongs to the process and stays open as long as the supervisor has it.
struct ListeningSocket {
  SocketAddress address;  ///< as configured: the key of Generation::listener_by_address
  int fd = -1;
  bool udp = false;
};

/// A configuration ready to serve: what http and stream each made of it.
struct Served {
  std::shared_ptr<const exchange::Generation> http;
  std::shared_ptr<const stream::Generation> stream;
};

/// Runs one reactor on its own thread. The methods may be called from any thread; they take effect on the thread's own loop.
class EventThread {
 public:
  EventThread(std::uint32_t index, exchange::WafService& waf, std::uint32_t connection_limit);
  ~EventThread();
  EventThread(const EventThread&) = delete;
  EventThread& operator=(const EventThread&) = delete;

  /// Starts the thread and accepts on `sockets`, serving `generation`.
  void start(Served generation, std::vector<ListeningSocket> sockets);

  /// Serves `generation` from the next request on, and accepts on exactly `sockets` (a socket that is in both lists is not disturbed).
  /// `done` is called on the event thread once it has taken effect.
  void apply(Served generation, std::vector<ListeningSocket> sockets, std::function<void()> done);

  /// Stops accepting, closes idle connections, lets requests finish (`Connection: close`). `empty` is called on the event thread once no
  /// connection is left.
  void drain(std::function<void()> empty);
  /// Cancels what is left and ends the loop; join() returns soon after.
  void stop();
  void join();

  /// For the scrape: counters that this thread writes.
  [[nodiscard]] const exchange::ThreadMetrics& metrics() const noexcept;
  [[nodiscard]] const stream::ThreadMetrics& stream_metrics() const noexcept;
  /// Open downstream connections; idle ones among them.
  [[nodiscard]] std::uint64_t connections() const noexcept;
  [[nodiscard]] std::uint64_t idle_connections() const noexcept;
  /// State of every upstream peer as text for the metrics: taken on the event thread, given to `result` there.
  struct PeerFigure {
    std::string upstream, peer;
    bool up = true;
    std::uint32_t active = 0;
    std::uint32_t fails = 0;
  };
  void collect_peers(std::function<void(std::vector<PeerFigure>, std::uint64_t idle_upstream_connections)> result);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gatehouse::server
