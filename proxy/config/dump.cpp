#include "proxy/config/dump.hpp"

#include <fmt/format.h>

#include "proxy/config/binder.hpp"
#include "proxy/config/defaults.hpp"
#include "proxy/config/directive.hpp"
#include "proxy/config/settings/stream.hpp"

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

  Location stream_location;
  ServerSettings stream_server = stream_server_defaults();

  explicit Defaults(const std::string& prefix) {
    config.prefix = prefix;
    fill_defaults(binder, location.settings);
    fill_stream_defaults(binder, stream_location.settings);
  }
  Level level(Context context) {
    Level result;
    result.context = context;
    result.main = &config.main;
    if (context == kUpstream || context == kStreamUpstream) {
      result.upstream = &upstream;
    } else if (context == kStreamServer) {
      result.settings = &stream_location.settings;
      result.location = &stream_location;
      result.server_settings = &stream_server;
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
  auto text = fmt::format("listener {}{} default={} servers=", listener.address.to_string(), options.udp ? " udp" : "",
                          listener.default_server);
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

void dump_own(std::string& out, const Location& location, Defaults& defaults, std::string_view indent) {
  auto level = defaults.level(kLocation);
  // Printers only read; a Level points to mutable values because rows also set them.
  level.location = const_cast<Location*>(&location);
  level.settings = const_cast<LocationSettings*>(&location.settings);
  dump_level(out, level, defaults.level(kLocation), indent);
}

void dump_location(std::string& out, const Config& config, const Location& location, Defaults& defaults,
                   std::size_t depth) {
  const std::string indent(depth * 2, ' ');
  dump_own(out, location, defaults, indent + "  ");
  // A return alone was shown as the directive that it is.
  if (!location.return_action || location.program.size() > 1)
    out += dump_program(config, location.program, indent + "  ");
  for (const auto& inner : location.locations) {
    out += fmt::format("{}  location {}\n", indent, inner->label);
    dump_location(out, config, *inner, defaults, depth + 1);
  }
}

void dump_upstreams(std::string& out, const Http& block, Context context, Defaults& defaults) {
  for (std::size_t i = 0; i < block.upstreams.size(); ++i) {
    const auto& upstream = block.upstreams[i];
    out += fmt::format("upstream {} {}{}\n", i, upstream.name, upstream.implicit ? " implicit" : "");
    auto level = defaults.level(context);
    level.upstream = const_cast<Upstream*>(&upstream);
    dump_level(out, level, defaults.level(context), "  ");
  }
}

template <class Maps>
void dump_maps(std::string& out, const Maps& maps, const std::vector<std::string>& names) {
  for (std::size_t slot = 0; slot < maps.size(); ++slot) {
    if (!maps[slot]) continue;
    const auto& map = *maps[slot];
    const std::string_view kind = map.kind();
    const std::size_t space = std::min(kind.find(' '), kind.size());
    out += fmt::format("{} {} to ${} entries={}{}{}\n", kind.substr(0, space), map.source.source(), names[slot],
                       map.size(), kind.substr(space), map.volatile_value ? " volatile" : "");
  }
}

void dump_stream(std::string& out, const Config& config, Defaults& defaults) {
  const Http& block = config.stream;
  if (block.servers.empty() && block.upstreams.empty()) return;
  out += "stream\n";
  for (const auto& listener : block.listeners) out += show_listener(listener);
  dump_upstreams(out, block, kStreamUpstream, defaults);
  dump_maps(out, config.stream_variable_maps, config.stream_variables);
  for (const auto& server : block.servers) {
    out += fmt::format("server {}", server->id);
    for (const auto& name : server->names) out += " " + show_server_name(name);
    out += "\n";
    auto level = defaults.level(kStreamServer);
    level.server_settings = const_cast<ServerSettings*>(&server->settings);
    level.location = const_cast<Location*>(&server->root);
    level.settings = const_cast<LocationSettings*>(&server->root.settings);
    dump_level(out, level, defaults.level(kStreamServer), "  ");
    if (!server->root.settings.stream) continue;
    for (const auto& [slot, value] : server->root.settings.stream->assignments) {
      out += fmt::format("  set ${} = {}\n", config.stream_variables[slot], value.source());
    }
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

std::string dump_settings(const Config& config, const Location& location, std::string_view indent) {
  Defaults defaults(config.prefix);
  std::string out;
  dump_own(out, location, defaults, indent);
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
  dump_upstreams(out, config.http, kUpstream, defaults);
  dump_maps(out, config.variable_maps, config.user_variables);
  for (const auto& server : config.http.servers) {
    out += fmt::format("server {}", server->id);
    for (const auto& name : server->names) out += " " + show_server_name(name);
    out += "\n";
    auto level = defaults.level(kServer);
    level.server_settings = const_cast<ServerSettings*>(&server->settings);
    dump_level(out, level, defaults.level(kServer), "  ");
    dump_location(out, config, server->root, defaults, 0);
  }
  dump_stream(out, config, defaults);
  return out;
}

}  // namespace gatehouse::config
