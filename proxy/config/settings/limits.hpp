// Settings of limit_req and limit_conn (nginx's modules of the same names).
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "proxy/config/connection_limits.hpp"
#include "proxy/config/setters.hpp"

namespace gatehouse::config {

struct LimitSettings {
  /// Thousandths of requests, nginx's unit of excess.
  static constexpr std::uint64_t kNoDelay = std::numeric_limits<std::uint64_t>::max();
  struct Requests {
    std::size_t zone = 0;     ///< index into Http::request_zones
    std::uint64_t burst = 0;  ///< more excess than this is refused
    std::uint64_t delay = 0;  ///< excess beyond it waits; kNoDelay: none waits
  };
  std::vector<Requests> limit_req;
  int limit_req_status = 503;
  LogLevel limit_req_log_level = LogLevel::error;
  bool limit_req_dry_run = false;
  std::vector<ConnectionLimit> limit_conn;  ///< in Http::connection_zones
  int limit_conn_status = 503;
  LogLevel limit_conn_log_level = LogLevel::error;
  bool limit_conn_dry_run = false;
};

template <>
struct GroupOf<LimitSettings> {
  static constexpr auto member = &LocationSettings::limits;
};

}  // namespace gatehouse::config
