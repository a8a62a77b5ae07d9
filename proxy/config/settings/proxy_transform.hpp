// Settings of what proxying changes in requests and responses (nginx's proxy module).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/config/setters.hpp"

namespace gatehouse::config {

/// Words of proxy_ignore_headers, as bits.
enum IgnoredHeader : std::uint32_t {
  ignore_x_accel_redirect = 1u << 0,
  ignore_x_accel_expires = 1u << 1,
  ignore_x_accel_limit_rate = 1u << 2,
  ignore_x_accel_buffering = 1u << 3,
  ignore_x_accel_charset = 1u << 4,
  ignore_expires = 1u << 5,
  ignore_cache_control = 1u << 6,
  ignore_set_cookie = 1u << 7,
  ignore_vary = 1u << 8,
};

/// One rule of proxy_redirect, proxy_cookie_domain or proxy_cookie_path.
struct ReplaceRule {
  std::shared_ptr<const Regex> regex;  ///< null: `from` is plain text
  ComplexValue from;
  ComplexValue to;
};

/// One rule of proxy_cookie_flags.
struct CookieFlags {
  enum class SameSite : std::uint8_t { keep, strict, lax, none, remove };
  enum class Flag : std::uint8_t { keep, add, remove };
  std::shared_ptr<const Regex> regex;  ///< null: `name` is the cookie's name
  ComplexValue name;
  Flag secure = Flag::keep;
  Flag httponly = Flag::keep;
  SameSite samesite = SameSite::keep;
};

struct ProxyTransformSettings {
  std::vector<ReplaceRule> cookie_domain;
  std::vector<ReplaceRule> cookie_path;
  std::vector<CookieFlags> cookie_flags;
  std::optional<ComplexValue> set_body;
  std::uint32_t ignore_headers = 0;
  std::optional<ComplexValue> bind;  ///< proxy_bind: an address with or without a port
  bool bind_transparent = false;
  std::optional<ComplexValue> limit_rate;  ///< bytes per second read from the upstream; 0 is no limit
  bool force_ranges = false;
  bool pass_trailers = false;
  std::optional<ComplexValue>
      store;  ///< proxy_store: the file's path; an empty value stands for `on`, the place's own file
  std::uint32_t store_mode = 0600;  ///< proxy_store_access
};

template <>
struct GroupOf<ProxyTransformSettings> {
  static constexpr auto member = &LocationSettings::proxy_transform;
};

/// The group of a place, or the defaults.
[[nodiscard]] inline const ProxyTransformSettings& transform_of(const LocationSettings& settings) noexcept {
  static const ProxyTransformSettings kDefaults;
  return settings.proxy_transform ? *settings.proxy_transform : kDefaults;
}

}  // namespace gatehouse::config
