#include "proxy/config/blocks.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "proxy/config/binder.hpp"
#include "proxy/config/defaults.hpp"
#include "proxy/config/setters.hpp"
#include "proxy/config/settings/headers.hpp"
#include "proxy/config/traps.hpp"

namespace gatehouse::config {
namespace {

bool same_name(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return (x | 0x20) == (y | 0x20); });
}

// What every proxied request gets unless the level's own list says otherwise: nginx's `Host $proxy_host`.
void complete_proxy_headers(Level& level) {
  if (level.find("proxy_set_header") == nullptr) return;
  auto& list = level.settings->proxy_set_header;
  const auto has_host = std::ranges::any_of(*list, [](const auto& rule) { return same_name(rule.name, "host"); });
  if (has_host) return;
  auto completed = std::make_shared<std::vector<HeaderRule>>(*list);
  completed->push_back(default_host_header(level.binder->variables()));
  list = std::move(completed);
}

// nginx's prefix locations match the decoded, normalised path; `=`, `^~`, `@` may stand apart from the path or joined
// to it.
struct LocationArguments {
  LocationKind kind = LocationKind::prefix;
  std::string path;
  bool caseless = false;
  std::size_t word = 1;
};

LocationArguments read_location(const Use& use) {
  LocationArguments result;
  if (use.count() == 2) {
    const auto& modifier = use[1];
    result.path = use[2];
    result.word = 2;
    if (modifier == "=") {
      result.kind = LocationKind::exact;
    } else if (modifier == "^~") {
      result.kind = LocationKind::prefix_no_regex;
    } else if (modifier == "~" || modifier == "~*") {
      result.kind = LocationKind::regex;
      result.caseless = modifier == "~*";
    } else {
      throw Invalid{fmt::format("invalid location modifier \"{}\"", modifier), 1, "one of =, ^~, ~, ~*"};
    }
    return result;
  }
  std::string_view text = use[1];
  if (text.starts_with('=')) {
    result.kind = LocationKind::exact;
    text.remove_prefix(1);
  } else if (text.starts_with("^~")) {
    result.kind = LocationKind::prefix_no_regex;
    text.remove_prefix(2);
  } else if (text.starts_with("~*")) {
    result.kind = LocationKind::regex;
    result.caseless = true;
    text.remove_prefix(2);
  } else if (text.starts_with('~')) {
    result.kind = LocationKind::regex;
    text.remove_prefix(1);
  } else if (text.starts_with('@')) {
    result.kind = LocationKind::named;
  }
  result.path = text;
  return result;
}

void check_nesting(const Location& outer, const Location& inner, std::size_t word) {
  if (outer.kind == LocationKind::exact) {
    throw Invalid{
        fmt::format("location \"{}\" cannot be inside the exact location \"{}\"", inner.path, outer.path), word, {}};
  }
  if (outer.kind == LocationKind::named) {
    throw Invalid{
        fmt::format("location \"{}\" cannot be inside the named location \"{}\"", inner.path, outer.path), word, {}};
  }
  if (inner.kind == LocationKind::named) {
    throw Invalid{fmt::format("named location \"{}\" can be on the server level only", inner.path), word, {}};
  }
  const bool outer_is_prefix = outer.kind == LocationKind::prefix || outer.kind == LocationKind::prefix_no_regex;
  if (outer_is_prefix && inner.kind != LocationKind::regex && !inner.path.starts_with(outer.path)) {
    throw Invalid{fmt::format("location \"{}\" is outside location \"{}\"", inner.path, outer.path), word, {}};
  }
}

// nginx keeps exact locations and prefixes (with and without ^~) apart; named ones and regexes have their own lists.
void check_duplicate(Level& level, const Location& inner, std::size_t word) {
  if (inner.kind == LocationKind::regex) return;
  const auto kind = inner.kind == LocationKind::prefix_no_regex ? LocationKind::prefix : inner.kind;
  const auto [found, added] = level.locations.try_emplace({kind, inner.path}, inner.position.line);
  if (!added) {
    throw Invalid{fmt::format("duplicate location \"{}\"", inner.path), word,
                  fmt::format("the first one is at line {}", found->second)};
  }
}

// add_header_inherit and add_trailer_inherit: what a level has of the one above it besides nginx's usual "all or nothing".
void settle_inheritance(Level& level) {
  const HeaderSettings& mode = *level.settings->headers;
  const LocationSettings* const above = level.parent == nullptr ? nullptr : level.parent->settings;
  if (above == nullptr || above == level.settings) return;
  if (mode.header_inherit == FieldInheritance::off && level.find("add_header") == nullptr) {
    level.settings->add_header = std::make_shared<const std::vector<HeaderRule>>();
  }
  if (mode.header_inherit == FieldInheritance::merge && level.find("add_header") != nullptr) {
    std::vector<HeaderRule> all = *level.settings->add_header;
    all.insert(all.end(), above->add_header->begin(), above->add_header->end());
    level.settings->add_header = std::make_shared<const std::vector<HeaderRule>>(std::move(all));
  }
  const bool own = level.find("add_trailer") != nullptr;
  if (mode.trailer_inherit == FieldInheritance::off && !own && !mode.add_trailer.empty()) {
    target<HeaderSettings>(level).add_trailer.clear();
  }
  if (mode.trailer_inherit == FieldInheritance::merge && own && above->headers) {
    auto& list = target<HeaderSettings>(level).add_trailer;
    list.insert(list.end(), above->headers->add_trailer.begin(), above->headers->add_trailer.end());
  }
}

}  // namespace

void finish_settings(Level& level) {
  if (level.settings == nullptr) return;
  complete_proxy_headers(level);
  if (level.settings->headers) settle_inheritance(level);
}

void set_events(const Use& use) {
  if (!use.first) refuse(use, 0, "is duplicate");
  auto level = use.level.inner(kEvents, use.statement);
  level.binder->bind_block(use.statement.block, level);
}

void set_http(const Use& use) {
  if (!use.first) refuse(use, 0, "is duplicate");
  auto& binder = *use.level.binder;
  ServerSettings server_settings;
  auto level = use.level.inner(kHttp, use.statement);
  level.http = &binder.config().http;
  level.server_settings = &server_settings;
  level.settings = &level.http->settings;
  fill_defaults(binder, *level.settings);
  binder.bind_block(use.statement.block, level);
}

void set_server(const Use& use) {
  auto& binder = *use.level.binder;
  auto server = std::make_unique<Server>();
  server->settings = *use.level.server_settings;
  server->position = use.statement.place().position();
  server->root.settings = *use.level.settings;
  server->root.label = "-";
  server->root.position = server->position;
  auto level = use.level.inner(use.level.context == kStream ? kStreamServer : kServer, use.statement);
  level.server = server.get();
  level.server_settings = &server->settings;
  level.location = &server->root;
  level.settings = &server->root.settings;
  level.program = &server->root.program;
  binder.note_server(*server, use.statement);
  use.level.http->servers.push_back(std::move(server));
  binder.bind_block(use.statement.block, level);
  warn_of_traps(level);
}

void set_location(const Use& use) {
  auto& binder = *use.level.binder;
  const auto arguments = read_location(use);
  auto location = std::make_unique<Location>();
  location->kind = arguments.kind;
  location->path = arguments.path;
  for (std::size_t i = 1; i <= use.count(); ++i) location->label += (i > 1 ? " " : "") + use[i];
  location->position = use.statement.place(arguments.word).position();
  location->settings = *use.level.settings;
  if (arguments.kind == LocationKind::regex) {
    location->regex = binder.compile_regex(arguments.path, arguments.caseless, arguments.word);
  }
  auto& outer = *use.level.location;
  if (use.level.context == kLocation) check_nesting(outer, *location, arguments.word);
  check_duplicate(use.level, *location, arguments.word);
  auto level = use.level.inner(kLocation, use.statement);
  level.location = location.get();
  level.settings = &location->settings;
  level.program = &location->program;
  outer.locations.push_back(std::move(location));
  binder.bind_block(use.statement.block, level);
  warn_of_traps(level);
}

void set_upstream(const Use& use) {
  auto& binder = *use.level.binder;
  if (use[1].empty()) throw Invalid{fmt::format("no host in upstream \"{}\"", use[1]), 1, {}};
  if (binder.find_upstream(use[1]) != ProxyPass::npos) {
    throw Invalid{fmt::format("duplicate upstream \"{}\"", use[1]), 1, {}};
  }
  Upstream upstream;
  upstream.name = use[1];
  upstream.position = use.statement.place(1).position();
  upstream.resolver = use.level.settings->resolver;
  auto level = use.level.inner(use.level.context == kStream ? kStreamUpstream : kUpstream, use.statement);
  level.upstream = &upstream;
  level.settings = nullptr;
  level.server_settings = nullptr;
  binder.bind_block(use.statement.block, level);
  if (upstream.servers.empty() && level.find("server") == nullptr) {
    binder.reporter().error(use.statement.place(1), "no servers are inside upstream");
  }
  const bool only_backup = std::ranges::all_of(upstream.servers, [](const auto& server) { return server.backup; });
  if (only_backup && !upstream.servers.empty()) {
    binder.reporter().error(use.statement.place(1), fmt::format("no servers in upstream \"{}\"", use[1]),
                            "every server of it is a backup");
  }
  binder.add_upstream(std::move(upstream));
}

}  // namespace gatehouse::config
