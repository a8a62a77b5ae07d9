// Variables that tell about the upstream; several tries are joined by ", ".
#include <algorithm>
#include <array>
#include <string>

#include <fmt/format.h>

#include "proxy/exchange/caching/cache_use.hpp"
#include "proxy/exchange/exchange.hpp"
#include "proxy/exchange/slices.hpp"
#include "proxy/exchange/variables.hpp"
#include "proxy/http/chars.hpp"

namespace gatehouse::exchange {
namespace {

using Value = std::optional<std::string_view>;

template <class Text>
Value join_tries(Exchange& exchange, Text&& text) {
  if (exchange.tries.empty()) return std::nullopt;
  if (exchange.tries.size() == 1) return exchange.arena.copy(text(exchange.tries.front()));
  std::string joined;
  for (const UpstreamTry& one : exchange.tries) {
    if (!joined.empty()) joined += one.begins_group ? " : " : ", ";
    joined += text(one);
  }
  return exchange.arena.copy(joined);
}

Value some(std::string_view text) { return text.empty() ? std::nullopt : Value(text); }

std::string time_text(Milliseconds time) {
  if (time.count() < 0) return "-";
  return fmt::format("{}.{:03}", time.count() / 1000, time.count() % 1000);
}

Value field(Exchange& exchange, std::string_view name) {
  if (exchange.upstream_fields == nullptr) return std::nullopt;
  return joined_fields(exchange, *exchange.upstream_fields, name, ", ");
}

Value trailer(Exchange& exchange, std::string_view name) {
  if (!exchange.upstream_trailers) return std::nullopt;
  return joined_fields(exchange, *exchange.upstream_trailers, name, ", ");
}

Value upstream_cookie(Exchange& exchange, std::string_view name) {
  if (exchange.upstream_fields == nullptr) return std::nullopt;
  for (const auto& candidate : *exchange.upstream_fields) {
    if (candidate.id != http::FieldId::set_cookie) continue;
    const std::string_view pair = candidate.value.substr(0, candidate.value.find(';'));
    if (pair.size() > name.size() && pair[name.size()] == '=' && http::iequals(pair.substr(0, name.size()), name)) {
      return pair.substr(name.size() + 1);
    }
  }
  return std::nullopt;
}

constexpr auto kRows = std::to_array<VariableRow>({
    {"proxy_host", [](Exchange& e, std::string_view) -> Value { return e.proxy_host; },
     "name and port of the proxied server as in proxy_pass"},
    {"proxy_port", [](Exchange& e, std::string_view) -> Value { return e.proxy_port; },
     "port of the proxied server as in proxy_pass, or the protocol's own"},
    {"slice_range", [](Exchange& e, std::string_view) { return some(slice_range(e)); },
     "the Range field that asks for the current slice"},
    {"upstream_addr",
     [](Exchange& e, std::string_view) {
       return join_tries(e, [](const UpstreamTry& t) { return std::string(t.peer); });
     },
     "address of the upstream peer"},
    {"upstream_bytes_received",
     [](Exchange& e, std::string_view) {
       return join_tries(e, [](const UpstreamTry& t) { return fmt::to_string(t.bytes_received); });
     },
     "bytes received from the upstream"},
    {"upstream_bytes_sent",
     [](Exchange& e, std::string_view) {
       return join_tries(e, [](const UpstreamTry& t) { return fmt::to_string(t.bytes_sent); });
     },
     "bytes sent to the upstream"},
    {"upstream_cache_etag", [](Exchange& e, std::string_view) -> Value { return some(cached_etag(e)); },
     "ETag of an expired entry that is asked for anew"},
    {"upstream_cache_key",
     [](Exchange& e, std::string_view) -> Value { return e.cache ? some(e.cache->key) : std::nullopt; },
     "the key of the response in the cache"},
    {"upstream_cache_last_modified",
     [](Exchange& e, std::string_view) -> Value { return some(cached_last_modified(e)); },
     "Last-Modified of an expired entry that is asked for anew"},
    {"upstream_cache_status",
     [](Exchange& e, std::string_view) -> Value { return e.cache ? some(text_of(e.cache->status)) : std::nullopt; },
     "MISS, BYPASS, EXPIRED, STALE, UPDATING, REVALIDATED or HIT"},
    {"upstream_connect_time",
     [](Exchange& e, std::string_view) {
       return join_tries(e, [](const UpstreamTry& t) { return time_text(t.connect_time); });
     },
     "seconds until the connection stood, with milliseconds"},
    {"upstream_cookie_", upstream_cookie, "the cookie NAME that the upstream sets"},
    {"upstream_header_time",
     [](Exchange& e, std::string_view) {
       return join_tries(e, [](const UpstreamTry& t) { return time_text(t.header_time); });
     },
     "seconds until the response head was there"},
    {"upstream_http_", field, "the field NAME of the upstream's response"},
    {"upstream_response_length",
     [](Exchange& e, std::string_view) {
       return join_tries(e, [](const UpstreamTry& t) { return fmt::to_string(t.response_length); });
     },
     "bytes of the upstream's response body"},
    {"upstream_response_time",
     [](Exchange& e, std::string_view) {
       return join_tries(e, [](const UpstreamTry& t) { return time_text(t.response_time); });
     },
     "seconds until the response was complete"},
    {"upstream_status",
     [](Exchange& e, std::string_view) {
       return join_tries(
           e, [](const UpstreamTry& t) { return t.status == 0 ? std::string("-") : fmt::to_string(t.status); });
     },
     "status of the upstream's response"},
    {"upstream_trailer_", trailer, "the trailer field NAME of the upstream's response"},
});

}  // namespace

std::span<const VariableRow> upstream_variables() noexcept { return kRows; }

}  // namespace gatehouse::exchange
