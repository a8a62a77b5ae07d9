// An absolute http or https URL, taken apart.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace gatehouse::http {

/// Its parts view the text that was parsed.
struct Url {
  bool tls = false;
  std::string_view authority;  ///< host and port as written
  std::string_view host;       ///< with the brackets of an IPv6 address
  std::uint16_t port = 80;     ///< 443 for https, unless it is written
  bool has_port = false;       ///< whether it is written
  std::string_view uri;        ///< path and query; may be empty, or begin with '?'
};

/// Nothing for a text with another scheme or none, without a host, or with a port that is none. Names are not checked further.
[[nodiscard]] std::optional<Url> parse_url(std::string_view text) noexcept;

}  // namespace gatehouse::http
