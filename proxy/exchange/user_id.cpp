#include "proxy/exchange/user_id.hpp"

#include <array>
#include <atomic>
#include <cstring>
#include <limits>

#include <fmt/format.h>
#include <openssl/evp.h>
#include <unistd.h>

#include "proxy/config/settings/userid.hpp"
#include "proxy/exchange/exchange.hpp"
#include "proxy/exchange/variables.hpp"
#include "proxy/http/cookies.hpp"
#include "proxy/http/date.hpp"

namespace gatehouse::exchange {
namespace {

using Id = std::array<std::uint32_t, 4>;  // in host order, as nginx prints them
constexpr std::size_t kEncoded = 24;      // base64 of 16 bytes
constexpr std::size_t kMarkAt = 22;       // the first '=' of its padding

std::optional<Id> read_id(const Exchange& exchange, const config::UserIdSettings& settings) {
  const auto text = http::find_cookie(exchange.head.fields, settings.name);
  if (!text || text->size() < kMarkAt) return std::nullopt;
  std::array<unsigned char, kEncoded> padded{};
  std::memcpy(padded.data(), text->data(), kMarkAt);
  padded[22] = padded[23] = '=';
  std::array<unsigned char, 18> raw{};
  if (EVP_DecodeBlock(raw.data(), padded.data(), static_cast<int>(padded.size())) != 18) return std::nullopt;
  Id id{};
  std::memcpy(id.data(), raw.data(), 16);
  return id;
}

bool has_mark(const Exchange& exchange, const config::UserIdSettings& settings) {
  const auto text = http::find_cookie(exchange.head.fields, settings.name);
  return text && text->size() > kMarkAt && (*text)[kMarkAt] == settings.mark;
}

std::string_view printed(Exchange& exchange, const config::UserIdSettings& settings, const Id& id) {
  return exchange.arena.copy(fmt::format("{}={:08X}{:08X}{:08X}{:08X}", settings.name, id[0], id[1], id[2], id[3]));
}

std::uint32_t network_order(std::uint32_t value) {
  return (value >> 24) | (value >> 8 & 0xff00) | (value << 8 & 0xff0000) | value << 24;
}

// nginx's: the server, the second, its process and start, a counter; in network order but for version 1.
Id new_id(Exchange& exchange, const config::UserIdSettings& settings) {
  static std::atomic<std::uint32_t> sequence{0x03030302};
  const auto now = static_cast<std::uint32_t>(exchange.wall_seconds());
  std::uint32_t server = settings.service.value_or(0);
  const auto bytes = exchange.connection.local.bytes();
  if (!settings.service && bytes.size() == 4) {
    server = std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 | std::uint32_t{bytes[2]} << 8 | bytes[3];
  }
  const std::uint32_t start = static_cast<std::uint32_t>(exchange.thread.random_state) << 16 |
                              (static_cast<std::uint32_t>(::getpid()) & 0xffff);
  const std::uint32_t counter = sequence.fetch_add(0x100, std::memory_order_relaxed);
  if (settings.mode == config::UserIdSettings::Mode::v1) return {server, now, start, counter};
  return {network_order(server), network_order(now), network_order(start), network_order(counter)};
}

// $uid_reset other than "" and "0"; "log" has it told.
bool wants_new_id(Exchange& exchange, const config::UserIdSettings& settings, const Id& id) {
  if (!settings.reset) return false;
  const std::string_view reset = evaluate(*settings.reset, exchange);
  if (reset.empty() || reset == "0") return false;
  if (reset == "log") {
    exchange.log(LogLevel::notice, fmt::format("userid cookie \"{}\" was reset", printed(exchange, settings, id)));
  }
  return true;
}

}  // namespace

void add_user_id(Exchange& exchange) {
  const auto& settings = exchange.settings().userid;
  using Mode = config::UserIdSettings::Mode;
  if (!settings || exchange.parent != nullptr || (settings->mode != Mode::on && settings->mode != Mode::v1)) return;
  auto got = read_id(exchange, *settings);
  if (got && wants_new_id(exchange, *settings, *got)) got.reset();
  const bool marked = settings->mark == 0 || has_mark(exchange, *settings);
  if (got && marked) return;
  if (exchange.user_id.empty()) {
    const Id id = got ? *got : new_id(exchange, *settings);
    std::array<unsigned char, kEncoded + 1> text{};
    EVP_EncodeBlock(text.data(), reinterpret_cast<const unsigned char*>(id.data()), 16);
    if (settings->mark != 0) text[kMarkAt] = static_cast<unsigned char>(settings->mark);
    std::string value =
        fmt::format("{}={}", settings->name, std::string_view(reinterpret_cast<const char*>(text.data()), kEncoded));
    if (settings->expires) {
      const std::int64_t now = exchange.wall_seconds();
      const bool most = *settings->expires == std::numeric_limits<std::int64_t>::max();
      value.append("; expires=")
          .append(http::format_cookie_date(most ? http::kLastCookieDate : now + *settings->expires));
    }
    if (!settings->domain.empty()) value.append("; domain=").append(settings->domain);
    value.append("; path=").append(settings->path).append(settings->flags);
    exchange.user_id = exchange.arena.copy(value);
    exchange.user_id_set = printed(exchange, *settings, id);
  }
  exchange.response.fields.add("Set-Cookie", exchange.user_id, http::FieldId::set_cookie);
  if (!settings->p3p.empty()) exchange.response.fields.add("P3P", settings->p3p);
}

std::optional<std::string_view> uid_got(Exchange& exchange, std::string_view) {
  const auto& settings = exchange.settings().userid;
  if (!settings || settings->mode == config::UserIdSettings::Mode::off) return std::nullopt;
  const auto id = read_id(exchange, *settings);
  return id ? std::optional(printed(exchange, *settings, *id)) : std::nullopt;
}

std::optional<std::string_view> uid_set(Exchange& exchange, std::string_view) {
  return exchange.user_id_set.empty() ? std::nullopt : std::optional(exchange.user_id_set);
}

}  // namespace gatehouse::exchange
