// Variables that come from the response and from the clock.
#include <algorithm>
#include <array>
#include <ctime>

#include <fmt/format.h>
#include <unistd.h>

#include "proxy/exchange/exchange.hpp"
#include "proxy/exchange/response_output.hpp"
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
  const std::time_t now = exchange.wall_seconds();
  return exchange.arena.copy(exchange.thread.local_time.clf(now));
}

Value time_iso8601(Exchange& exchange, std::string_view) {
  const std::time_t now = exchange.wall_seconds();
  return exchange.arena.copy(http::view(http::format_iso8601(now, local_offset(now))));
}

Value sent_field(Exchange& exchange, std::string_view name) {
  const Value value = joined_fields(exchange, exchange.response.fields, name, ", ");
  if (!value && name == "content_length" && exchange.response.framing.kind != http::BodyKind::chunked) {
    return number(exchange, exchange.response.framing.length);
  }
  return value;
}

Value sent_trailer(Exchange& exchange, std::string_view name) {
  if (exchange.output) {
    if (const auto own = joined_fields(exchange, exchange.output->trailers, name, ", ")) return own;
  }
  return exchange.upstream_trailers ? joined_fields(exchange, *exchange.upstream_trailers, name, ", ") : std::nullopt;
}

// nginx's format of dates in server-side includes.
Value long_date(Exchange& exchange, const std::tm& time) {
  std::array<char, 96> text{};
  return exchange.arena.copy({text.data(), std::strftime(text.data(), text.size(), "%A, %d-%b-%Y %H:%M:%S %Z", &time)});
}

Value date_gmt(Exchange& exchange, std::string_view) {
  const std::time_t now = exchange.wall_seconds();
  std::tm time{};
  gmtime_r(&now, &time);
  return long_date(exchange, time);
}

Value date_local(Exchange& exchange, std::string_view) {
  const std::time_t now = exchange.wall_seconds();
  std::tm time{};
  localtime_r(&now, &time);
  return long_date(exchange, time);
}

constexpr auto kRows = std::to_array<VariableRow>({
    {"gzip_ratio",
     [](Exchange& e, std::string_view) -> Value {
       if (e.gzip_out == 0) return std::nullopt;
       const std::uint64_t hundredths = (e.gzip_in * 1000 / e.gzip_out + 5) / 10;
       return e.arena.copy(fmt::format("{}.{:02}", hundredths / 100, hundredths % 100));
     },
     "how much gzip made the body smaller"},
    {"body_bytes_sent", [](Exchange& e, std::string_view) { return number(e, e.downstream.body_bytes_sent()); },
     "bytes of the response's body sent to the client"},
    {"bytes_sent", [](Exchange& e, std::string_view) { return number(e, e.downstream.bytes_sent()); },
     "bytes sent to the client"},
    {"date_gmt", date_gmt, "the time in GMT, as \"Friday, 27-Nov-2026 05:00:00 GMT\""},
    {"date_local", date_local, "the local time in the same format"},
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
    {"request_completion", [](Exchange& e, std::string_view) -> Value { return e.answered_whole ? "OK" : ""; },
     "OK if the request was answered completely"},
    {"request_time",
     [](Exchange& e, std::string_view) {
       return seconds(e, std::chrono::duration_cast<Milliseconds>(e.now() - e.started).count());
     },
     "seconds since the first byte of the request, with milliseconds"},
    {"sent_http_", sent_field, "the response field NAME as sent"},
    {"sent_trailer_", sent_trailer, "the trailer field NAME as sent"},
    {"status", [](Exchange& e, std::string_view) { return number(e, static_cast<std::uint64_t>(e.response.status)); },
     "the response's status"},
    {"time_iso8601", time_iso8601, "local time in ISO 8601"},
    {"time_local", time_local, "local time in the Common Log Format"},
});

}  // namespace

std::span<const VariableRow> response_variables() noexcept { return kRows; }

}  // namespace gatehouse::exchange
