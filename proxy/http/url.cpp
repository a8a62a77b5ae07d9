#include "proxy/http/url.hpp"

#include <algorithm>
#include <charconv>

namespace gatehouse::http {

std::optional<Url> parse_url(std::string_view text) noexcept {
  Url url;
  if (text.starts_with("https://")) {
    url.tls = true;
    url.port = 443;
    text.remove_prefix(8);
  } else if (text.starts_with("http://")) {
    text.remove_prefix(7);
  } else {
    return std::nullopt;
  }
  const std::size_t end = std::min(text.find_first_of("/?"), text.size());
  url.authority = text.substr(0, end);
  url.uri = text.substr(end);
  url.host = url.authority;
  const std::size_t bracket = url.authority.rfind(']');
  const std::size_t colon = url.authority.rfind(':');
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    url.host = url.authority.substr(0, colon);
    const std::string_view port = url.authority.substr(colon + 1);
    const auto parsed = std::from_chars(port.data(), port.data() + port.size(), url.port);
    if (parsed.ec != std::errc{} || parsed.ptr != port.data() + port.size() || url.port == 0) return std::nullopt;
    url.has_port = true;
  }
  if (url.host.empty()) return std::nullopt;
  return url;
}

}  // namespace gatehouse::http
