// Variables that come from the response and from the clock.
#include <algorithm>
#include <array>
#include <ctime>

#include <fmt/format.h>
#include <unistd.h>

#include "proxy/exchange/exchange.hpp"
#include "proxy/exchange/variables.hpp"
#include "proxy/http/date.hpp"

namespace gatehouse::exchange {
namespace {

using Value = std::optional<std::string_view>;

Value number(Exchange& exchange, std::uint64_t value) {
  const fmt::format_int text(value);
  return exchange.arena.copy({text.data(), text.size()});
}

Value seconds(Exchange& exchange, std::int64_t milliseconds) {
  std::array<char, 32> text{};
  const auto end = fmt::format_to_n(text.data(), text.size(), "{}.{:03}", milliseconds / 1000, milliseconds % 1000);
  return exchange.arena.copy({text.data(), static_cast<std::size_t>(end.out - text.data())});
}

std::chrono::minutes local_offset(std::time_t now) {
  std::tm local{};
  localtime_r(&now, &local);
  return std::chrono::minutes(local.tm_gmtoff / 60);
}

Value time_local(Exchange& exchange, std::string_view) {
  const std::time_t now = exchange.thread.reactor.wall_milliseconds() / 1000;
  return exchange.arena.copy(exchange.thread.local_time.clf(now));
}

Value time_iso8601(Exchange& exchange, std::string_view) {
  const std::time_t now = exchange.thread.reactor.wall_milliseconds() / 1000;
  return exchange.arena.copy(http::view(http::format_iso8601(now, local_offset(now))));
}

Value sent_field(Exchange& exchange, std::string_view name) {
  Value value;
  for (const auto& field : exchange.response.fields) {
    const bool same = field.name.size() == name.size() &&
                      std::equal(field.name.begin(), field.name.end(), name.begin(), [](char f, char a) {
                        const char l = f >= 'A' && f <= 'Z' ? static_cast<char>(f + 32) : f;
                        return (l == '-' ? '_' : l) == a;
                      });
    if (!same) continue;
    value = value ? exchange.arena.concat(*value, std::string_view(", "), field.value) : field.value;
  }
  if (!value && name == "content_length" && exchange.response.framing.kind != http::BodyKind::chunked) {
    return number(exchange, exchange.response.framing.length);
  }
  return value;
}

constexpr auto kRows = std::to_array<VariableRow>({
    {"body_bytes_sent", [](Exchange& e, std::string_view) { return number(e, e.downstream.body_bytes_sent()); },
     "bytes of the response's body sent to the client"},
    {"bytes_sent", [](Exchange& e, std::string_view) { return number(e, e.downstream.bytes_sent()); },
     "bytes sent to the client"},
    {"hostname",
     [](Exchange& e, std::string_view) -> Value {
       std::array<char, 256> name{};
       return ::gethostname(name.data(), name.size() - 1) == 0 ? Value(e.arena.copy(name.data())) : std::nullopt;
     },
     "this machine's name"},
    {"msec", [](Exchange& e, std::string_view) { return seconds(e, e.thread.reactor.wall_milliseconds()); },
     "seconds since the epoch, with milliseconds"},
    {"nginx_version", [](Exchange&, std::string_view) -> Value { return GATEHOUSE_VERSION; }, "Gatehouse's version"},
    {"pid", [](Exchange& e, std::string_view) { return number(e, static_cast<std::uint64_t>(::getpid())); },
     "the worker process' number"},
    {"request_completion", [](Exchange& e, std::string_view) -> Value { return e.reason == Reason::none ? "OK" : ""; },
     "OK if the request was answered completely"},
    {"request_time",
     [](Exchange& e, std::string_view) {
       return seconds(e, std::chrono::duration_cast<Milliseconds>(e.now() - e.started).count());
     },
     "seconds since the first byte of the request, with milliseconds"},
    {"sent_http_", sent_field, "the response field NAME as sent"},
    {"status", [](Exchange& e, std::string_view) { return number(e, static_cast<std::uint64_t>(e.response.status)); },
     "the response's status"},
    {"time_iso8601", time_iso8601, "local time in ISO 8601"},
    {"time_local", time_local, "local time in the Common Log Format"},
});

}  // namespace

std::span<const VariableRow> response_variables() noexcept { return kRows; }

}  // namespace gatehouse::exchange
