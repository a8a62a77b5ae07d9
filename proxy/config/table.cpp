// Joins the parts of the table and finds rows by name.
#include <unordered_map>

#include "proxy/config/directive.hpp"
#include "proxy/config/tables.hpp"

namespace gatehouse::config {
namespace {

struct Table {
  std::vector<Directive> rows;
  std::unordered_map<std::string_view, std::vector<const Directive*>> by_name;
  std::vector<std::string_view> names;

  Table() {
    for (const auto part :
         {main_directives(),     http_directives(),        proxy_directives(),        proxy_transform_directives(),
          cache_directives(),    browser_directives(),     upstream_directives(),     access_directives(),
          file_directives(),     body_filter_directives(), more_headers_directives(), limit_directives(),
          auth_directives(),     userid_directives(),      rewrite_directives(),      ssl_directives(),
          protocol_directives(), log_directives(),         waf_directives(),          stream_directives(),
          tuning_directives(),   refused_directives()}) {
      rows.insert(rows.end(), part.begin(), part.end());
    }
    for (const auto& row : rows) {
      auto& same = by_name[row.name];
      if (same.empty()) names.push_back(row.name);
      same.push_back(&row);
    }
  }
};

const Table& table() {
  static const Table instance;
  return instance;
}

}  // namespace

std::span<const Directive> directives() { return table().rows; }

std::span<const Directive* const> find_directives(std::string_view name) {
  const auto found = table().by_name.find(name);
  if (found == table().by_name.end()) return {};
  return found->second;
}

std::span<const std::string_view> directive_names() { return table().names; }

Level Level::inner(Context inside, const Statement& block) {
  Level level;
  level.context = inside;
  level.binder = binder;
  level.parent = this;
  level.statement = &block;
  level.main = main;
  level.http = http;
  level.server = server;
  level.server_settings = server_settings;
  level.location = location;
  level.settings = settings;
  level.upstream = upstream;
  level.program = program;
  return level;
}

const Statement* Level::find(std::string_view name) const {
  for (const auto* row : find_directives(name)) {
    const auto found = seen.find(row);
    if (found != seen.end()) return found->second;
  }
  return nullptr;
}

std::string context_names(std::uint32_t contexts) {
  constexpr std::pair<std::uint32_t, std::string_view> kNames[] = {{kMain, "main"},
                                                                   {kEvents, "events"},
                                                                   {kHttp, "http"},
                                                                   {kServer, "server"},
                                                                   {kLocation, "location"},
                                                                   {kUpstream, "upstream"},
                                                                   {kServerIf, "if in server"},
                                                                   {kLocationIf, "if in location"},
                                                                   {kLimitExcept, "limit_except"},
                                                                   {kStream, "stream"},
                                                                   {kStreamServer, "server in stream"},
                                                                   {kStreamUpstream, "upstream in stream"}};
  std::string result;
  for (const auto& [bit, name] : kNames) {
    if ((contexts & bit) != 0) result += (result.empty() ? "" : ", ") + std::string(name);
  }
  return result;
}

}  // namespace gatehouse::config
