// `proxy_pass`: the URL, its URI part, and the cluster that it names or makes.
#include <fmt/format.h>

#include "proxy/base/ascii.hpp"
#include "proxy/config/binder.hpp"
#include "proxy/config/blocks.hpp"
#include "proxy/config/endpoint.hpp"
#include "proxy/config/setters.hpp"

namespace gatehouse::config {
namespace {

bool starts_with_nocase(std::string_view text, std::string_view lower_prefix) {
  return iequals(text.substr(0, lower_prefix.size()), lower_prefix);
}

// "host:port/uri", "host?x" or "unix:/path:/uri" in two; the second is absent when there is no URI part.
std::pair<std::string, std::optional<std::string>> split_uri(std::string_view text) {
  if (text.starts_with("unix:")) {
    const auto colon = text.find(':', 5);
    if (colon == std::string_view::npos) return {std::string(text), std::nullopt};
    return {std::string(text.substr(0, colon)), std::string(text.substr(colon + 1))};
  }
  const auto slash = text.find_first_of("/?#");
  if (slash == std::string_view::npos) return {std::string(text), std::nullopt};
  auto uri = std::string(text.substr(slash));
  if (uri.front() != '/') uri.insert(0, 1, '/');
  return {std::string(text.substr(0, slash)), std::move(uri)};
}

std::size_t find_or_add_cluster(const Use& use, const std::string& authority, const Endpoint& endpoint,
                                std::uint16_t port) {
  auto& binder = *use.level.binder;
  if (!endpoint.unix_socket) {
    const auto named = binder.find_upstream(endpoint.host);
    if (named != ProxyPass::npos && !binder.config().http.upstreams[named].implicit) {
      if (endpoint.port) {
        throw Invalid{fmt::format("upstream \"{}\" may not have port {}", endpoint.host, *endpoint.port), 1,
                      "the ports stand in the upstream block"};
      }
      return named;
    }
  }
  const auto name = endpoint.unix_socket ? authority
                    : endpoint.ipv6      ? fmt::format("[{}]:{}", endpoint.host, port)
                                         : fmt::format("{}:{}", endpoint.host, port);
  const auto existing = binder.find_upstream(name);
  if (existing != ProxyPass::npos) return existing;
  Upstream upstream;
  upstream.name = name;
  upstream.implicit = true;
  upstream.resolver = use.level.settings->resolver;
  upstream.position = use.statement.place(1).position();
  UpstreamServer server;
  server.name = name;
  server.host = endpoint.host;
  server.port = endpoint.unix_socket ? 0 : port;
  server.address = endpoint.address;
  server.position = upstream.position;
  upstream.servers.push_back(std::move(server));
  return binder.add_upstream(std::move(upstream));
}

}  // namespace

void set_proxy_pass(const Use& use) {
  if (!use.first) refuse(use, 0, "is duplicate");
  auto& location = *use.level.location;
  ProxyPass pass;
  pass.position = use.statement.place(1).position();
  if (has_variable(use[1])) {
    pass.target = read_value(use);
    location.proxy_pass = std::move(pass);
    return;
  }
  std::string_view url = use[1];
  if (starts_with_nocase(url, "http://")) {
    url.remove_prefix(7);
  } else if (starts_with_nocase(url, "https://")) {
    pass.tls = true;
    url.remove_prefix(8);
  } else {
    throw Invalid{"invalid URL prefix", 1, "it must be http:// or https://"};
  }
  auto [authority, uri] = split_uri(url);
  const std::uint16_t default_port = pass.tls ? 443 : 80;
  std::string error;
  const auto endpoint = parse_endpoint(authority, default_port, error);
  if (!endpoint) throw Invalid{fmt::format("{} in upstream \"{}\"", error, url), 1, {}};
  const bool no_prefix = location.kind == LocationKind::regex || location.kind == LocationKind::named ||
                         use.level.context == kLocationIf || use.level.context == kLimitExcept;
  if (uri && no_prefix) {
    throw Invalid{
        "\"proxy_pass\" cannot have URI part in location given by regular expression, or inside named location, or "
        "inside "
        "\"if\" statement, or inside \"limit_except\" block",
        1, fmt::format("remove \"{}\"; use rewrite to change the URI", *uri)};
  }
  const auto port = endpoint->port.value_or(default_port);
  pass.upstream = find_or_add_cluster(use, authority, *endpoint, port);
  pass.uri = std::move(uri);
  if (endpoint->unix_socket) {
    pass.host = "localhost";
  } else {
    pass.host =
        port == default_port ? (endpoint->ipv6 ? fmt::format("[{}]", endpoint->host) : endpoint->host) : authority;
    pass.port = std::to_string(port);
  }
  location.proxy_pass = std::move(pass);
}

}  // namespace gatehouse::config
