// What the supervisor and its worker tell each other, with sockets along: framed messages over a pair of Unix sockets.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/base/unique_fd.hpp"

namespace gatehouse::server {

enum class ControlKind : std::uint8_t {
  // supervisor -> worker
  reload,   ///< read the configuration again; the new listening sockets come along
  refused,  ///< a reload failed before it came to the worker: counted in its metrics
  drain,    ///< finish what runs and end; text "replaced" when another worker takes over
  stop,     ///< end now
  reopen,   ///< open the log files anew
  // worker -> supervisor
  ready,   ///< serves what it was started with, or the reload of this number
  failed,  ///< could not; the text has one reason a line
};
inline constexpr std::uint8_t kControlKinds = 7;

struct ControlMessage {
  ControlKind kind = ControlKind::stop;
  std::uint32_t number = 0;  ///< of the reload
  std::string text{};
  std::vector<UniqueFd> descriptors{};
};

/// One end of the pair. Both ends are processes of this program version; a message that can't be understood closes the
/// end all the same. Single-threaded. Any length of text and any number of descriptors: they are sent in as many
/// packets as it takes.
class ControlChannel {
 public:
  ControlChannel() = default;
  explicit ControlChannel(UniqueFd socket) noexcept : socket_(std::move(socket)) {}

  /// Two connected ends, closed on exec. Throws std::system_error.
  [[nodiscard]] static std::pair<ControlChannel, ControlChannel> pair();

  /// Sends a message; blocks at most 5 s a packet. False when the other end is gone or doesn't read.
  bool send(ControlKind kind, std::uint32_t number = 0, std::string_view text = {},
            std::span<const int> descriptors = {});

  /// The next whole message, without blocking; nothing when there is none (yet), and then closed() tells whether one
  /// may still come.
  [[nodiscard]] std::optional<ControlMessage> receive();
  [[nodiscard]] bool closed() const noexcept { return !socket_; }

  /// To wait for readability; -1 when closed.
  [[nodiscard]] int fd() const noexcept { return socket_.get(); }
  void close() noexcept { socket_.reset(); }

 private:
  bool send_packet(std::string_view bytes, std::span<const int> descriptors);
  /// False when there is none now, or none any more.
  bool receive_packet(bool& last);

  UniqueFd socket_;
  ControlMessage incoming_;
};

}  // namespace gatehouse::server
