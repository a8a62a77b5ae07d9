// A DNS server on loopback, in a thread of the test: answers over UDP and TCP as a function of the question.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/address.hpp"

namespace gatehouse::upstream {

enum class RecordType : std::uint16_t { a = 1, cname = 5, aaaa = 28 };

struct Record {
  std::string owner;
  RecordType type;
  std::uint32_t ttl;
  std::string text;  ///< an address, or the alias' target
};

struct DnsQuestion {
  std::string name;
  RecordType type;
  bool over_tcp;
};

struct DnsReply {
  enum class Kind : std::uint8_t { answer, silence, truncated };
  std::vector<Record> records;
  int code = 0;  ///< RCODE: 2 SERVFAIL, 3 NXDOMAIN
  Kind kind = Kind::answer;
};

class DnsServer {
 public:
  using Zone = std::function<DnsReply(const DnsQuestion&)>;  // called on the server's thread

  explicit DnsServer(Zone zone) : zone_(std::move(zone)) {
    open();
    thread_ = std::thread([this] { serve(); });
  }
  ~DnsServer() {
    stopping_ = true;
    [[maybe_unused]] const auto n = ::write(stop_[1], "x", 1);
    thread_.join();
    for (const int fd : {udp_, tcp_, stop_[0], stop_[1]}) ::close(fd);
  }
  DnsServer(const DnsServer&) = delete;
  DnsServer& operator=(const DnsServer&) = delete;

  [[nodiscard]] SocketAddress address() const { return SocketAddress::ipv4({127, 0, 0, 1}, port_); }
  [[nodiscard]] int questions() const { return questions_; }

 private:
  static void check(bool fine, const char* what) {
    if (!fine) throw std::system_error(errno, std::generic_category(), what);
  }

  // UDP and TCP on one port that is free for both.
  void open() {
    for (int attempt = 0;; ++attempt) {
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      socklen_t size = sizeof address;
      udp_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
      tcp_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      check(::bind(udp_, reinterpret_cast<sockaddr*>(&address), size) == 0, "bind");
      check(::getsockname(udp_, reinterpret_cast<sockaddr*>(&address), &size) == 0, "getsockname");
      port_ = ntohs(address.sin_port);
      if (::bind(tcp_, reinterpret_cast<sockaddr*>(&address), size) == 0) break;
      check(attempt < 20, "bind of TCP on UDP's port");
      ::close(udp_);
      ::close(tcp_);
    }
    check(::listen(tcp_, 16) == 0, "listen");
    check(::pipe(stop_.data()) == 0, "pipe");
  }

  void serve() {
    while (!stopping_) {
      std::array<pollfd, 3> fds{pollfd{udp_, POLLIN, 0}, pollfd{tcp_, POLLIN, 0}, pollfd{stop_[0], POLLIN, 0}};
      if (::poll(fds.data(), fds.size(), -1) < 0) continue;
      if (fds[0].revents != 0) serve_datagram();
      if (fds[1].revents != 0) serve_connection();
    }
  }

  void serve_datagram() {
    std::array<char, 2048> bytes;
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    const ssize_t n = ::recvfrom(udp_, bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (n < 12) return;
    const std::string reply = answer({bytes.data(), static_cast<std::size_t>(n)}, false);
    if (!reply.empty()) ::sendto(udp_, reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
  }

  // One question per connection; its answer comes in three pieces, each a segment of its own.
  void serve_connection() {
    const int fd = ::accept(tcp_, nullptr, nullptr);
    if (fd < 0) return;
    const timeval limit{.tv_sec = 5, .tv_usec = 0};
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    std::string question;
    std::array<char, 512> bytes;
    for (;;) {
      const ssize_t n = ::recv(fd, bytes.data(), bytes.size(), 0);
      if (n <= 0) break;
      question.append(bytes.data(), static_cast<std::size_t>(n));
      if (question.size() < 2) continue;
      const std::size_t wanted = static_cast<std::size_t>(static_cast<unsigned char>(question[0])) * 256 +
                                 static_cast<unsigned char>(question[1]);
      if (question.size() < 2 + wanted) continue;
      const std::string reply = answer(std::string_view(question).substr(2), true);
      std::string framed;
      put16(framed, reply.size());
      framed += reply;
      for (const std::string_view piece :
           {std::string_view(framed).substr(0, 1), std::string_view(framed).substr(1, 40),
            std::string_view(framed).substr(41)}) {
        ::send(fd, piece.data(), piece.size(), MSG_NOSIGNAL);
      }
      break;
    }
    ::close(fd);
  }

  static void put16(std::string& out, std::size_t value) {
    out += static_cast<char>(value >> 8 & 255);
    out += static_cast<char>(value & 255);
  }
  static void put_name(std::string& out, std::string_view name) {
    while (!name.empty()) {
      const std::string_view label = name.substr(0, name.find('.'));
      out += static_cast<char>(label.size());
      out += label;
      name.remove_prefix(std::min(label.size() + 1, name.size()));
    }
    out += '\0';
  }
  static void put_record(std::string& out, const Record& record) {
    put_name(out, record.owner);
    put16(out, static_cast<std::size_t>(record.type));
    put16(out, 1);
    put16(out, record.ttl >> 16);
    put16(out, record.ttl & 0xffff);
    std::string value;
    if (record.type == RecordType::cname) {
      put_name(value, record.text);
    } else {
      std::array<char, 16> address{};
      const bool v4 = record.type == RecordType::a;
      ::inet_pton(v4 ? AF_INET : AF_INET6, record.text.c_str(), address.data());
      value.assign(address.data(), v4 ? 4 : 16);
    }
    put16(out, value.size());
    out += value;
  }

  std::string answer(std::string_view question, bool over_tcp) {
    std::size_t at = 12;
    std::string name;
    while (at < question.size() && question[at] != 0) {
      if (!name.empty()) name += '.';
      const auto length = static_cast<std::size_t>(question[at]);
      name += question.substr(at + 1, length);
      at += 1 + length;
    }
    if (at + 5 > question.size()) return {};
    const auto type = static_cast<RecordType>(static_cast<unsigned char>(question[at + 2]));
    ++questions_;
    const DnsReply reply = zone_({name, type, over_tcp});
    if (reply.kind == DnsReply::Kind::silence) return {};
    const bool truncated = reply.kind == DnsReply::Kind::truncated;
    std::string out(question.substr(0, 2));
    out += static_cast<char>(truncated ? 0x83 : 0x81);
    out += static_cast<char>(0x80 | reply.code);
    put16(out, 1);
    put16(out, truncated ? 0 : reply.records.size());
    put16(out, 0);
    put16(out, 0);
    out += question.substr(12, at + 5 - 12);
    if (!truncated) {
      for (const Record& record : reply.records) put_record(out, record);
    }
    return out;
  }

  Zone zone_;
  int udp_ = -1, tcp_ = -1;
  std::array<int, 2> stop_{-1, -1};
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_{false};
  std::atomic<int> questions_{0};
  std::thread thread_;
};

}  // namespace gatehouse::upstream
