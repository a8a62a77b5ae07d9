#include "proxy/exchange/response_filters.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "proxy/base/ascii.hpp"
#include "proxy/config/settings/files.hpp"
#include "proxy/config/settings/headers.hpp"
#include "proxy/exchange/caching/cache_use.hpp"
#include "proxy/exchange/response_output.hpp"
#include "proxy/exchange/slices.hpp"
#include "proxy/exchange/upstream_rewrites.hpp"
#include "proxy/exchange/user_id.hpp"
#include "proxy/exchange/variables.hpp"
#include "proxy/http/chars.hpp"
#include "proxy/http/conditional.hpp"
#include "proxy/http/date.hpp"
#include "proxy/http/local_reply.hpp"
#include "proxy/http/semantics.hpp"
#include "proxy/http/status.hpp"

namespace gatehouse::exchange {
namespace {

// nginx's list of statuses that plain add_header applies to.
constexpr std::array<int, 10> kAddHeaderStatuses = {200, 201, 204, 206, 301, 302, 303, 304, 307, 308};

/// Whether the body of a response may still be left out, or be an empty one where there was none.
enum class BodyOf : std::uint8_t { upstream, ourselves };

void begin_head(Exchange& exchange, int status, BodyOf body) {
  ResponseHeadOut& head = exchange.response;
  // An upstream's response without content can't be told as one that has some, nor the other way round: its framing is settled.
  const bool forced =
      exchange.forced_status != 0 && status != 101 &&
      (body == BodyOf::ourselves || http::has_content(exchange.forced_status) == http::has_content(status));
  head.status = forced ? exchange.forced_status : status;
  head.fields.clear();
  const auto& settings = exchange.settings();
  head.fields.add("Server",
                  http::server_name(settings.server_tokens ? http::ServerTokens::on : http::ServerTokens::off),
                  http::FieldId::server);
  const auto date = exchange.thread.date.imf(exchange.wall_seconds());
  head.fields.add("Date", exchange.arena.copy(date), http::FieldId::date);
  if (exchange.carried) {
    for (const auto& field : *exchange.carried) head.fields.add(field.name, field.value, field.id);
  }
}

void set_expires(Exchange& exchange, const config::Expires& expires) {
  using Kind = config::Expires::Kind;
  http::Fields& fields = exchange.response.fields;
  const auto set = [&](std::string_view date, std::string_view control) {
    fields.set("Expires", date, http::FieldId::expires);
    fields.set("Cache-Control", control, http::FieldId::cache_control);
  };
  const std::int64_t now = exchange.wall_seconds();
  std::int64_t until = now + expires.seconds;
  switch (expires.kind) {
    case Kind::off: return;
    case Kind::epoch: return set("Thu, 01 Jan 1970 00:00:01 GMT", "no-cache");
    case Kind::max: return set("Thu, 31 Dec 2037 23:55:55 GMT", "max-age=315360000");
    case Kind::access: break;
    case Kind::modified: {
      const auto modified = fields.value(http::FieldId::last_modified);
      const auto since = modified ? http::parse_http_date(*modified) : std::nullopt;
      if (since) until = *since + expires.seconds;
      break;
    }
    case Kind::daily: {
      // The next time that the day's clock shows it, here and now.
      const std::time_t seconds = now;
      std::tm local{};
      localtime_r(&seconds, &local);
      const std::int64_t clock = (local.tm_hour * 60 + local.tm_min) * 60 + local.tm_sec;
      until = now - clock + expires.seconds;
      if (until <= now) until += 24 * 60 * 60;
      break;
    }
  }
  const auto date = http::format_imf_date(until);
  const bool past = until < now || (expires.kind != Kind::daily && expires.seconds < 0);
  set(exchange.arena.copy(http::view(date)),
      past ? "no-cache" : exchange.arena.copy(fmt::format("max-age={}", until - now)));
}

void apply_expires(Exchange& exchange) {
  const auto& headers = exchange.settings().headers;
  if (!headers || (!headers->expires && !headers->expires_value)) return;
  if (headers->expires) return set_expires(exchange, *headers->expires);
  const auto parsed = config::Expires::parse(evaluate(*headers->expires_value, exchange), headers->expires_modified);
  if (parsed) set_expires(exchange, *parsed);
}

// A variable may hold a line end that the client sent escaped; it must not end the field.
bool breaks_line(std::string_view value) {
  return std::ranges::any_of(value, [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
}

bool is_for(const config::FieldChange& change, const Exchange& exchange) {
  const auto& statuses = change.statuses;
  const auto& types = change.types;
  if (!statuses.empty() && std::ranges::find(statuses, exchange.response.status) == statuses.end()) return false;
  if (types.empty()) return true;
  std::string_view type = exchange.response.fields.value(http::FieldId::content_type).value_or(std::string_view{});
  type = type.substr(0, type.find_first_of("; "));
  return std::ranges::any_of(types, [&](const std::string& one) { return http::iequals(one, type); });
}

void apply(const config::FieldChange& change, Exchange& exchange) {
  http::Fields& fields = exchange.response.fields;
  const std::string_view value = change.value ? evaluate(*change.value, exchange) : std::string_view{};
  if (breaks_line(value)) return;
  if (change.is_prefix) {
    http::Fields kept;
    for (const auto& field : fields) {
      const bool goes = http::iequals(field.name.substr(0, change.name.size()), change.name) &&
                        field.id != http::FieldId::content_length;
      if (!goes) kept.add(field.name, field.value, field.id);
    }
    fields = kept;
  } else if (!change.appends) {
    fields.remove(change.name);
  }
  if (!value.empty()) fields.add(change.name, value, http::field_id(change.name));
}

void add_headers(Exchange& exchange) {
  if (const auto& headers = exchange.settings().headers) {
    for (const auto& change : headers->field_changes) {
      if (is_for(change, exchange)) apply(change, exchange);
    }
  }
  const auto& rules = *exchange.settings().add_header;
  if (!exchange.challenge.empty() && !exchange.response.fields.contains(http::FieldId::www_authenticate)) {
    exchange.response.fields.add("WWW-Authenticate", exchange.challenge, http::FieldId::www_authenticate);
  }
  if (exchange.settings().userid) add_user_id(exchange);
  if (!exchange.sticky_cookie.empty()) {
    exchange.response.fields.add("Set-Cookie", exchange.sticky_cookie, http::FieldId::set_cookie);
  }
  if (rules.empty() && !exchange.settings().headers) return;
  const int status = exchange.response.status;
  const bool listed =
      std::find(kAddHeaderStatuses.begin(), kAddHeaderStatuses.end(), status) != kAddHeaderStatuses.end();
  if (listed) apply_expires(exchange);
  for (const auto& rule : rules) {
    if (!listed && !rule.always) continue;
    const std::string_view value = evaluate(rule.value, exchange);
    if (breaks_line(value)) continue;
    const http::FieldId id = http::field_id(rule.name);
    if (id == http::FieldId::last_modified || id == http::FieldId::etag) {
      // Of these there is one: it takes the response's own place, and "" removes it.
      exchange.response.fields.remove(id);
      if (!value.empty()) exchange.response.fields.add(rule.name, value, id);
      continue;
    }
    if (!value.empty()) exchange.response.fields.add(rule.name, value, id);
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
  return std::ranges::any_of(lower_names, [&](const std::string& lower) { return iequals(lower, name); });
}

bool is_hidden(const Exchange& exchange, const http::Field& field) {
  const LocationRuntime& route = *exchange.route;
  if (field.id == http::FieldId::other) return !route.hidden_names.empty() && lists(route.hidden_names, field.name);
  if (route.hidden.contains(field.id)) return true;
  if (!hidden_by_default(field.id)) return false;
  const auto& passed = *exchange.settings().proxy_pass_header;
  return passed.empty() || !lists(passed, field.name);
}

// The client's conditions on a 200, which becomes 304 or 412 by them. False: the 412 is a local reply.
bool meets_conditions(Exchange& exchange) {
  ResponseHeadOut& head = exchange.response;
  if (head.status != 200 || exchange.parent != nullptr) return true;
  http::Validators validators;
  if (const auto modified = head.fields.value(http::FieldId::last_modified))
    validators.last_modified = http::parse_http_date(*modified);
  validators.etag = head.fields.value(http::FieldId::etag).value_or(std::string_view{});
  switch (http::check_preconditions(exchange.head.fields, validators,
                                    config::files_of(exchange.settings()).if_modified_since)) {
    case http::Precondition::proceed: break;
    case http::Precondition::failed: exchange.reply(412, Reason::precondition_failed); return false;
    case http::Precondition::not_modified:
      head.status = 304;
      head.reason = {};
      for (const auto id : {http::FieldId::content_type, http::FieldId::content_length, http::FieldId::content_encoding,
                            http::FieldId::accept_ranges}) {
        head.fields.remove(id);
      }
      head.framing = {};
      exchange.allow_ranges = false;
      break;
  }
  return true;
}

}  // namespace

bool adopt_upstream_head(Exchange& exchange, const http::ResponseHead& head, const http::ResponseSemantics& semantics) {
  begin_head(exchange, head.status, BodyOf::upstream);
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
    if (field.id == http::FieldId::set_cookie) value = rewritten_cookie(exchange, value);
    out.fields.add(field.name, value, field.id);
  }
  out.framing = semantics.framing;
  if (bodiless) out.framing.kind = http::BodyKind::none;
  if (semantics.framing.kind == http::BodyKind::until_close) out.framing.kind = http::BodyKind::chunked;
  exchange.flush_each_piece = !exchange.settings().proxy_buffering;
  if (head.fields.contains(http::FieldId::x_accel_limit_rate) ||
      head.fields.contains(http::FieldId::x_accel_buffering) || head.fields.contains(http::FieldId::x_accel_charset)) {
    obey_accel_fields(exchange, head.fields);
  }
  if (exchange.slicing && !adopt_slice(exchange)) return false;
  const bool cacheable = exchange.cache && exchange.cache->may_store;
  if (!exchange.slicing && exchange.head.fields.contains(http::FieldId::range)) {
    exchange.allow_ranges = config::transform_of(exchange.settings()).force_ranges ||
                            (cacheable && head.fields.contains(http::FieldId::accept_ranges));
  }
  if (cacheable && !meets_conditions(exchange)) return false;
  add_headers(exchange);
  return true;
}

void make_local_head(Exchange& exchange, int status, std::string_view content_type, std::string_view body,
                     std::string_view location) {
  begin_head(exchange, status, BodyOf::ourselves);
  ResponseHeadOut& out = exchange.response;
  out.reason = {};
  exchange.error_status = 0;
  if (!http::has_content(out.status)) body = {};
  if (!content_type.empty() && http::has_content(out.status)) {
    out.fields.add("Content-Type", content_type, http::FieldId::content_type);
  }
  if (!location.empty()) out.fields.add("Location", location, http::FieldId::location);
  out.framing = {
      .kind = body.empty() ? http::BodyKind::none : http::BodyKind::length, .length = body.size(), .declared = true};
  exchange.local_body = body;
  exchange.local = true;
  exchange.allow_ranges = false;
  exchange.output.reset();
  exchange.slicing.reset();
  add_headers(exchange);
}

void begin_local_head(Exchange& exchange, int status) {
  begin_head(exchange, status, BodyOf::upstream);
  exchange.response.reason = {};
  exchange.error_status = 0;
}

bool settle_output(Exchange& exchange) {
  begin_output(exchange);
  if (exchange.range_refused.empty()) return true;
  const std::string_view range = std::exchange(exchange.range_refused, {});
  exchange.reply(416, Reason::range_not_satisfiable);
  exchange.response.fields.add("Content-Range", range, http::FieldId::content_range);
  return false;
}

bool settle_head(Exchange& exchange) {
  ResponseHeadOut& head = exchange.response;
  if (!meets_conditions(exchange)) return false;
  const bool dated = head.status == 200 || head.status == 206 || head.status == 304;
  if (!dated) head.fields.remove(http::FieldId::last_modified);
  add_headers(exchange);
  return settle_output(exchange);
}

}  // namespace gatehouse::exchange
