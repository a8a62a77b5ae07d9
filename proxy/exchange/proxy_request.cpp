#include "proxy/exchange/proxy_request.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "proxy/exchange/caching/cache_use.hpp"
#include "proxy/exchange/variables.hpp"
#include "proxy/http/chars.hpp"
#include "proxy/http/semantics.hpp"
#include "proxy/http/url.hpp"

namespace gatehouse::exchange {
namespace {

std::string_view with_args(Exchange& exchange, std::string_view path) {
  if (exchange.args.empty()) return path;
  return exchange.arena.concat(path, std::string_view("?"), exchange.args);
}

std::string_view escaped(Exchange& exchange, std::string_view path) {
  if (!http::needs_escape(path, http::EscapeSet::uri)) return path;
  std::string text;
  http::escape_uri(path, http::EscapeSet::uri, text);
  return exchange.arena.copy(text);
}

// nginx escapes what the client had escaped, and what rewriting or an internal redirect made. Anything that would end the
// request line is escaped in any case.
std::string_view canonical(Exchange& exchange, std::string_view path) {
  const auto breaks_line = [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f; };
  if (exchange.path_had_escapes || exchange.internal || exchange.raw_differs_in_meaning ||
      std::any_of(path.begin(), path.end(), breaks_line)) {
    return escaped(exchange, path);
  }
  return path;
}

// The client's own target, unless rewriting changed it, or an origin could take it for another path than the one that was checked here.
std::string_view unchanged_uri(Exchange& exchange) {
  if (exchange.raw_target_valid && !exchange.raw_differs_in_meaning) return exchange.semantics.path_and_query;
  return with_args(exchange, canonical(exchange, exchange.path));
}

// The directive's URI takes the place of the location's prefix; the rest of the canonical path is kept. After `rewrite ... break`
// the whole path goes up instead.
std::string_view replaced_uri(Exchange& exchange, std::string_view uri) {
  if (!exchange.location_prefix_valid) return with_args(exchange, canonical(exchange, exchange.path));
  const config::Location& location = *exchange.route->location;
  const std::size_t prefix = std::min(location.path.size(), exchange.path.size());
  const std::string_view rest = canonical(exchange, exchange.path.substr(prefix));
  return with_args(exchange, rest.empty() ? uri : exchange.arena.concat(uri, rest));
}

// `proxy_pass` with variables: the result names an upstream block, an address, or a host to be resolved.
Result<ProxyTarget> find_variable_target(Exchange& exchange, const config::ProxyPass& pass) {
  const std::string_view text = evaluate(*pass.target, exchange);
  const auto url = http::parse_url(text);
  if (!url) {
    exchange.log(LogLevel::error, fmt::format("invalid URL prefix in \"{}\"", text));
    return Error{Reason::bug};
  }
  exchange.proxy_host = url->authority;
  exchange.proxy_port = exchange.arena.copy(fmt::format_int(url->port).c_str());
  ProxyTarget target;
  target.tls = url->tls;
  target.uri = url->uri.empty()
                   ? unchanged_uri(exchange)
                   : (url->uri.front() == '/' ? url->uri : exchange.arena.concat(std::string_view("/"), url->uri));
  const auto& generation = *exchange.generation;
  const auto named = generation.shared->upstream_by_name.find(std::string(url->host));
  if (named != generation.shared->upstream_by_name.end() && !url->has_port) {
    target.cluster = generation.clusters[named->second];
  } else {
    target.cluster = exchange.thread.dynamic_cluster(url->host, url->port, exchange.settings().resolver);
  }
  return target;
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

// Fields that the proxy itself decides on; a rule for them could break the message's framing.
bool frames_message(std::string_view name) {
  const http::FieldId id = http::field_id(name);
  return id == http::FieldId::content_length || id == http::FieldId::transfer_encoding;
}

bool is_safe_value(std::string_view value) {
  return std::none_of(value.begin(), value.end(), [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
}

bool is_replaced(const UpstreamHeaders& headers, const http::Field& field) {
  if (field.id != http::FieldId::other) return headers.replaced.contains(field.id);
  return std::any_of(headers.replaced_names.begin(), headers.replaced_names.end(),
                     [&](const std::string& name) { return http::iequals(name, field.name); });
}

// Conditions and ranges of the client's are for the stored response, not for the upstream (nginx's ngx_http_proxy_cache_headers).
bool stays_with_cache(http::FieldId id) {
  switch (id) {
    case http::FieldId::if_match:
    case http::FieldId::if_none_match:
    case http::FieldId::if_modified_since:
    case http::FieldId::if_unmodified_since:
    case http::FieldId::if_range:
    case http::FieldId::range: return true;
    default: return false;
  }
}

// What asks the upstream whether the expired entry is still valid, unless a rule of the place says something else.
void append_validators(Exchange& exchange, std::string& out) {
  const UpstreamHeaders& headers = exchange.route->upstream_headers;
  const auto add = [&](http::FieldId id, std::string_view name, std::string_view value) {
    if (!value.empty() && !headers.replaced.contains(id)) append_field(out, name, value);
  };
  add(http::FieldId::if_modified_since, "If-Modified-Since", cached_last_modified(exchange));
  add(http::FieldId::if_none_match, "If-None-Match", cached_etag(exchange));
}

}  // namespace

Result<ProxyTarget> find_target(Exchange& exchange) {
  const config::ProxyPass& pass = *exchange.route->location->proxy_pass;
  if (pass.target) return find_variable_target(exchange, pass);
  exchange.proxy_host = pass.host;
  exchange.proxy_port = pass.port;
  ProxyTarget target;
  target.cluster = exchange.generation->clusters[pass.upstream];
  target.tls = pass.tls;
  target.uri = pass.uri ? replaced_uri(exchange, *pass.uri) : unchanged_uri(exchange);
  return target;
}

bool write_upstream_head(Exchange& exchange, const ProxyTarget& target, const UpstreamBodyPlan& body,
                         std::string& out) {
  const auto& settings = exchange.settings();
  const UpstreamHeaders& headers = exchange.route->upstream_headers;
  const bool old_version = settings.proxy_http_version == 10;
  bool asks_upgrade = false;

  const bool for_cache = exchange.cache && exchange.cache->may_store;
  const bool as_get = exchange.cache && exchange.cache->convert_head;
  out.append(settings.proxy_method ? evaluate(*settings.proxy_method, exchange)
             : as_get              ? std::string_view("GET")
                                   : exchange.method_text);
  out.append(" ").append(target.uri).append(old_version ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n");
  if (headers.host == nullptr) append_field(out, "Host", exchange.proxy_host);
  for (const auto& rule : *settings.proxy_set_header) {
    if (frames_message(rule.name)) continue;
    const std::string_view value = evaluate(rule.value, exchange);
    if (value.empty() || !is_safe_value(value)) continue;
    append_field(out, rule.name, value);
    if (http::field_id(rule.name) == http::FieldId::upgrade) asks_upgrade = true;
  }
  if (for_cache) append_validators(exchange, out);
  if (old_version && !headers.sends_connection) append_field(out, "Connection", "close");
  switch (body.kind) {
    case UpstreamBodyPlan::Kind::none:
      if (exchange.semantics.framing.declared) append_field(out, "Content-Length", "0");
      break;
    case UpstreamBodyPlan::Kind::buffered:
    case UpstreamBodyPlan::Kind::streamed:
      if (body.length)
        append_field(out, "Content-Length", fmt::format_int(*body.length).c_str());
      else
        append_field(out, "Transfer-Encoding", "chunked");
      break;
  }
  if (settings.proxy_pass_request_headers) {
    const http::Fields& fields = exchange.head.fields;
    for (const auto& field : fields) {
      if ((http::field_traits(field.id) & http::kHopByHop) != 0) continue;
      if (field.id == http::FieldId::host || field.id == http::FieldId::content_length ||
          field.id == http::FieldId::expect) {
        continue;
      }
      if (is_replaced(headers, field) || (for_cache && stays_with_cache(field.id))) continue;
      if (exchange.semantics.names_fields && http::is_nominated(fields, field)) continue;
      append_field(out, field.name, field.value);
    }
  }
  out.append("\r\n");
  return asks_upgrade;
}

}  // namespace gatehouse::exchange
