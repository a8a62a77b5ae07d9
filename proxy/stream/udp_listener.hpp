// A UDP socket that clients send to: every datagram finds its client's session, or begins one.
#pragma once

#include <memory>
#include <unordered_map>

#include "proxy/base/address.hpp"
#include "proxy/io/reactor.hpp"
#include "proxy/stream/datagrams.hpp"

namespace gatehouse::stream {

class StreamThread;
class UdpSession;

/// Who speaks with whom: a client's address, and on a wildcard socket the address it chose.
struct UdpKey {
  SocketAddress client;
  SocketAddress local;
  friend bool operator==(const UdpKey&, const UdpKey&) = default;
};
struct UdpKeyHash {
  std::size_t operator()(const UdpKey& key) const noexcept { return key.client.hash() * 31 ^ key.local.hash(); }
};
/// The sessions that datagrams are given to. Outlives the listener while sessions last.
using UdpSessions = std::unordered_map<UdpKey, std::shared_ptr<UdpSession>, UdpKeyHash>;

class UdpListener {
 public:
  /// Takes `fd`, a duplicate of `source_fd`.
  UdpListener(StreamThread& owner, SocketAddress address, int fd, int source_fd);
  UdpListener(const UdpListener&) = delete;
  UdpListener& operator=(const UdpListener&) = delete;

  [[nodiscard]] const SocketAddress& address() const noexcept { return address_; }
  [[nodiscard]] int source_fd() const noexcept { return source_fd_; }

 private:
  struct Watch : io::Operation {
    explicit Watch(UdpListener& listener_) noexcept
        : Operation([](Operation& self) { return static_cast<Watch&>(self).listener.receive_some(); }),
          listener(listener_) {}
    UdpListener& listener;
  };
  struct Again : io::Timer {
    explicit Again(UdpListener& listener_) noexcept
        : Timer([](Timer& timer) { (void)static_cast<Again&>(timer).listener.receive_some(); }), listener(listener_) {}
    UdpListener& listener;
  };
  /// Always false: it watches for ever.
  bool receive_some();
  void take(const SocketAddress& client, const SocketAddress& local, std::string_view bytes);

  StreamThread& owner_;
  SocketAddress address_;
  bool wildcard_ = false;
  int source_fd_;
  std::shared_ptr<UdpSocket> socket_;
  std::shared_ptr<UdpSessions> sessions_ = std::make_shared<UdpSessions>();
  io::Descriptor descriptor_;
  Watch watch_{*this};
  Again again_{*this};
};

}  // namespace gatehouse::stream
