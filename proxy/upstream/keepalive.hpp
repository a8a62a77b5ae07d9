// The `keepalive*` directives of an `upstream` block, and which connections they allow to be kept.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "proxy/base/units.hpp"

namespace gatehouse::upstream {

/// How idle connections to a cluster are kept, per event thread. An implicit cluster gets the defaults (nginx keeps
/// none there).
struct KeepaliveSpec {
  std::size_t connections = 32;               ///< `keepalive`: idle ones kept; 0 turns reuse off
  std::uint64_t requests = 1000;              ///< `keepalive_requests`: a connection's last request
  Milliseconds time = std::chrono::hours(1);  ///< `keepalive_time`: a connection's age at which it's not kept again
  Milliseconds timeout = std::chrono::seconds(60);  ///< `keepalive_timeout`: how long one may be idle

  friend bool operator==(const KeepaliveSpec&, const KeepaliveSpec&) = default;
};

/// The life of a connection so far.
struct ConnectionUsage {
  std::uint64_t requests = 0;  ///< sent on it, the last one included
  TimePoint opened{};
};

/// How an exchange left its upstream connection. The defaults are those of a connection that must be closed.
struct ConnectionEnd {
  bool request_sent_whole = false;
  bool response_read_whole = false;
  bool response_allows_reuse = false;  ///< HTTP/1.1 without `Connection: close`, or 1.0 with keep-alive; no Upgrade
  bool unread_bytes = true;            ///< bytes after the response: never asked for, so never trusted
  bool stopping = true;                ///< this process, or the cluster, is going away
};

/// Whether a connection may be kept for another request.
[[nodiscard]] constexpr bool may_keep(const KeepaliveSpec& spec, const ConnectionUsage& usage, const ConnectionEnd& end,
                                      TimePoint now) noexcept {
  return spec.connections != 0 && end.request_sent_whole && end.response_read_whole && end.response_allows_reuse &&
         !end.unread_bytes && !end.stopping && usage.requests < spec.requests && now - usage.opened <= spec.time;
}

}  // namespace gatehouse::upstream
