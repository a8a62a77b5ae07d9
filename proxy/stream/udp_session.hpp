// The datagrams of one client and their answers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/io/stream.hpp"
#include "proxy/io/task.hpp"
#include "proxy/stream/registry.hpp"
#include "proxy/stream/session.hpp"
#include "proxy/stream/udp_listener.hpp"
#include "proxy/stream/upstream_choice.hpp"

namespace gatehouse::stream {

/// One client's datagrams to one listener, and the upstream that answers them. Owned by its coroutine, and by the table
/// that datagrams find it in.
class UdpSession final : public Registered {
 public:
  /// Datagrams that wait while the upstream is being found; more are dropped.
  static constexpr std::size_t kMostWaiting = 16;

  UdpSession(StreamThread& owner, std::size_t listener, exchange::ConnectionInfo info,
             std::shared_ptr<UdpSocket> socket, const std::shared_ptr<UdpSessions>& table,
             std::optional<SocketAddress> answer_from);

  /// A datagram of the client; the bytes are borrowed for the call.
  void take(std::string_view bytes);
  /// Runs the session to its end.
  [[nodiscard]] static io::Task<void> serve(std::shared_ptr<UdpSession> self);
  void cancel() override;

 private:
  enum class Outcome : std::uint8_t { done, failed, try_next };

  io::Task<int> content();
  io::Task<int> proxy();
  [[nodiscard]] bool connect(UpstreamChoice& choice);
  io::Task<Outcome> exchange_datagrams();
  [[nodiscard]] std::optional<Outcome> receive_answers();
  [[nodiscard]] std::optional<Outcome> on_silence();
  void send_waiting();
  void send_up(std::string_view bytes);
  [[nodiscard]] bool is_complete();
  void leave_table();
  void log_end(std::string_view how) const;

  StreamThread& owner_;
  Session session_;
  std::shared_ptr<UdpSocket> socket_;
  std::weak_ptr<UdpSessions> table_;
  std::optional<SocketAddress> answer_from_;  ///< on a wildcard socket
  UdpKey key_;
  bool in_table_ = true;

  io::Stream upstream_;
  bool connected_ = false;
  bool stopping_ = false;  ///< complete, or cancelled
  std::vector<std::string> waiting_;
  std::uint64_t requests_ = 0;   ///< datagrams of the client
  std::uint64_t responses_ = 0;  ///< datagrams for the client
  TimePoint last_moved_{};
  TimePoint connected_at_{};
};

}  // namespace gatehouse::stream
