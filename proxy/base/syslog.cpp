#include "proxy/base/syslog.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <ctime>
#include <iterator>
#include <stdexcept>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

namespace gatehouse {
namespace {

// RFC 3164 section 4.1.1, by nginx's names; "-" is a number without one.
constexpr std::array<std::string_view, 24> kFacilities = {"kern",   "user",   "mail",   "daemon", "auth",     "intern",
                                                          "lpr",    "news",   "uucp",   "clock",  "authpriv", "ftp",
                                                          "ntp",    "audit",  "alert",  "cron",   "local0",   "local1",
                                                          "local2", "local3", "local4", "local5", "local6",   "local7"};
constexpr std::array<std::string_view, 8> kSeverities = {"emerg", "alert",  "crit", "error",
                                                         "warn",  "notice", "info", "debug"};
constexpr std::size_t kLongestTag = 32;
constexpr std::size_t kLongestMessage = 16 * 1024;
constexpr std::uint16_t kPort = 514;

template <std::size_t N>
int number_of(const std::array<std::string_view, N>& names, std::string_view name, std::string_view what) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) throw std::runtime_error(fmt::format("unknown syslog {} \"{}\"", what, name));
  return static_cast<int>(found - names.begin());
}

SocketAddress resolve(const std::string& server) {
  if (server.starts_with("unix:")) return SocketAddress::unix_path(server.substr(5));
  std::string host = server;
  std::uint16_t port = kPort;
  const std::size_t colon = server.rfind(':');
  const std::size_t bracket = server.rfind(']');
  if (colon != std::string::npos && (bracket == std::string::npos ? server.find(':') == colon : colon > bracket)) {
    const std::string_view digits = std::string_view(server).substr(colon + 1);
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (read.ec != std::errc{} || read.ptr != digits.data() + digits.size() || port == 0) {
      throw std::runtime_error(fmt::format("invalid port in syslog server \"{}\"", server));
    }
    host = server.substr(0, colon);
  }
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  const int failed = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (failed != 0) {
    throw std::runtime_error(
        fmt::format("host not found in syslog server \"{}\" ({})", server, ::gai_strerror(failed)));
  }
  const auto address = SocketAddress::from_sockaddr(found->ai_addr, found->ai_addrlen);
  ::freeaddrinfo(found);
  if (!address) throw std::runtime_error(fmt::format("invalid syslog server \"{}\"", server));
  return *address;
}

}  // namespace

SyslogTarget parse_syslog(std::string_view text) {
  SyslogTarget target;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const std::string_view word = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    const std::string_view value = word.substr(std::min(word.find('=') + 1, word.size()));
    if (word.starts_with("server=")) {
      if (!target.server.empty()) throw std::runtime_error("duplicate syslog \"server\"");
      target.server = value;
    } else if (word.starts_with("facility=")) {
      target.facility = number_of(kFacilities, value, "facility");
    } else if (word.starts_with("severity=")) {
      target.severity = number_of(kSeverities, value, "severity");
    } else if (word.starts_with("tag=")) {
      const auto fits = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
      };
      if (value.size() > kLongestTag) throw std::runtime_error("syslog tag length exceeds 32");
      if (!std::all_of(value.begin(), value.end(), fits)) {
        throw std::runtime_error("syslog \"tag\" only allows alphanumeric characters and underscore");
      }
      target.tag = value;
    } else if (word == "nohostname") {
      target.hostname = false;
    } else {
      throw std::runtime_error(fmt::format("unknown syslog parameter \"{}\"", word));
    }
  }
  if (target.server.empty()) throw std::runtime_error("no syslog server specified");
  return target;
}

SyslogSender::SyslogSender(SyslogTarget target) : target_(std::move(target)), address_(resolve(target_.server)) {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) == 0) hostname_ = name.data();
}

SyslogSender::~SyslogSender() {
  if (const int socket = socket_.load(); socket >= 0) ::close(socket);
}

// -1: it can't be had now.
int SyslogSender::open_socket() const noexcept {
  sockaddr_storage storage{};
  const auto size = static_cast<socklen_t>(address_.to_sockaddr(storage));
  const int socket = ::socket(storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (socket < 0) return -1;
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&storage), size) == 0) return socket;
  ::close(socket);
  return -1;
}

int SyslogSender::connected() noexcept {
  const int socket = socket_.load(std::memory_order_acquire);
  if (socket >= 0) return socket;
  const std::lock_guard lock(mutex_);
  if (const int other = socket_.load(std::memory_order_acquire); other >= 0) return other;
  const int fresh = open_socket();
  if (fresh >= 0) socket_.store(fresh, std::memory_order_release);
  return fresh;
}

// A server of a unix socket that began anew has another socket under the same name. The old descriptor's number is reused for the
// new one, so that a thread which still holds the number sends to the new server.
void SyslogSender::disconnect(int socket) noexcept {
  const std::lock_guard lock(mutex_);
  if (socket_.load(std::memory_order_acquire) != socket) return;
  const int fresh = open_socket();
  if (fresh < 0) return;
  ::dup3(fresh, socket, O_CLOEXEC);
  ::close(fresh);
}

void SyslogSender::send_line(std::string_view line, int severity) noexcept {
  const int socket = connected();
  if (socket < 0) return;
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  std::array<char, 32> time{};
  const std::size_t time_size = std::strftime(time.data(), time.size(), "%b %e %H:%M:%S", &local);
  fmt::memory_buffer message;
  fmt::format_to(std::back_inserter(message), "<{}>{} {}{}{}: {}", target_.facility * 8 + severity,
                 std::string_view(time.data(), time_size), target_.hostname ? hostname_ : std::string(),
                 target_.hostname ? " " : "", target_.tag, line.substr(0, kLongestMessage));
  // One more try after an error that an earlier datagram left behind, or to a server that began anew.
  for (int i = 0; i < 2; ++i) {
    if (::send(socket, message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return;
    if (errno != ECONNREFUSED && errno != ENOTCONN && errno != ECONNRESET && errno != ENOENT) return;
    disconnect(socket);
  }
}

void SyslogSender::send(std::string_view lines, int severity) noexcept {
  while (!lines.empty()) {
    const std::size_t end = std::min(lines.find('\n'), lines.size());
    if (end > 0) send_line(lines.substr(0, end), severity < 0 ? target_.severity : severity);
    lines.remove_prefix(std::min(end + 1, lines.size()));
  }
}

}  // namespace gatehouse
