// The stream block on one event thread: its clusters, its sessions, its UDP sockets.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "proxy/exchange/thread_state.hpp"
#include "proxy/io/socket.hpp"
#include "proxy/stream/generation.hpp"
#include "proxy/stream/metrics.hpp"
#include "proxy/stream/registry.hpp"
#include "proxy/stream/session.hpp"
#include "proxy/stream/udp_listener.hpp"

namespace gatehouse::stream {

/// One thread's. What may be called from other threads says so.
class StreamThread {
 public:
  /// What the event thread does for it.
  struct Hooks {
    std::function<bool()> make_room;                           ///< whether another connection may be opened
    std::function<std::uint64_t()> next_number;                ///< of connections
    std::function<bool(const SocketAddress&)> knows_listener;  ///< of TCP, http's or stream's
    std::function<void(const SocketAddress&, io::Socket, exchange::ConnectionInfo)> hand_over;  ///< to such a listener
  };
  StreamThread(exchange::ThreadState& thread, Hooks hooks) : thread_(thread), hooks_(std::move(hooks)) {}
  ~StreamThread();
  StreamThread(const StreamThread&) = delete;
  StreamThread& operator=(const StreamThread&) = delete;

  /// New sessions run under `generation`; clusters are kept by name.
  void use(std::shared_ptr<const Generation> generation);
  /// Reads datagrams on exactly these sockets, duplicates of the descriptors; one that is known already goes on undisturbed.
  struct UdpSource {
    SocketAddress address;
    int fd = -1;
  };
  void read_on(const std::vector<UdpSource>& sources);

  /// The listener of TCP connections at that address.
  [[nodiscard]] std::optional<std::size_t> find_listener(const SocketAddress& address) const;
  /// Begins the session of a connection that was accepted on a listener.
  void serve(io::Socket socket, std::size_t listener, exchange::ConnectionInfo info);

  /// Names to look up. About once a second.
  void look_after();
  void cancel_all() { registry_.cancel_all(); }
  /// Any thread.
  [[nodiscard]] std::uint64_t open() const noexcept { return registry_.open(); }
  [[nodiscard]] const ThreadMetrics& metrics() const noexcept { return metrics_; }

  // For sessions:
  [[nodiscard]] exchange::ThreadState& thread() noexcept { return thread_; }
  [[nodiscard]] const std::shared_ptr<const ThreadGeneration>& generation() const noexcept { return generation_; }
  [[nodiscard]] Registry& registry() noexcept { return registry_; }
  [[nodiscard]] bool make_room() { return hooks_.make_room(); }
  [[nodiscard]] std::uint64_t next_number() { return hooks_.next_number(); }
  [[nodiscard]] bool knows_listener(const SocketAddress& address) const { return hooks_.knows_listener(address); }
  void hand_over(const SocketAddress& address, io::Socket socket, exchange::ConnectionInfo info) {
    hooks_.hand_over(address, std::move(socket), std::move(info));
  }
  [[nodiscard]] DatagramBatch& batch();

 private:
  exchange::ThreadState& thread_;
  Hooks hooks_;
  std::shared_ptr<const ThreadGeneration> generation_;
  Registry registry_;
  ThreadMetrics metrics_;
  std::unique_ptr<DatagramBatch> batch_;  ///< made for the first datagram
  std::vector<std::unique_ptr<UdpListener>> udp_;
};

}  // namespace gatehouse::stream
