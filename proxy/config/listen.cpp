// `listen` and `server_name`, and the listeners that all servers together make.
#include <algorithm>
#include <limits>
#include <set>

#include <fmt/format.h>
#include <unistd.h>

#include "proxy/base/ascii.hpp"
#include "proxy/config/binder.hpp"
#include "proxy/config/blocks.hpp"
#include "proxy/config/endpoint.hpp"
#include "proxy/config/parse_value.hpp"
#include "proxy/config/setters.hpp"

namespace gatehouse::config {
namespace {

constexpr std::uint16_t kDefaultPort = 80;

[[noreturn]] void bad_address(const Use& use, std::string_view what) {
  throw Invalid{fmt::format("{} in \"{}\" of the \"listen\" directive", what, use[1]), 1,
                "such as 443, 127.0.0.1:8080, [::]:443, *:80 or unix:/path"};
}

// "8000" and "8000-8010" alone are ports of every IPv4 address; otherwise the text in front of the range.
struct Ports {
  std::uint16_t first;
  std::uint16_t last;
};
std::optional<Ports> read_ports(std::string_view text) {
  const auto dash = text.find('-');
  const auto first = parse_port(text.substr(0, dash));
  if (!first) return std::nullopt;
  if (dash == std::string_view::npos) return Ports{*first, *first};
  const auto last = parse_port(text.substr(dash + 1));
  if (!last || *last < *first) return std::nullopt;
  return Ports{*first, *last};
}

std::vector<SocketAddress> read_addresses(const Use& use) {
  std::string_view text = use[1];
  std::string host = "*";
  const bool needs_port = use.level.context == kStreamServer;
  Ports ports{kDefaultPort, kDefaultPort};
  if (!text.starts_with("unix:")) {
    // The last colon that doesn't stand inside an IPv6 address splits off the ports.
    const auto colon = text.rfind(':');
    const bool has_port = colon != std::string_view::npos && text.find(']', colon) == std::string_view::npos;
    const bool digits_only = !text.empty() && text.find_first_not_of("0123456789-") == std::string_view::npos;
    if (has_port || digits_only) {
      const auto read = read_ports(has_port ? text.substr(colon + 1) : text);
      if (!read) bad_address(use, "invalid port");
      ports = *read;
      host = has_port ? std::string(text.substr(0, colon)) : "*";
    } else {
      if (needs_port) bad_address(use, "no port");
      host = text;
    }
  } else {
    host = text;
  }
  std::vector<SocketAddress> bases;
  if (host == "*") {
    bases.push_back(SocketAddress::ipv4({0, 0, 0, 0}, kDefaultPort));
  } else {
    std::string error;
    const auto endpoint = parse_endpoint(host, kDefaultPort, error);
    if (!endpoint) bad_address(use, error);
    if (endpoint->unix_socket) return {*endpoint->address};
    bases = endpoint->address ? std::vector{*endpoint->address} : look_up(endpoint->host, kDefaultPort);
    if (bases.empty()) bad_address(use, "host not found");
  }
  std::vector<SocketAddress> result;
  for (const auto& base : bases) {
    for (std::uint32_t port = ports.first; port <= ports.last; ++port) {
      result.push_back(base.with_port(static_cast<std::uint16_t>(port)));
    }
  }
  return result;
}

// "name=" parameters of listen. Returns the value, or nothing when `text` is another parameter.
std::optional<std::string_view> parameter(std::string_view text, std::string_view name) {
  if (!text.starts_with(name)) return std::nullopt;
  return text.substr(name.size());
}

bool read_socket_option(const Use& use, std::size_t word, ListenOptions& options) {
  const std::string_view text = use[word];
  if (text == "bind") return true;
  if (const auto routing = parameter(text, "setfib="); routing && parse_number(*routing)) return true;
  if (const auto filter = parameter(text, "accept_filter="); filter && !filter->empty()) return true;
  if (text == "deferred") return options.deferred = true;
  if (text == "reuseport") return options.reuseport = true;
  if (const auto backlog = parameter(text, "backlog=")) {
    const auto number = parse_number(*backlog);
    if (!number || *number == 0 || *number > std::numeric_limits<int>::max()) {
      throw Invalid{fmt::format("invalid backlog \"{}\"", text), word, {}};
    }
    options.backlog = static_cast<int>(*number);
    return true;
  }
  if (const auto fastopen = parameter(text, "fastopen=")) {
    const auto number = parse_number(*fastopen);
    if (!number || *number > std::numeric_limits<int>::max()) {
      throw Invalid{fmt::format("invalid fastopen \"{}\"", text), word, {}};
    }
    options.fastopen = static_cast<int>(*number);
    return true;
  }
  for (const auto& [name, member] :
       {std::pair{"rcvbuf=", &ListenOptions::rcvbuf}, std::pair{"sndbuf=", &ListenOptions::sndbuf}}) {
    const auto size_text = parameter(text, name);
    if (!size_text) continue;
    const auto size = parse_size(*size_text);
    if (!size) throw Invalid{fmt::format("invalid {} \"{}\"", std::string_view(name, 6), text), word, {}};
    options.*member = *size;
    return true;
  }
  if (const auto only = parameter(text, "ipv6only=")) {
    if (*only != "on" && *only != "off") throw Invalid{fmt::format("invalid ipv6only flags \"{}\"", *only), word, {}};
    options.ipv6only = *only == "on";
    return true;
  }
  if (const auto keepalive = parameter(text, "so_keepalive=")) {
    const bool times = std::ranges::count(*keepalive, ':') == 2;
    if (*keepalive != "on" && *keepalive != "off" && !times) {
      throw Invalid{fmt::format("invalid so_keepalive value: \"{}\"", *keepalive), word, {}};
    }
    options.so_keepalive = *keepalive != "off";
    return true;
  }
  return false;
}

void read_parameters(const Use& use, ListenUse& listen) {
  for (std::size_t i = 2; i <= use.count(); ++i) {
    const std::string_view text = use[i];
    if (read_socket_option(use, i, listen.options)) {
      listen.sets_socket_options = true;
    } else if (text == "default_server" || text == "default") {
      listen.default_server = true;
    } else if (text == "ssl") {
      listen.options.ssl = true;
    } else if (text == "udp" && use.level.context == kStreamServer) {
      listen.options.udp = true;
    } else if (text == "http2" && use.level.context != kStreamServer) {
      listen.options.http2 = true;
      note_http2(use, i);
    } else if (text == "proxy_protocol") {
      listen.options.proxy_protocol = true;
    } else if (text == "quic" && use.level.context != kStreamServer) {
      listen.quic = true;
      use.level.binder->note_once("quic", use.statement, i, "HTTP/3 is not served: nothing listens for \"quic\"",
                                  "clients use the TCP listens; an Alt-Svc header that announces h3 does nothing");
    } else {
      constexpr std::array<std::string_view, 14> kNames{
          "http2",   "default_server", "ssl",      "proxy_protocol", "reuseport", "deferred",      "bind",
          "rcvbuf=", "sndbuf=",        "backlog=", "ipv6only=",      "fastopen=", "so_keepalive=", "udp"};
      const auto names = std::span(kNames).subspan(use.level.context == kStreamServer ? 1 : 0, 13);
      throw Invalid{fmt::format("invalid parameter \"{}\"", text), i, did_you_mean(text, names)};
    }
  }
}

// What means nothing on datagrams, in nginx's words.
void refuse_on_udp(const Use& use) {
  for (std::size_t i = 2; i <= use.count(); ++i) {
    const auto name = std::string_view(use[i]).substr(0, use[i].find('='));
    for (const std::string_view stream_only :
         {"ssl", "so_keepalive", "proxy_protocol", "backlog", "deferred", "fastopen"}) {
      if (name == stream_only) refuse(use, i, fmt::format("\"{}\" parameter is incompatible with \"udp\"", name));
    }
  }
}

[[noreturn]] void bad_name(const Use& use, std::size_t word, bool malformed) {
  const auto text = malformed ? fmt::format("server name \"{}\" is invalid", use[word])
                              : fmt::format("invalid server name or wildcard \"{}\"", use[word]);
  throw Invalid{text, word, "a * may only be the first or the last label: *.x.y or x.*"};
}

void add_name(const Use& use, std::size_t word) {
  auto& names = use.level.server->names;
  const std::string& given = use[word];
  if (given.starts_with('~')) {
    if (given.size() == 1) throw Invalid{fmt::format("empty regex in server name \"{}\"", given), word, {}};
    const auto pattern = given.substr(1);
    // Host names reach the expression in lower case, so one written with capitals must not care.
    const bool capitals = std::ranges::any_of(pattern, [](char c) { return c >= 'A' && c <= 'Z'; });
    names.push_back({ServerName::Kind::regex, pattern, use.level.binder->compile_regex(pattern, capitals, word)});
    return;
  }
  auto name = lower_case(given);
  if (name == "$hostname") {
    std::array<char, 256> host{};
    if (::gethostname(host.data(), host.size() - 1) == 0) name = lower_case(host.data());
  }
  if (name.find('/') != std::string::npos) {
    use.level.binder->warn(use.statement, word, fmt::format("server name \"{}\" has suspicious symbols", given));
  }
  const bool lone_star = name.starts_with('*') && (name.size() < 3 || name[1] != '.');
  if (lone_star || name == ".") bad_name(use, word, true);
  auto kind = ServerName::Kind::exact;
  bool both = false;
  if (name.starts_with("*.")) {
    kind = ServerName::Kind::leading_wildcard;
    name.erase(0, 2);
  } else if (name.starts_with('.')) {
    both = true;
    name.erase(0, 1);
  } else if (name.ends_with(".*")) {
    kind = ServerName::Kind::trailing_wildcard;
    name.erase(name.size() - 2);
  }
  const bool stripped = both || kind != ServerName::Kind::exact;
  if ((stripped && name.empty()) || name.find('*') != std::string::npos || name.find("..") != std::string::npos) {
    bad_name(use, word, false);
  }
  if (both) names.push_back({ServerName::Kind::leading_wildcard, name, nullptr});
  names.push_back({kind, std::move(name), nullptr});
}

}  // namespace

void set_listen(const Use& use) {
  ListenUse listen;
  listen.place = use.statement.place(1);
  listen.position = listen.place.position();
  read_parameters(use, listen);
  if (listen.options.udp) refuse_on_udp(use);
  if (listen.quic && listen.options.ssl) throw Invalid{"\"ssl\" parameter is incompatible with \"quic\"", 0, {}};
  if (listen.quic && listen.options.http2) throw Invalid{"\"http2\" parameter is incompatible with \"quic\"", 0, {}};
  if (listen.quic && listen.options.proxy_protocol) {
    throw Invalid{"\"proxy_protocol\" parameter is incompatible with \"quic\"", 0, {}};
  }
  for (const auto& address : read_addresses(use)) {
    if (listen.options.udp && address.family() == AddressFamily::unix_path) {
      throw Invalid{fmt::format("\"udp\" is not supported on addr \"{}\"", address.to_string()), 1, {}};
    }
    for (const auto& other : use.level.binder->listens(*use.level.server)) {
      if (other.address == address && other.options.udp == listen.options.udp && other.quic == listen.quic)
        throw Invalid{fmt::format("a duplicate listen {}", address.to_string()), 1, {}};
    }
    if (listen.options.ipv6only && address.family() != AddressFamily::ipv6) {
      throw Invalid{fmt::format("ipv6only is not supported on addr \"{}\"", address.to_string()), 1, {}};
    }
    listen.address = address;
    use.level.binder->add_listen(*use.level.server, listen);
  }
}

void set_server_name(const Use& use) {
  auto& server = *use.level.server;
  for (std::size_t i = 1; i <= use.count(); ++i) {
    add_name(use, i);
    if (use.first && i == 1) server.name = use[1].starts_with('.') ? use[1].substr(1) : use[1];
  }
}

void Binder::add_to_listener(Server& server, const ListenUse& listen,
                             std::map<std::pair<SocketAddress, bool>, std::size_t>& by_address,
                             std::vector<std::pair<bool, bool>>& state) {
  auto& listeners = side_->block.listeners;
  const auto [found, added] = by_address.emplace(std::pair(listen.address, listen.options.udp), listeners.size());
  if (added) {
    Listener listener;
    listener.address = listen.address;
    listener.options = listen.options;
    listener.servers.push_back(server.id);
    listener.default_server = server.id;
    listener.position = listen.position;
    listeners.push_back(std::move(listener));
    state.emplace_back(listen.sets_socket_options, listen.default_server);
    return;
  }
  auto& listener = listeners[found->second];
  auto& [has_options, has_default] = state[found->second];
  const auto name = listen.address.to_string();
  if (listen.sets_socket_options) {
    if (has_options) {
      reporter_.error(listen.place, fmt::format("duplicate listen options for {}", name),
                      fmt::format("the first ones are at line {}", listener.position.line));
      return;
    }
    has_options = true;
    const auto before = listener.options;
    listener.options = listen.options;
    listener.options.ssl |= before.ssl;
    listener.options.http2 |= before.http2;
    listener.options.proxy_protocol |= before.proxy_protocol;
  }
  const bool sets_protocol = listen.options.ssl || listen.options.http2 || listen.options.proxy_protocol;
  const bool differs = listener.options.ssl != listen.options.ssl || listener.options.http2 != listen.options.http2 ||
                       listener.options.proxy_protocol != listen.options.proxy_protocol;
  if (sets_protocol && differs) {
    reporter_.warning(listen.place, fmt::format("protocol options redefined for {}", name),
                      "what one listen of an address says holds for all servers on it");
  }
  listener.options.ssl |= listen.options.ssl;
  listener.options.http2 |= listen.options.http2;
  listener.options.proxy_protocol |= listen.options.proxy_protocol;
  if (listen.default_server) {
    if (has_default) {
      reporter_.error(listen.place, fmt::format("a duplicate default server for {}", name));
      return;
    }
    has_default = true;
    listener.default_server = server.id;
  }
  listener.servers.push_back(server.id);
}

void Binder::build_listeners() {
  std::map<std::pair<SocketAddress, bool>, std::size_t> by_address;
  std::vector<std::pair<bool, bool>> state;  // per listener: has socket options, has a default_server
  const bool clean = reporter_.error_count() == 0;
  for (auto& server : side_->block.servers) {
    if (server->names.empty()) server->names.push_back({});
    auto& uses = listens_[server.get()];
    if (uses.empty() && in_stream()) {
      if (clean) reporter_.error(server_statements_[server.get()]->place(), "no \"listen\" is defined for server");
      continue;
    }
    if (uses.empty()) {
      ListenUse listen;
      listen.address = SocketAddress::ipv4({0, 0, 0, 0}, ::geteuid() == 0 ? kDefaultPort : 8000);
      listen.place = server_statements_[server.get()]->place();
      listen.position = server->position;
      uses.push_back(std::move(listen));
    }
    for (const auto& listen : uses) {
      if (!listen.quic) add_to_listener(*server, listen, by_address, state);
    }
  }
}

void Binder::warn_name_conflicts() {
  for (const auto& listener : side_->block.listeners) {
    std::set<std::pair<ServerName::Kind, std::string_view>> seen;
    for (const auto id : listener.servers) {
      const auto& server = *side_->block.servers[id];
      for (const auto& name : server.names) {
        if (name.kind == ServerName::Kind::regex || seen.emplace(name.kind, name.text).second) continue;
        const std::string_view star = name.kind == ServerName::Kind::leading_wildcard ? "*." : "";
        const std::string_view tail = name.kind == ServerName::Kind::trailing_wildcard ? ".*" : "";
        // nginx's line has no file and line; ours shows the server in the excerpt.
        auto place = server_statements_[&server]->place();
        place.line = 0;
        reporter_.warning(place, fmt::format("conflicting server name \"{}{}{}\" on {}, ignored", star, name.text, tail,
                                             listener.address.to_string()));
      }
    }
  }
}

void Binder::finish_server(Server& server) {
  const auto& ssl = server.settings.ssl;
  const auto& statement = *server_statements_[&server];
  if (ssl.certificate_keys.size() < ssl.certificates.size()) {
    auto place = statement.place();
    reporter_.error(
        place, fmt::format("no \"ssl_certificate_key\" is defined for certificate \"{}\"", ssl.certificates.back()));
  }
  if (ssl.certificates.empty() && !ssl.reject_handshake) {
    for (const auto& listen : listens_[&server]) {
      if (!listen.options.ssl) continue;
      reporter_.error(listen.place, "no \"ssl_certificate\" is defined for the \"listen ... ssl\" directive");
      break;
    }
  }
  const bool serves_tls = std::ranges::any_of(listens_[&server], [](const auto& listen) { return listen.options.ssl; });
  if (serves_tls && (ssl.verify_client == VerifyClient::on || ssl.verify_client == VerifyClient::optional) &&
      ssl.client_certificate.empty() && ssl.trusted_certificate.empty()) {
    reporter_.error(statement.place(), "no ssl_client_certificate for ssl_verify_client");
  }
  if (serves_tls && ssl.ocsp != OcspOfClients::off && ssl.verify_client == VerifyClient::optional_no_ca) {
    reporter_.error(statement.place(), "\"ssl_ocsp\" is incompatible with \"ssl_verify_client optional_no_ca\"");
  }
}

}  // namespace gatehouse::config
