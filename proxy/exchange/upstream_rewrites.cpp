#include "proxy/exchange/upstream_rewrites.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "proxy/config/parse_value.hpp"
#include "proxy/exchange/captures.hpp"
#include "proxy/exchange/variables.hpp"
#include "proxy/http/chars.hpp"

namespace gatehouse::exchange {
namespace {

enum class Compare : std::uint8_t { prefix, domain };

// The value after the first rule that holds; its own address when none does.
std::string_view replaced(Exchange& exchange, const std::vector<config::ReplaceRule>& rules, std::string_view value,
                          Compare compare) {
  for (const auto& rule : rules) {
    if (rule.regex) {
      if (!match_and_keep(exchange, *rule.regex, value)) continue;
      return exchange.arena.copy(evaluate(rule.to, exchange));
    }
    const std::string_view from = evaluate(rule.from, exchange);
    if (compare == Compare::domain) {
      // A dot before either is of no meaning (RFC 6265 section 5.2.3).
      const std::string_view bare = value.starts_with('.') ? value.substr(1) : value;
      const std::string_view wanted = from.starts_with('.') ? from.substr(1) : from;
      if (http::iequals(bare, wanted)) {
        return exchange.arena.concat(value.substr(0, value.size() - bare.size()), evaluate(rule.to, exchange));
      }
      continue;
    }
    if (value.starts_with(from)) return exchange.arena.concat(evaluate(rule.to, exchange), value.substr(from.size()));
  }
  return value;
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

struct Attribute {
  std::string_view name;
  std::string_view value;
  bool has_value = false;
};

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

std::vector<Attribute> parse_cookie(std::string_view text) {
  std::vector<Attribute> attributes;
  while (true) {
    const std::size_t semicolon = std::min(text.find(';'), text.size());
    const std::string_view part = trimmed(text.substr(0, semicolon));
    const std::size_t equals = part.find('=');
    if (!part.empty() || attributes.empty()) {
      attributes.push_back({trimmed(part.substr(0, equals)),
                            equals == std::string_view::npos ? std::string_view{} : trimmed(part.substr(equals + 1)),
                            equals != std::string_view::npos});
    }
    if (semicolon == text.size()) return attributes;
    text.remove_prefix(semicolon + 1);
  }
}

bool apply_flags(Exchange& exchange, const std::vector<config::CookieFlags>& rules,
                 std::vector<Attribute>& attributes) {
  using Flag = config::CookieFlags::Flag;
  using SameSite = config::CookieFlags::SameSite;
  for (const auto& rule : rules) {
    const std::string_view name = attributes.front().name;
    const bool holds = rule.regex ? match_and_keep(exchange, *rule.regex, name) : name == evaluate(rule.name, exchange);
    if (!holds) continue;
    const auto drop = [&](std::string_view attribute) {
      std::erase_if(attributes, [&](const Attribute& one) {
        return &one != &attributes.front() && http::iequals(one.name, attribute);
      });
    };
    if (rule.secure != Flag::keep) drop("secure");
    if (rule.httponly != Flag::keep) drop("httponly");
    if (rule.samesite != SameSite::keep) drop("samesite");
    if (rule.secure == Flag::add) attributes.push_back({"Secure", {}, false});
    if (rule.httponly == Flag::add) attributes.push_back({"HttpOnly", {}, false});
    if (rule.samesite == SameSite::strict) attributes.push_back({"SameSite", "Strict", true});
    if (rule.samesite == SameSite::lax) attributes.push_back({"SameSite", "Lax", true});
    if (rule.samesite == SameSite::none) attributes.push_back({"SameSite", "None", true});
    return true;
  }
  return false;
}

}  // namespace

std::string_view redirected(Exchange& exchange, std::string_view value) {
  const auto& settings = exchange.settings();
  switch (settings.proxy_redirect) {
    case config::LocationSettings::Redirect::off: return value;
    case config::LocationSettings::Redirect::standard: return redirect_by_default(exchange, value);
    case config::LocationSettings::Redirect::rules: break;
  }
  if (!settings.proxy_redirect_rules) return value;
  const std::string_view made = replaced(exchange, *settings.proxy_redirect_rules, value, Compare::prefix);
  return made.data() == value.data() && settings.proxy_redirect_standard_too ? redirect_by_default(exchange, value)
                                                                             : made;
}

std::string_view redirected_refresh(Exchange& exchange, std::string_view value) {
  const std::size_t at = value.find("url=");
  if (at == std::string_view::npos) return value;
  return exchange.arena.concat(value.substr(0, at + 4), redirected(exchange, value.substr(at + 4)));
}

std::string_view rewritten_cookie(Exchange& exchange, std::string_view value) {
  const auto& transform = exchange.settings().proxy_transform;
  if (!transform ||
      (transform->cookie_domain.empty() && transform->cookie_path.empty() && transform->cookie_flags.empty()))
    return value;
  std::vector<Attribute> attributes = parse_cookie(value);
  bool changed = false;
  for (std::size_t i = 1; i < attributes.size(); ++i) {
    Attribute& attribute = attributes[i];
    if (!attribute.has_value) continue;
    const bool domain = http::iequals(attribute.name, "domain");
    if (!domain && !http::iequals(attribute.name, "path")) continue;
    const std::string_view made = replaced(exchange, domain ? transform->cookie_domain : transform->cookie_path,
                                           attribute.value, domain ? Compare::domain : Compare::prefix);
    changed = changed || made.data() != attribute.value.data();
    attribute.value = made;
  }
  changed = apply_flags(exchange, transform->cookie_flags, attributes) || changed;
  if (!changed) return value;
  std::string text;
  for (const auto& attribute : attributes) {
    if (&attribute != &attributes.front()) text += "; ";
    text.append(attribute.name);
    if (attribute.has_value) text.append("=").append(attribute.value);
  }
  return exchange.arena.copy(text);
}

void obey_accel_fields(Exchange& exchange, const http::Fields& fields) {
  const std::uint32_t ignored = config::transform_of(exchange.settings()).ignore_headers;
  if (const auto rate = fields.value(http::FieldId::x_accel_limit_rate);
      rate && (ignored & config::ignore_x_accel_limit_rate) == 0) {
    if (const auto number = config::parse_number(*rate)) exchange.limit_rate = *number;
  }
  if (const auto buffering = fields.value(http::FieldId::x_accel_buffering);
      buffering && (ignored & config::ignore_x_accel_buffering) == 0) {
    if (http::iequals(*buffering, "no")) exchange.flush_each_piece = true;
    if (http::iequals(*buffering, "yes")) exchange.flush_each_piece = false;
  }
  if (const auto charset = fields.value(http::FieldId::x_accel_charset);
      charset && (ignored & config::ignore_x_accel_charset) == 0) {
    exchange.accel_charset = *charset;
  }
}

}  // namespace gatehouse::exchange
