// Rows that only the stream block has, and the block itself. What it shares with http has its contexts in those rows.
#include <algorithm>
#include <array>

#include "proxy/config/blocks.hpp"
#include "proxy/config/defaults.hpp"
#include "proxy/config/endpoint.hpp"
#include "proxy/config/setters.hpp"
#include "proxy/config/settings/stream.hpp"
#include "proxy/config/tables.hpp"

namespace gatehouse::config {
namespace {

using S = StreamSettings;

std::size_t cluster_of(const Use& use, const Endpoint& endpoint) {
  auto& binder = *use.level.binder;
  const auto& upstreams = use.level.http->upstreams;
  if (!endpoint.unix_socket) {
    const auto named = binder.find_upstream(endpoint.host);
    if (named != ProxyPass::npos && !upstreams[named].implicit) {
      if (endpoint.port) {
        throw Invalid{fmt::format("upstream \"{}\" may not have port {}", endpoint.host, *endpoint.port), 1,
                      "the ports stand in the upstream block"};
      }
      return named;
    }
    if (!endpoint.port) {
      throw Invalid{fmt::format("no port in upstream \"{}\"", use[1]), 1, "neither an upstream block nor host:port"};
    }
  }
  if (const auto existing = binder.find_upstream(use[1]); existing != ProxyPass::npos) return existing;
  Upstream upstream;
  upstream.name = use[1];
  upstream.implicit = true;
  upstream.resolver = use.level.settings->resolver;
  upstream.position = use.statement.place(1).position();
  UpstreamServer server;
  server.name = use[1];
  server.host = endpoint.host;
  server.port = endpoint.port.value_or(0);
  server.address = endpoint.address;
  server.position = upstream.position;
  upstream.servers.push_back(std::move(server));
  return binder.add_upstream(std::move(upstream));
}

void set_stream_proxy_pass(const Use& use) {
  if (!use.first) refuse(use, 0, "is duplicate");
  ProxyPass pass;
  pass.position = use.statement.place(1).position();
  if (has_variable(use[1])) {
    pass.target = read_value(use);
  } else {
    std::string error;
    const auto endpoint = parse_endpoint(use[1], 0, error);
    if (!endpoint) {
      const bool url = use[1].find("://") != std::string::npos;
      throw Invalid{fmt::format("{} in upstream \"{}\"", error, use[1]), 1,
                    url ? "in stream, proxy_pass has no scheme: host:port or an upstream's name" : ""};
    }
    pass.upstream = cluster_of(use, *endpoint);
    pass.host = endpoint->unix_socket ? use[1] : endpoint->host;
    if (endpoint->port) pass.port = std::to_string(*endpoint->port);
  }
  use.level.location->proxy_pass = std::move(pass);
}
std::string show_stream_proxy_pass(const Level& level) {
  if (level.location == nullptr || !level.location->proxy_pass) return "";
  const auto& pass = *level.location->proxy_pass;
  return pass.target ? pass.target->source() : fmt::format("{} cluster={}", pass.host, pass.upstream);
}

void set_stream_variable(const Use& use) {
  if (!use[1].starts_with('$') || use[1].size() < 2)
    throw Invalid{fmt::format("invalid variable name \"{}\"", use[1]), 1, {}};
  const auto slot = use.level.binder->variables().define(std::string_view(use[1]).substr(1), 1);
  target<S>(use.level).assignments.push_back({slot, read_value(use, 2)});
}

void set_bind(const Use& use) {
  if (!use.first) refuse(use, 0, "is duplicate");
  auto& settings = target<S>(use.level);
  settings.proxy_bind.reset();
  settings.proxy_bind_transparent = false;
  if (use.count() == 1 && use[1] == "off") return;
  if (use.count() == 2) {
    if (use[2] != "transparent")
      throw Invalid{fmt::format("invalid parameter \"{}\"", use[2]), 2, "only \"transparent\""};
    use.level.binder->note_transparent();
    settings.proxy_bind_transparent = true;
  }
  auto address = read_value(use);
  if (address.is_constant() && !SocketAddress::parse(address.constant(), std::uint16_t{0}) &&
      !parse_ip(address.constant(), 0)) {
    throw Invalid{fmt::format("invalid address \"{}\"", use[1]), 1, "ADDRESS or ADDRESS:PORT"};
  }
  settings.proxy_bind = std::move(address);
}
std::string show_bind(const Level& level) {
  const auto* settings = read_target<S>(level);
  if (settings == nullptr) return "";
  if (!settings->proxy_bind) return "off";
  return settings->proxy_bind->source() + (settings->proxy_bind_transparent ? " transparent" : "");
}

// A constant rate is judged now, as every other size.
template <auto Member>
void set_rate(const Use& use) {
  auto& rate = slot<Member>(use);
  auto value = read_value(use);
  if (value.is_constant()) (void)read_size(use);
  rate = std::move(value);
}
template <auto Member>
constexpr Action rate() {
  return {set_rate<Member>, value<Member>().print, "RATE"};
}

void set_alpn(const Use& use) {
  auto& protocols = slot<&S::ssl_alpn>(use);
  protocols.clear();
  for (std::size_t i = 1; i <= use.count(); ++i) {
    if (use[i].empty() || use[i].size() > 255) throw Invalid{fmt::format("\"ssl_alpn\" protocol too long"), i, {}};
    protocols.push_back(use[i]);
  }
}
std::string show_alpn(const Level& level) {
  const auto* settings = read_target<S>(level);
  std::string text;
  if (settings == nullptr) return text;
  for (const auto& protocol : settings->ssl_alpn) text += (text.empty() ? "" : " ") + protocol;
  return text;
}

void set_pass(const Use& use) {
  auto& pass = slot<&S::pass>(use);
  auto address = read_value(use);
  if (address.is_constant() && !SocketAddress::parse(address.constant())) {
    std::string error;
    const auto endpoint = parse_endpoint(address.constant(), 0, error);
    throw Invalid{fmt::format("{} in \"{}\" of the \"pass\" directive",
                              !endpoint         ? error
                              : !endpoint->port ? "no port"
                                                : "invalid address",
                              use[1]),
                  1, "the address of a listener: ADDRESS:PORT or unix:PATH"};
  }
  pass = std::move(address);
}

// --- limit_conn

constexpr std::array<Choice<LogLevel>, 4> kLevels{
    {{"info", LogLevel::info}, {"notice", LogLevel::notice}, {"warn", LogLevel::warn}, {"error", LogLevel::error}}};

void add_zone(const Use& use) {
  StreamZone zone;
  for (std::size_t i = 2; i <= use.count(); ++i) {
    const std::string_view text = use[i];
    const auto colon = text.rfind(':');
    if (!text.starts_with("zone=")) throw Invalid{fmt::format("invalid parameter \"{}\"", text), i, "zone=NAME:SIZE"};
    const auto size = colon == std::string_view::npos ? std::nullopt : parse_size(text.substr(colon + 1));
    if (!size || colon <= 5) throw Invalid{fmt::format("invalid zone size \"{}\"", text), i, "zone=NAME:SIZE"};
    if (*size < 8 * 4096) throw Invalid{fmt::format("zone \"{}\" is too small", text), i, {}};
    zone.name = text.substr(5, colon - 5);
    zone.size = *size;
  }
  zone.key = read_value(use, 1);
  auto& zones = use.level.binder->config().stream_zones;
  if (const auto known = std::ranges::find(zones, zone.name, &StreamZone::name); known != zones.end()) {
    throw Invalid{
        fmt::format("limit_conn_zone \"{}\" is already bound to key \"{}\"", zone.name, known->key.source()), 2, {}};
  }
  zones.push_back(std::move(zone));
}

void add_limit(const Use& use) {
  const auto& zones = use.level.binder->config().stream_zones;
  const auto zone = std::ranges::find(zones, use[1], &StreamZone::name);
  add_connection_limit(use, target<S>(use.level).limit_conn, static_cast<std::size_t>(zone - zones.begin()),
                       zones.size(), "limit_conn_zone defines zones");
}
std::string show_limits(const Level& level) {
  const auto* settings = read_target<S>(level);
  return settings == nullptr ? "" : show_connection_limits(settings->limit_conn);
}

const Directive kRows[] = {
    {"stream",
     kMain,
     kBlock,
     {set_stream, nullptr, "{ ... }"},
     "TCP and UDP proxying: its settings, upstreams and servers.",
     Support::full,
     Phase::children},
    {"proxy_pass",
     kStreamServer,
     kOne,
     {set_stream_proxy_pass, show_stream_proxy_pass, "UPSTREAM | ADDRESS:PORT | unix:PATH"},
     "Where connections and datagrams go; with variables, evaluated for each session."},
    {"return", kStreamServer, kOne, value<&S::return_text>(), "Sends a text and closes the connection."},
    {"pass",
     kStreamServer,
     kOne,
     {set_pass, value<&S::pass>().print, "ADDRESS:PORT | unix:PATH"},
     "Hands the connection to another listener of stream or http, without connecting to it."},
    {"set",
     kStreamServer,
     kTwo,
     {set_stream_variable, nullptr, "$NAME VALUE"},
     "Sets a variable when a session begins."},
    {"proxy_timeout", kStreamBoth, kOne, time<&S::proxy_timeout>(), "Longest silence of both sides of a session."},
    {"proxy_buffer_size", kStreamBoth, kOne, size<&S::proxy_buffer_size>(),
     "Buffer of each direction of a connection; 32k at most are used."},
    {"proxy_upload_rate", kStreamBoth, kOne, rate<&S::proxy_upload_rate>(),
     "Most bytes per second read from a client's connection; 0 is no limit. Datagrams are not paced."},
    {"proxy_download_rate", kStreamBoth, kOne, rate<&S::proxy_download_rate>(),
     "Most bytes per second read from an upstream's connection; 0 is no limit. Datagrams are not paced."},
    {"proxy_responses", kStreamBoth, kOne, number<&S::proxy_responses, 0, 0x7fffffffu>(),
     "Datagrams expected in answer to each of the client's: the session ends with the last one. Not set: any number, "
     "until proxy_timeout."},
    {"proxy_requests", kStreamBoth, kOne, number<&S::proxy_requests, 0, 0x7fffffffu>(),
     "Datagrams of a client after which the next one begins a new session; 0 is no limit."},
    {"proxy_next_upstream", kStreamBoth, kOne, flag<&S::proxy_next_upstream>(),
     "Whether the next server is tried when a connection can't be made."},
    {"proxy_half_close", kStreamBoth, kOne, flag<&S::proxy_half_close>(),
     "Whether each direction of a connection ends by itself; off: the end of either ends both."},
    {"proxy_protocol", kStreamBoth, kOne, flag<&S::proxy_protocol>(),
     "Whether upstreams get a PROXY protocol header (version 1)."},
    {"proxy_ssl", kStreamBoth, kOne, flag<&S::proxy_ssl>(), "TLS towards upstreams."},
    {"proxy_bind",
     kStreamBoth,
     {1, 2, false},
     {set_bind, show_bind, "ADDRESS [transparent] | off"},
     "Local address of connections to upstreams."},
    {"limit_conn_zone",
     kStream,
     kTwo,
     {add_zone, nullptr, "KEY zone=NAME:SIZE"},
     "A zone that counts sessions by a key, over all event threads."},
    {"limit_conn",
     kStreamBoth,
     kTwo,
     {add_limit, show_limits, "ZONE NUMBER"},
     "Most sessions with the same key; more are closed.",
     Support::full,
     Phase::upstreams},
    {"limit_conn_log_level", kStreamBoth, kOne,
     choice<&S::limit_conn_log_level, kLevels>("info | notice | warn | error"),
     "Level of refused sessions in the log."},
    {"limit_conn_dry_run", kStreamBoth, kOne, flag<&S::limit_conn_dry_run>(),
     "Counts and logs, and lets sessions through."},
    {"ssl_preread", kStreamBoth, kOne, flag<&S::ssl_preread>(),
     "Whether the ClientHello is read, without ending TLS here: $ssl_preread_server_name and others."},
    {"ssl_alpn",
     kStreamBoth,
     kOneOrMore,
     {set_alpn, show_alpn, "PROTOCOL..."},
     "Protocols for ALPN, in order of preference; a client that offers none of them is refused."},
    {"preread_buffer_size", kStreamBoth, kOne, size<&S::preread_buffer_size>(),
     "Most bytes looked at before a session is proxied."},
    {"preread_timeout", kStreamBoth, kOne, time<&S::preread_timeout>(), "Time for what is looked at first."},
};

}  // namespace

void set_stream(const Use& use) {
  if (!use.first) refuse(use, 0, "is duplicate");
  auto& binder = *use.level.binder;
  const Binder::StreamScope scope(binder);
  auto server_settings = stream_server_defaults();
  auto level = use.level.inner(kStream, use.statement);
  level.http = &binder.config().stream;
  level.server_settings = &server_settings;
  level.settings = &level.http->settings;
  fill_stream_defaults(binder, *level.settings);
  binder.bind_block(use.statement.block, level);
}

void Binder::finish_stream_server(Server& server) {
  const auto& stream = server.root.settings.stream;
  const bool serves = server.root.proxy_pass || (stream && (stream->return_text || stream->pass));
  if (serves || reporter_.error_count() > 0) return;
  reporter_.error(server_statements_[&server]->place(), "no handler for server",
                  "it needs a proxy_pass, a return or a pass");
}

std::span<const Directive> stream_directives() { return kRows; }

}  // namespace gatehouse::config
