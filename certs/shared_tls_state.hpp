// TLS state that outlives a reload by name: session caches and the rotating ticket keys.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "certs/session_cache.hpp"
#include "certs/ticket_keys.hpp"

namespace gatehouse::certs {

/// One per process, older than every configuration. Any thread may use it; only loading does.
class SharedTlsState {
 public:
  explicit SharedTlsState(WallClock now = &std::chrono::system_clock::now);

  /// The process' rotating keys; every server without ticket key files uses them (session id contexts keep policies
  /// apart).
  [[nodiscard]] const std::shared_ptr<TicketKeys>& ticket_keys() const noexcept { return ticket_keys_; }

  /// The cache of that name, made on first use and resized to `capacity` otherwise.
  [[nodiscard]] std::shared_ptr<SessionCache> session_cache(std::string_view name, ByteCount capacity);

  /// The same for answers of OCSP responders, which have names of their own.
  [[nodiscard]] std::shared_ptr<SessionCache> ocsp_cache(std::string_view name, ByteCount capacity);

  /// Figures of every cache of sessions that some configuration still uses, by name.
  [[nodiscard]] std::map<std::string, SessionCache::Figures> cache_figures() const;

 private:
  std::shared_ptr<TicketKeys> ticket_keys_;
  mutable std::mutex mutex_;
  using Caches = std::map<std::string, std::weak_ptr<SessionCache>, std::less<>>;
  std::shared_ptr<SessionCache> cache_of(Caches& caches, std::string_view name, ByteCount capacity);

  Caches caches_;
  Caches ocsp_caches_;
};

}  // namespace gatehouse::certs
