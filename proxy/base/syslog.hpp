// A syslog server as the target of a log (nginx's `syslog:` prefix): one datagram a line, in RFC 3164's format.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <string_view>

#include "proxy/base/address.hpp"

namespace gatehouse {

/// What `syslog:server=ADDRESS[,facility=F][,severity=S][,tag=T][,nohostname]` says; the defaults are nginx's.
struct SyslogTarget {
  std::string server;  ///< as written: "10.0.0.1:514", "logs.example.com", "unix:/dev/log"
  int facility = 23;   ///< local7
  int severity = 6;    ///< info; of access log lines
  std::string tag = "nginx";
  bool hostname = true;  ///< the machine's name stands in each line
};

/// Reads what follows "syslog:". Throws std::runtime_error with nginx's message.
[[nodiscard]] SyslogTarget parse_syslog(std::string_view text);

/// Sends lines to one server, and never waits: what the kernel does not take at once is lost, as datagrams are. Any thread.
class SyslogSender {
 public:
  /// Resolves the server's name, which may take a while. Throws std::runtime_error.
  explicit SyslogSender(SyslogTarget target);
  ~SyslogSender();
  SyslogSender(const SyslogSender&) = delete;
  SyslogSender& operator=(const SyslogSender&) = delete;

  /// Each line of `lines` (they end in '\n') with `severity`, or else the target's own (-1).
  void send(std::string_view lines, int severity = -1) noexcept;

 private:
  void send_line(std::string_view line, int severity) noexcept;
  [[nodiscard]] int open_socket() const noexcept;
  [[nodiscard]] int connected() noexcept;
  void disconnect(int socket) noexcept;

  const SyslogTarget target_;
  std::string hostname_;
  SocketAddress address_;
  std::mutex mutex_;
  std::atomic<int> socket_{-1};
};

}  // namespace gatehouse
