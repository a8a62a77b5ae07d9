#include "proxy/exchange/upstream/sticky.hpp"

#include <algorithm>
#include <limits>
#include <string>

#include "proxy/exchange/generation.hpp"
#include "proxy/exchange/variables.hpp"
#include "proxy/http/chars.hpp"
#include "proxy/http/date.hpp"
#include "proxy/upstream/sticky_sessions.hpp"

namespace gatehouse::exchange {
namespace {

std::string_view first_filled(Exchange& exchange, std::span<const config::ComplexValue> values) {
  for (const auto& value : values) {
    if (const std::string_view text = evaluate(value, exchange); !text.empty()) return exchange.arena.copy(text);
  }
  return {};
}

upstream::StickySessions* sessions_of(const Exchange& exchange, const config::Sticky& sticky) {
  const auto& zones = exchange.generation->shared->sticky_sessions;
  const auto found = zones.find(sticky.zone);
  return found == zones.end() ? nullptr : found->second.get();
}

// Of a variable: nothing that would end the attribute.
bool fits_attribute(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return c == ';' || static_cast<unsigned char>(c) < 0x20; });
}

}  // namespace

std::string_view bound_server(Exchange& exchange, const config::Sticky& sticky) {
  const std::string_view named = first_filled(exchange, sticky.lookup);
  if (named.empty() || sticky.kind != config::Sticky::Kind::learn) return named;
  auto* const sessions = sessions_of(exchange, sticky);
  if (sessions == nullptr) return {};
  const auto server = sessions->find(named, exchange.now());
  return server ? exchange.arena.copy(*server) : std::string_view{};
}

void tell_client(Exchange& exchange, const config::Sticky& sticky, std::string_view server) {
  std::string text = sticky.cookie;
  text.append("=").append(server);
  if (sticky.expires) {
    const bool most = *sticky.expires == std::numeric_limits<std::int64_t>::max();
    const std::int64_t age = most ? 315360000 : *sticky.expires;
    text.append("; expires=")
        .append(http::format_cookie_date(most ? http::kLastCookieDate : exchange.wall_seconds() + age));
    text.append("; max-age=").append(std::to_string(age));
  }
  if (sticky.domain) {
    const std::string_view domain = evaluate(*sticky.domain, exchange);
    if (!domain.empty() && fits_attribute(domain)) text.append("; domain=").append(domain);
  }
  if (sticky.httponly) text.append("; httponly");
  if (sticky.secure) text.append("; secure");
  if (sticky.samesite) {
    std::string_view same = evaluate(*sticky.samesite, exchange);
    const bool known = http::iequals(same, "strict") || http::iequals(same, "lax") || http::iequals(same, "none");
    if (!same.empty()) text.append("; samesite=").append(known ? same : "strict");
  }
  if (!sticky.path.empty()) text.append("; path=").append(sticky.path);
  exchange.sticky_cookie = exchange.arena.copy(text);
}

void learn_session(Exchange& exchange, const config::Sticky& sticky, std::string_view server) {
  auto* const sessions = sessions_of(exchange, sticky);
  if (sessions == nullptr) return;
  if (const std::string_view created = first_filled(exchange, sticky.create); !created.empty()) {
    sessions->learn(created, server, true, exchange.now());
  } else if (const std::string_view known = first_filled(exchange, sticky.lookup); !known.empty()) {
    sessions->learn(known, server, false, exchange.now());
  }
}

}  // namespace gatehouse::exchange
