// Settings of the response cache (nginx's proxy_cache_*).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "proxy/cache/freshness.hpp"
#include "proxy/config/setters.hpp"

namespace gatehouse::config {

/// Words of proxy_cache_methods, as bits.
enum CacheMethod : std::uint32_t {
  cache_get = 1u << 0,
  cache_head = 1u << 1,
  cache_post = 1u << 2,
};

/// The word of proxy_cache_use_stale that proxy_next_upstream has not; its other words have that directive's bits.
inline constexpr std::uint32_t kStaleUpdating = 1u << 31;

struct CacheSettings {
  std::optional<ComplexValue> zone;  ///< name of a zone; nothing or an empty value: off
  std::optional<ComplexValue> key;   ///< nothing: scheme, $proxy_host and what is asked for
  std::vector<ComplexValue> bypass;
  std::vector<ComplexValue> no_cache;
  std::vector<ComplexValue> purge;
  std::vector<cache::ValidRule> valid;
  std::uint32_t methods = cache_get | cache_head;
  std::uint32_t min_uses = 1;
  std::uint32_t use_stale = 0;  ///< NextUpstream bits and kStaleUpdating
  bool convert_head = true;
  bool lock = false;
  bool background_update = false;
  bool revalidate = false;
  Milliseconds lock_timeout{5000};
  Milliseconds lock_age{5000};
  std::optional<std::uint64_t> max_range_offset;
};

template <>
struct GroupOf<CacheSettings> {
  static constexpr auto member = &LocationSettings::cache;
};

}  // namespace gatehouse::config
