// How much of the WAF's pool one client may hold.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>

#include "proxy/base/address.hpp"

namespace gatehouse::exchange {

/// Counts a thread's evaluations that wait or run, by client: an IPv4 address or an IPv6 /64, since who has one address of it
/// has them all. Clients on Unix sockets are this machine's own and not counted. No locks: one thread's.
class ClientShares {
 private:
  using Key = std::array<std::uint8_t, 9>;  // address family and the address' first 8 bytes
  using Counts = std::map<Key, std::size_t>;

 public:
  /// Gives its place back when it goes; the shares must outlive it.
  class Lease {
   public:
    Lease() = default;
    Lease(Lease&& other) noexcept;
    Lease& operator=(Lease&&) = delete;
    ~Lease();
    /// False: the client has its share already.
    [[nodiscard]] explicit operator bool() const noexcept { return granted_; }

   private:
    friend class ClientShares;
    Counts* counts_ = nullptr;  // null: not counted
    Counts::iterator place_;
    bool granted_ = false;
  };

  /// `limit`: how many places one client may have.
  explicit ClientShares(std::size_t limit) noexcept : limit_(limit) {}

  [[nodiscard]] Lease take(const SocketAddress& client);
  [[nodiscard]] std::size_t clients() const noexcept { return counts_.size(); }

 private:
  std::size_t limit_;
  Counts counts_;
};

}  // namespace gatehouse::exchange
