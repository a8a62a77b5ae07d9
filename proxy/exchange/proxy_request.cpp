#include "proxy/exchange/proxy_request.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "proxy/exchange/variables.hpp"
#include "proxy/http/chars.hpp"
#include "proxy/http/semantics.hpp"

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

struct Url {
  bool tls = false;
  std::string_view host;  ///< with brackets
  std::string_view authority;
  std::uint16_t port = 80;
  bool has_port = false;
  std::string_view uri;
};

std::optional<Url> parse_url(std::string_view text) {
  Url url;
  if (text.starts_with("https://")) {
    url.tls = true;
    url.port = 443;
    text.remove_prefix(8);
  } else if (text.starts_with("http://")) {
    text.remove_prefix(7);
  } else {
    return std::nullopt;
  }
  const std::size_t end = std::min(text.find_first_of("/?"), text.size());
  url.authority = text.substr(0, end);
  url.uri = text.substr(end);
  url.host = url.authority;
  const std::size_t bracket = url.authority.rfind(']');
  const std::size_t colon = url.authority.rfind(':');
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    url.host = url.authority.substr(0, colon);
    const std::string_view port = url.authority.substr(colon + 1);
    const auto parsed = std::from_chars(port.data(), port.data() + port.size(), url.port);
    if (parsed.ec != std::errc{} || parsed.ptr != port.data() + port.size() || url.port == 0) return std::nullopt;
    url.has_port = true;
  }
  if (url.host.empty()) return std::nullopt;
  return url;
}

// `proxy_pass` with variables: the result names an upstream block, an address, or a host to be resolved.
Result<ProxyTarget> find_variable_target(Exchange& exchange, const config::ProxyPass& pass) {
  const std::string_view text = evaluate(*pass.target, exchange);
  const auto url = parse_url(text);
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

  out.append(settings.proxy_method ? evaluate(*settings.proxy_method, exchange) : exchange.method_text);
  out.append(" ").append(target.uri).append(old_version ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n");
  if (headers.host == nullptr) append_field(out, "Host", exchange.proxy_host);
  for (const auto& rule : *settings.proxy_set_header) {
    if (frames_message(rule.name)) continue;
    const std::string_view value = evaluate(rule.value, exchange);
    if (value.empty() || !is_safe_value(value)) continue;
    append_field(out, rule.name, value);
    if (http::field_id(rule.name) == http::FieldId::upgrade) asks_upgrade = true;
  }
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
      if (is_replaced(headers, field)) continue;
      if (exchange.semantics.names_fields && http::is_nominated(fields, field)) continue;
      append_field(out, field.name, field.value);
    }
  }
  out.append("\r\n");
  return asks_upgrade;
}

}  // namespace gatehouse::exchange
