// limit_conn, which http and stream have alike: places in a zone of their own side.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "proxy/config/setters.hpp"

namespace gatehouse::config {

/// How many connections of one key there may be.
struct ConnectionLimit {
  std::size_t zone = 0;  ///< index into the side's zones
  std::uint32_t most = 0;
};

/// Adds what `limit_conn ZONE NUMBER` says to `limits`, which its first use in a level empties. `zone`: index of the zone it
/// names among `zone_count`; the count itself if there is none, `remedy` says then what to do. Throws Invalid.
inline void add_connection_limit(const Use& use, std::vector<ConnectionLimit>& limits, std::size_t zone,
                                 std::size_t zone_count, std::string_view remedy) {
  if (zone == zone_count)
    throw Invalid{fmt::format("zero size shared memory zone \"{}\"", use[1]), 1, std::string(remedy)};
  const auto most = parse_number(use[2]);
  if (!most || *most == 0) throw Invalid{fmt::format("invalid number of connections \"{}\"", use[2]), 2, {}};
  if (*most > 65535) throw Invalid{"connection limit must be less 65536", 2, {}};
  if (use.first) limits.clear();
  if (std::ranges::find(limits, zone, &ConnectionLimit::zone) != limits.end()) refuse(use, 0, "is duplicate");
  limits.push_back({zone, static_cast<std::uint32_t>(*most)});
}

/// For the dump of a configuration.
inline std::string show_connection_limits(const std::vector<ConnectionLimit>& limits) {
  std::string text;
  for (const auto& limit : limits)
    text += fmt::format("{}zone={} {}", text.empty() ? "" : "; ", limit.zone, limit.most);
  return text;
}

}  // namespace gatehouse::config
