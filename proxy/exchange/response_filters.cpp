#include "proxy/exchange/response_filters.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "proxy/exchange/variables.hpp"
#include "proxy/http/local_reply.hpp"
#include "proxy/http/semantics.hpp"
#include "proxy/http/status.hpp"

namespace gatehouse::exchange {
namespace {

// nginx's list of statuses that plain add_header applies to.
constexpr std::array<int, 10> kAddHeaderStatuses = {200, 201, 204, 206, 301, 302, 303, 304, 307, 308};

void begin_head(Exchange& exchange, int status) {
  ResponseHeadOut& head = exchange.response;
  // A response without content can't be told as one that has some, nor the other way round: its framing is settled.
  const bool forced = exchange.forced_status != 0 && status != 101 &&
                      http::has_content(exchange.forced_status) == http::has_content(status);
  head.status = forced ? exchange.forced_status : status;
  head.fields.clear();
  const auto& settings = exchange.settings();
  head.fields.add("Server",
                  http::server_name(settings.server_tokens ? http::ServerTokens::on : http::ServerTokens::off),
                  http::FieldId::server);
  const auto date = exchange.thread.date.imf(exchange.thread.reactor.wall_milliseconds() / 1000);
  head.fields.add("Date", exchange.arena.copy(date), http::FieldId::date);
}

void add_headers(Exchange& exchange) {
  const auto& rules = *exchange.settings().add_header;
  if (rules.empty()) return;
  const int status = exchange.response.status;
  const bool listed =
      std::find(kAddHeaderStatuses.begin(), kAddHeaderStatuses.end(), status) != kAddHeaderStatuses.end();
  for (const auto& rule : rules) {
    if (!listed && !rule.always) continue;
    const std::string_view value = evaluate(rule.value, exchange);
    // A variable may hold a line end that the client sent escaped; it must not end the field.
    const auto breaks_line = [](char c) { return c == '\r' || c == '\n' || c == '\0'; };
    if (value.empty() || std::any_of(value.begin(), value.end(), breaks_line)) continue;
    exchange.response.fields.add(rule.name, value);
  }
}

bool hidden_by_default(http::FieldId id) {
  switch (id) {
    case http::FieldId::date:
    case http::FieldId::server:
    case http::FieldId::x_pad:
    case http::FieldId::x_accel_redirect:
    case http::FieldId::x_accel_expires:
    case http::FieldId::x_accel_limit_rate:
    case http::FieldId::x_accel_buffering:
    case http::FieldId::x_accel_charset: return true;
    default: return false;
  }
}

bool lists(const std::vector<std::string>& lower_names, std::string_view name) {
  return std::any_of(lower_names.begin(), lower_names.end(), [&](const std::string& lower) {
    return lower.size() == name.size() && std::equal(lower.begin(), lower.end(), name.begin(), [](char a, char b) {
             return a == (b >= 'A' && b <= 'Z' ? static_cast<char>(b + 32) : b);
           });
  });
}

bool is_hidden(const Exchange& exchange, const http::Field& field) {
  const LocationRuntime& route = *exchange.route;
  if (field.id == http::FieldId::other) return !route.hidden_names.empty() && lists(route.hidden_names, field.name);
  if (route.hidden.contains(field.id)) return true;
  if (!hidden_by_default(field.id)) return false;
  const auto& passed = *exchange.settings().proxy_pass_header;
  return passed.empty() || !lists(passed, field.name);
}

// Location of `proxy_redirect default`: the URL of proxy_pass becomes the location's prefix; without a URI part its origin becomes "/".
std::string_view redirect_by_default(Exchange& exchange, std::string_view value) {
  const config::Location& location = *exchange.route->location;
  const auto& pass = *location.proxy_pass;
  if (pass.target || location.kind == config::LocationKind::regex) return value;
  const std::string prefix =
      fmt::format("{}{}{}", pass.tls ? "https://" : "http://", pass.host, pass.uri.value_or("/"));
  if (!value.starts_with(prefix)) return value;
  return exchange.arena.concat(pass.uri ? std::string_view(location.path) : std::string_view("/"),
                               value.substr(prefix.size()));
}

std::string_view redirected(Exchange& exchange, std::string_view value) {
  const auto& settings = exchange.settings();
  switch (settings.proxy_redirect) {
    case config::LocationSettings::Redirect::off: return value;
    case config::LocationSettings::Redirect::standard: return redirect_by_default(exchange, value);
    case config::LocationSettings::Redirect::rules: break;
  }
  if (!settings.proxy_redirect_rules) return value;
  for (const auto& [from, to] : *settings.proxy_redirect_rules) {
    const std::string_view prefix = evaluate(from, exchange);
    if (value.starts_with(prefix)) {
      return exchange.arena.concat(evaluate(to, exchange), value.substr(prefix.size()));
    }
  }
  return value;
}

// Refresh: "5; url=http://..." is rewritten behind its "url=".
std::string_view redirected_refresh(Exchange& exchange, std::string_view value) {
  const std::size_t at = value.find("url=");
  if (at == std::string_view::npos) return value;
  return exchange.arena.concat(value.substr(0, at + 4), redirected(exchange, value.substr(at + 4)));
}

}  // namespace

void adopt_upstream_head(Exchange& exchange, const http::ResponseHead& head, const http::ResponseSemantics& semantics) {
  begin_head(exchange, head.status);
  ResponseHeadOut& out = exchange.response;
  out.reason = out.status == head.status ? head.reason : std::string_view{};
  const bool bodiless = exchange.is_head() || head.status == 304;
  bool names_fields = head.fields.contains(http::FieldId::connection);
  if (!exchange.settings().proxy_pass_header->empty()) {
    // A passed Date or Server takes the place of our own.
    http::Fields kept;
    for (const auto& field : out.fields) {
      if (!lists(*exchange.settings().proxy_pass_header, field.name) || !head.fields.contains(field.id)) {
        kept.add(field.name, field.value, field.id);
      }
    }
    out.fields = kept;
  }
  for (const auto& field : head.fields) {
    if (field.id == http::FieldId::content_length) {
      if (bodiless && semantics.framing.declared) out.fields.add(field.name, field.value, field.id);
      continue;
    }
    if ((http::field_traits(field.id) & http::kHopByHop) != 0 || is_hidden(exchange, field)) continue;
    if (names_fields && http::is_nominated(head.fields, field)) continue;
    std::string_view value = field.value;
    if (field.id == http::FieldId::location) {
      value = redirected(exchange, value);
      // As nginx: only what was rewritten is made absolute, a relative Location of the origin stays as it is.
      if (value.data() != field.value.data()) value = exchange.absolute(value);
    }
    if (field.id == http::FieldId::refresh) value = redirected_refresh(exchange, value);
    out.fields.add(field.name, value, field.id);
  }
  out.framing = semantics.framing;
  if (semantics.framing.kind == http::BodyKind::until_close) out.framing.kind = http::BodyKind::chunked;
  add_headers(exchange);
}

void make_local_head(Exchange& exchange, int status, std::string_view content_type, std::string_view body,
                     std::string_view location) {
  begin_head(exchange, status);
  ResponseHeadOut& out = exchange.response;
  out.reason = {};
  exchange.error_status = 0;
  if (!content_type.empty() && http::has_content(status)) {
    out.fields.add("Content-Type", content_type, http::FieldId::content_type);
  }
  if (!location.empty()) out.fields.add("Location", location, http::FieldId::location);
  out.framing = {
      .kind = body.empty() ? http::BodyKind::none : http::BodyKind::length, .length = body.size(), .declared = true};
  exchange.local_body = body;
  exchange.local = true;
  add_headers(exchange);
}

}  // namespace gatehouse::exchange
