// The idle connections to a cluster's peers: which one is reused, which one is closed. No socket in here.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "proxy/base/address.hpp"
#include "proxy/base/units.hpp"
#include "proxy/upstream/keepalive.hpp"

namespace gatehouse::upstream {

/// What makes two connections interchangeable.
struct PoolKey {
  SocketAddress address;
  /// Everything else that must be equal: TLS settings and server name, bind address, PROXY protocol; 0 for plain.
  std::uint64_t identity = 0;

  friend bool operator==(const PoolKey&, const PoolKey&) = default;
  [[nodiscard]] std::size_t hash() const noexcept { return address.hash() ^ (identity * 0x9e3779b97f4a7c15U); }
};

/// Idle connections of one cluster on one event thread. Connection is the I/O layer's handle: movable, owning.
/// take() gives the connection of a key that was used last; a full pool closes the one used least recently. Every call
/// is O(1) apart from growth (never after the pool was full once) and hash collisions. The pool closes nothing by
/// itself: what must go is handed back to the caller.
template <class Connection>
class IdlePool {
 public:
  /// Names one stay of a connection in the pool; stale once the connection left. For the handler of an idle
  /// connection's events.
  struct Ticket {
    std::uint32_t slot = 0;
    std::uint32_t stay = 0;
  };

  /// A connection on its way out for reuse, with the life it had.
  struct Taken {
    Connection connection;
    ConnectionUsage usage;
  };

  /// The outcome of put().
  struct Put {
    std::optional<Ticket> ticket;        ///< nullopt: the connection wasn't kept
    std::optional<Connection> to_close;  ///< the evicted one, or the one that wasn't kept
  };

  explicit IdlePool(const KeepaliveSpec& spec) : spec_(spec) {}

  /// The most recently used connection of `key` that is not over its idle time.
  [[nodiscard]] std::optional<Taken> take(const PoolKey& key, TimePoint now) {
    if (size_ == 0) return std::nullopt;
    const std::size_t hash = key.hash();
    for (std::uint32_t i = buckets_[bucket(hash)]; i != kNone; i = slots_[i].older_in_bucket) {
      const Slot& slot = slots_[i];
      if (slot.hash != hash || !(slot.key == key)) continue;
      if (now - slot.since >= spec_.timeout) return std::nullopt;  // the others of this key are older still
      const ConnectionUsage usage = slot.usage;
      return Taken{remove_slot(i), usage};
    }
    return std::nullopt;
  }

  /// Keeps a connection that may_keep() allowed.
  [[nodiscard]] Put put(PoolKey key, Connection connection, const ConnectionUsage& usage, TimePoint now) {
    if (spec_.connections == 0) return {std::nullopt, std::move(connection)};
    Put result;
    if (size_ >= spec_.connections) result.to_close = remove_slot(oldest_);
    const std::uint32_t i = free_slot();
    Slot& slot = slots_[i];
    slot.hash = key.hash();
    slot.key = std::move(key);
    slot.connection.emplace(std::move(connection));
    slot.usage = usage;
    slot.since = now;
    link(i);
    result.ticket = Ticket{i, slot.stay};
    return result;
  }

  /// Takes out the connection of a ticket, because it became readable or failed; nullopt if it left the pool before.
  [[nodiscard]] std::optional<Connection> remove(Ticket ticket) {
    if (ticket.slot >= slots_.size()) return std::nullopt;
    const Slot& slot = slots_[ticket.slot];
    if (!slot.connection || slot.stay != ticket.stay) return std::nullopt;
    return remove_slot(ticket.slot);
  }

  /// Hands every connection that is over its idle time to `close(Connection)`, the oldest first.
  template <class Close>
  void expire(TimePoint now, Close&& close) {
    while (oldest_ != kNone && now - slots_[oldest_].since >= spec_.timeout) close(remove_slot(oldest_));
  }

  /// When expire() has work next; nullopt while the pool is empty.
  [[nodiscard]] std::optional<TimePoint> next_expiry() const {
    if (oldest_ == kNone) return std::nullopt;
    return slots_[oldest_].since + spec_.timeout;
  }

  /// Hands the connections whose key `gone(const PoolKey&)` holds for to `close(Connection)`: a peer was removed, TLS
  /// settings changed.
  template <class Gone, class Close>
  void remove_if(Gone&& gone, Close&& close) {
    for (std::uint32_t i = oldest_; i != kNone;) {
      const std::uint32_t next = slots_[i].newer;
      if (gone(std::as_const(slots_[i].key))) close(remove_slot(i));
      i = next;
    }
  }

  /// Hands the connections that `gone(const Connection&)` holds for to `close(Connection)`: those that the peer closed.
  template <class Gone, class Close>
  void remove_closed(Gone&& gone, Close&& close) {
    for (std::uint32_t i = oldest_; i != kNone;) {
      const std::uint32_t next = slots_[i].newer;
      if (gone(std::as_const(*slots_[i].connection))) close(remove_slot(i));
      i = next;
    }
  }

  /// Takes other limits (reload); what is over a smaller cap goes to `close(Connection)`, the least recently used
  /// first.
  template <class Close>
  void reconfigure(const KeepaliveSpec& spec, Close&& close) {
    spec_ = spec;
    while (size_ > spec_.connections) close(remove_slot(oldest_));
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] const KeepaliveSpec& spec() const noexcept { return spec_; }

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;

  struct Slot {
    std::size_t hash = 0;
    PoolKey key;
    std::optional<Connection> connection;
    ConnectionUsage usage;
    TimePoint since{};
    std::uint32_t stay = 0;       ///< how many connections left this slot
    std::uint32_t older = kNone;  ///< all connections, by last use
    std::uint32_t newer = kNone;  ///< in a free slot: the next free one
    std::uint32_t older_in_bucket = kNone;
    std::uint32_t newer_in_bucket = kNone;
  };

  [[nodiscard]] std::size_t bucket(std::size_t hash) const noexcept { return hash & (buckets_.size() - 1); }

  [[nodiscard]] std::uint32_t free_slot() {
    if (free_ != kNone) return std::exchange(free_, slots_[free_].newer);
    slots_.emplace_back();
    if (slots_.size() > buckets_.size()) grow_buckets();
    return static_cast<std::uint32_t>(slots_.size() - 1);
  }

  // Re-inserts from the oldest to the newest, so that each bucket keeps its order of use.
  void grow_buckets() {
    buckets_.assign(std::max<std::size_t>(8, std::bit_ceil(slots_.size() * 2)), kNone);
    for (std::uint32_t i = oldest_; i != kNone; i = slots_[i].newer) link_bucket(i);
  }

  void link_bucket(std::uint32_t i) {
    std::uint32_t& head = buckets_[bucket(slots_[i].hash)];
    slots_[i].older_in_bucket = head;
    slots_[i].newer_in_bucket = kNone;
    if (head != kNone) slots_[head].newer_in_bucket = i;
    head = i;
  }

  void link(std::uint32_t i) {
    Slot& slot = slots_[i];
    slot.older = newest_;
    slot.newer = kNone;
    (newest_ == kNone ? oldest_ : slots_[newest_].newer) = i;
    newest_ = i;
    link_bucket(i);
    ++size_;
  }

  void unlink(std::uint32_t i) {
    Slot& slot = slots_[i];
    (slot.older == kNone ? oldest_ : slots_[slot.older].newer) = slot.newer;
    (slot.newer == kNone ? newest_ : slots_[slot.newer].older) = slot.older;
    if (slot.older_in_bucket != kNone) slots_[slot.older_in_bucket].newer_in_bucket = slot.newer_in_bucket;
    (slot.newer_in_bucket == kNone ? buckets_[bucket(slot.hash)] : slots_[slot.newer_in_bucket].older_in_bucket) =
        slot.older_in_bucket;
    slot.connection.reset();
    ++slot.stay;
    slot.newer = free_;
    free_ = i;
    --size_;
  }

  // Only for a linked slot: those, and only those, hold a connection.
  [[nodiscard]] Connection remove_slot(std::uint32_t i) {
    Connection connection(std::move(*slots_[i].connection));  // NOLINT(bugprone-unchecked-optional-access)
    unlink(i);
    return connection;
  }

  KeepaliveSpec spec_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> buckets_;  ///< newest slot of each bucket; a power of two
  std::size_t size_ = 0;
  std::uint32_t oldest_ = kNone;
  std::uint32_t newest_ = kNone;
  std::uint32_t free_ = kNone;
};

}  // namespace gatehouse::upstream
