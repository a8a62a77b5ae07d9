// Variables that tell about the upstream; several tries are joined by ", ".
#include <algorithm>
#include <array>
#include <string>

#include <fmt/format.h>

#include "proxy/exchange/exchange.hpp"
#include "proxy/exchange/variables.hpp"

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

std::string time_text(Milliseconds time) {
  if (time.count() < 0) return "-";
  return fmt::format("{}.{:03}", time.count() / 1000, time.count() % 1000);
}

Value field(Exchange& exchange, std::string_view name) {
  if (exchange.upstream_fields == nullptr) return std::nullopt;
  Value value;
  for (const auto& candidate : *exchange.upstream_fields) {
    const bool same = candidate.name.size() == name.size() &&
                      std::equal(candidate.name.begin(), candidate.name.end(), name.begin(), [](char f, char a) {
                        const char l = f >= 'A' && f <= 'Z' ? static_cast<char>(f + 32) : f;
                        return (l == '-' ? '_' : l) == a;
                      });
    if (!same) continue;
    value = value ? exchange.arena.concat(*value, std::string_view(", "), candidate.value) : candidate.value;
  }
  return value;
}

constexpr auto kRows = std::to_array<VariableRow>({
    {"proxy_host", [](Exchange& e, std::string_view) -> Value { return e.proxy_host; },
     "name and port of the proxied server as in proxy_pass"},
    {"proxy_port", [](Exchange& e, std::string_view) -> Value { return e.proxy_port; },
     "port of the proxied server as in proxy_pass, or the protocol's own"},
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
    {"upstream_connect_time",
     [](Exchange& e, std::string_view) {
       return join_tries(e, [](const UpstreamTry& t) { return time_text(t.connect_time); });
     },
     "seconds until the connection stood, with milliseconds"},
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
});

}  // namespace

std::span<const VariableRow> upstream_variables() noexcept { return kRows; }

}  // namespace gatehouse::exchange
