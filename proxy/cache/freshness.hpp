// Whether a response may be stored and for how long, as nginx judges it. Pure: no clock, no disk.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "proxy/http/fields.hpp"

namespace gatehouse::cache {

/// Seconds since the epoch.
using Seconds = std::int64_t;

/// Which fields of an upstream's response have no say (proxy_ignore_headers).
struct IgnoredFields {
  bool accel_expires = false;
  bool expires = false;
  bool cache_control = false;
  bool set_cookie = false;
  bool vary = false;
};

/// Longest value of Vary that is followed; a longer one can't be stored, as in nginx.
inline constexpr std::size_t kLongestVary = 128;

/// What a response's own fields say about storing it.
struct Freshness {
  bool storable = true;
  Seconds valid_until = 0;           ///< 0: the fields do not say, proxy_cache_valid decides
  Seconds stale_while_updating = 0;  ///< seconds behind valid_until in which it may serve while it is fetched anew
  Seconds stale_if_error = 0;        ///< the same while the upstream fails
};

/// Reads X-Accel-Expires, Cache-Control, Expires, Set-Cookie and Vary at the instant `now`. nginx's precedence: X-Accel-Expires, then
/// Cache-Control (s-maxage before max-age), then Expires.
[[nodiscard]] Freshness judge(const http::Fields& response, IgnoredFields ignored, Seconds now);

/// The Cache-Control fields alone, in their order.
void judge_cache_control(std::string_view value, Seconds now, Freshness& result, bool& refused);

/// The value of Vary that decides about variants, several fields joined; empty: there is none, or it is ignored.
[[nodiscard]] std::string vary_of(const http::Fields& response, IgnoredFields ignored);

/// One `proxy_cache_valid`: a status (0: any) and how long such responses are valid.
struct ValidRule {
  int status = 0;
  Seconds seconds = 0;
};
/// Seconds by the first rule that fits; 0: not stored.
[[nodiscard]] Seconds valid_seconds(std::span<const ValidRule> rules, int status) noexcept;

}  // namespace gatehouse::cache
