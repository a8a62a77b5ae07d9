#include "proxy/config/dump.hpp"

#include <fmt/format.h>

#include "proxy/config/binder.hpp"
#include "proxy/config/defaults.hpp"
#include "proxy/config/directive.hpp"

namespace gatehouse::config {
namespace {

// Every typed value at its default, to compare with.
struct Defaults {
  Config config;
  Reporter reporter;
  Binder binder{config, reporter, nullptr, {}};
  Location location;
  ServerSettings server;
  Upstream upstream;

  explicit Defaults(const std::string& prefix) {
    config.prefix = prefix;
    fill_defaults(binder, location.settings);
  }
  Level level(Context context) {
    Level result;
    result.context = context;
    result.main = &config.main;
    if (context == kUpstream) {
      result.upstream = &upstream;
    } else if (context != kMain && context != kEvents) {
      result.settings = &location.settings;
      result.location = &location;
      result.server_settings = &server;
    }
    return result;
  }
};

void dump_level(std::string& out, const Level& level, const Level& defaults, std::string_view indent) {
  for (const auto& row : directives()) {
    if ((row.contexts & level.context) == 0 || row.action.print == nullptr) continue;
    const auto text = row.action.print(level);
    if (!text.empty() && text != row.action.print(defaults)) out += fmt::format("{}{} = {}\n", indent, row.name, text);
  }
}

std::string show_server_name(const ServerName& name) {
  switch (name.kind) {
    case ServerName::Kind::exact: return name.text.empty() ? "\"\"" : name.text;
    case ServerName::Kind::leading_wildcard: return "*." + name.text;
    case ServerName::Kind::trailing_wildcard: return name.text + ".*";
    case ServerName::Kind::regex: return "~" + name.text;
  }
  return {};
}

std::string show_listener(const Listener& listener) {
  const auto& options = listener.options;
  auto text = fmt::format("listener {} default={} servers=", listener.address.to_string(), listener.default_server);
  for (std::size_t i = 0; i < listener.servers.size(); ++i)
    text += fmt::format("{}{}", i > 0 ? "," : "", listener.servers[i]);
  if (options.ssl) text += " ssl";
  if (options.http2) text += " http2";
  if (options.proxy_protocol) text += " proxy_protocol";
  if (options.reuseport) text += " reuseport";
  if (options.deferred) text += " deferred";
  if (options.backlog != 511) text += fmt::format(" backlog={}", options.backlog);
  if (options.ipv6only) text += fmt::format(" ipv6only={}", *options.ipv6only ? "on" : "off");
  if (options.rcvbuf) text += fmt::format(" rcvbuf={}", *options.rcvbuf);
  if (options.sndbuf) text += fmt::format(" sndbuf={}", *options.sndbuf);
  return text + "\n";
}

void dump_location(std::string& out, const Config& config, const Location& location, Defaults& defaults,
                   std::size_t depth) {
  const std::string indent(depth * 2, ' ');
  auto level = defaults.level(kLocation);
  // Printers only read; a Level points to mutable values because rows also set them.
  level.location = const_cast<Location*>(&location);
  level.settings = const_cast<LocationSettings*>(&location.settings);
  dump_level(out, level, defaults.level(kLocation), indent + "  ");
  // A return alone was shown as the directive that it is.
  if (!location.return_action || location.program.size() > 1)
    out += dump_program(config, location.program, indent + "  ");
  for (const auto& inner : location.locations) {
    out += fmt::format("{}  location {}\n", indent, inner->label);
    dump_location(out, config, *inner, defaults, depth + 1);
  }
}

}  // namespace

std::string dump_sources(const Config& config) {
  std::string out;
  for (const auto& source : config.sources) {
    out += fmt::format("# configuration file {}:\n{}", source->path, source->text);
    out += source->text.ends_with('\n') ? "\n" : "\n\n";
  }
  return out;
}

std::string dump_values(const Config& config) {
  Defaults defaults(config.prefix);
  std::string out;
  auto main = defaults.level(kMain);
  main.main = const_cast<MainSettings*>(&config.main);
  dump_level(out, main, defaults.level(kMain), "");
  main.context = kEvents;
  dump_level(out, main, defaults.level(kEvents), "");
  for (const auto& listener : config.http.listeners) out += show_listener(listener);
  for (std::size_t i = 0; i < config.http.upstreams.size(); ++i) {
    const auto& upstream = config.http.upstreams[i];
    out += fmt::format("upstream {} {}{}\n", i, upstream.name, upstream.implicit ? " implicit" : "");
    auto level = defaults.level(kUpstream);
    level.upstream = const_cast<Upstream*>(&upstream);
    dump_level(out, level, defaults.level(kUpstream), "  ");
  }
  for (std::size_t slot = 0; slot < config.variable_maps.size(); ++slot) {
    if (!config.variable_maps[slot]) continue;
    const auto& map = *config.variable_maps[slot];
    out += fmt::format("map {} to ${} entries={}{}{}\n", map.source.source(), config.user_variables[slot], map.size(),
                       map.hostnames ? " hostnames" : "", map.volatile_value ? " volatile" : "");
  }
  for (const auto& server : config.http.servers) {
    out += fmt::format("server {}", server->id);
    for (const auto& name : server->names) out += " " + show_server_name(name);
    out += "\n";
    auto level = defaults.level(kServer);
    level.server_settings = const_cast<ServerSettings*>(&server->settings);
    dump_level(out, level, defaults.level(kServer), "  ");
    dump_location(out, config, server->root, defaults, 0);
  }
  return out;
}

}  // namespace gatehouse::config
