#include <algorithm>

#include "proxy/base/ascii.hpp"
#include "proxy/config/settings/compression.hpp"
#include "proxy/exchange/body_filters/body_filter.hpp"
#include "proxy/exchange/browser.hpp"
#include "proxy/exchange/exchange.hpp"
#include "proxy/http/chars.hpp"
#include "proxy/http/date.hpp"

namespace gatehouse::exchange {
namespace {

bool has_directive(const http::Fields& fields, http::FieldId id, std::string_view directive) {
  return std::ranges::any_of(fields, [&](const http::Field& field) {
    if (field.id != id) return false;
    const auto at = std::search(field.value.begin(), field.value.end(), directive.begin(), directive.end(),
                                [](char a, char b) { return to_lower(a) == b; });
    return at != field.value.end();
  });
}

// nginx's gzip_proxied, for a request that came through a proxy.
bool proxied_request_allows(const Exchange& exchange, std::uint32_t words) {
  using namespace config;
  if ((words & gzip_proxied_off) != 0) return false;
  if ((words & gzip_proxied_any) != 0) return true;
  if ((words & gzip_proxied_auth) != 0 && exchange.head.fields.contains(http::FieldId::authorization)) return true;
  const http::Fields& fields = exchange.response.fields;
  if (const auto expires = fields.value(http::FieldId::expires)) {
    if ((words & gzip_proxied_expired) == 0) return false;
    const auto until = http::parse_http_date(*expires);
    return until && *until < exchange.wall_seconds();
  }
  if (fields.contains(http::FieldId::cache_control)) {
    return ((words & gzip_proxied_no_cache) != 0 && has_directive(fields, http::FieldId::cache_control, "no-cache")) ||
           ((words & gzip_proxied_no_store) != 0 && has_directive(fields, http::FieldId::cache_control, "no-store")) ||
           ((words & gzip_proxied_private) != 0 && has_directive(fields, http::FieldId::cache_control, "private"));
  }
  if ((words & gzip_proxied_no_last_modified) != 0 && fields.contains(http::FieldId::last_modified)) return false;
  if ((words & gzip_proxied_no_etag) != 0 && fields.contains(http::FieldId::etag)) return false;
  return (words & (gzip_proxied_no_last_modified | gzip_proxied_no_etag)) != 0;
}

}  // namespace

void forget_length(Exchange& exchange) {
  exchange.response.fields.remove(http::FieldId::content_length);
  auto& framing = exchange.response.framing;
  if (framing.kind == http::BodyKind::length || framing.kind == http::BodyKind::none)
    framing = {.kind = http::BodyKind::chunked};
}

void weaken_etag(Exchange& exchange) {
  http::Fields& fields = exchange.response.fields;
  const auto etag = fields.value(http::FieldId::etag);
  if (!etag || etag->starts_with("W/")) return;
  if (etag->starts_with('"')) {
    fields.set("ETag", exchange.arena.concat(std::string_view("W/"), *etag), http::FieldId::etag);
  } else {
    fields.remove(http::FieldId::etag);
  }
}

std::string_view content_type_of(const Exchange& exchange) {
  return exchange.response.fields.value(http::FieldId::content_type).value_or(std::string_view{});
}

bool accepts_coding(std::string_view list, std::string_view coding) noexcept {
  while (!list.empty()) {
    std::string_view item = list.substr(0, list.find(','));
    list.remove_prefix(std::min(list.size(), item.size() + 1));
    while (item.starts_with(' ') || item.starts_with('\t')) item.remove_prefix(1);
    std::string_view name = item.substr(0, item.find(';'));
    std::string_view parameters = item.substr(name.size());
    while (name.ends_with(' ') || name.ends_with('\t')) name.remove_suffix(1);
    if (!http::iequals(name, coding)) continue;
    const std::size_t q = parameters.find_first_of("qQ");
    if (q == std::string_view::npos) return true;
    std::string_view weight = parameters.substr(q + 1);
    while (weight.starts_with(' ') || weight.starts_with('=')) weight.remove_prefix(1);
    // A weight of 0, 0.0, 0.00 or 0.000 refuses; what can't be read is taken for a refusal too, as nginx does.
    if (weight.starts_with('1')) return true;
    if (!weight.starts_with('0')) return false;
    return weight.find_first_of("123456789") != std::string_view::npos;
  }
  return false;
}

bool may_compress(const Exchange& exchange, std::string_view coding) {
  static const config::CompressionSettings kDefaults;
  const auto& own = exchange.settings().compression;
  const auto& settings = own ? *own : kDefaults;
  if (exchange.parent != nullptr) return false;
  const auto accepted = exchange.head.fields.value(http::FieldId::accept_encoding);
  if (!accepted || !accepts_coding(*accepted, coding)) return false;
  const auto agent = exchange.head.fields.value(http::FieldId::user_agent);
  if (settings.gzip_disable_msie6 && agent && is_old_msie(*agent)) return false;
  if (exchange.head.version == http::Version::http10 && settings.gzip_http_version > 10) return false;
  if (exchange.head.fields.contains(http::FieldId::via) && !proxied_request_allows(exchange, settings.gzip_proxied))
    return false;
  return !agent ||
         std::ranges::none_of(settings.gzip_disable, [&](const auto& regex) { return regex->matches(*agent); });
}

}  // namespace gatehouse::exchange
