#include "proxy/exchange/generation.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <iterator>
#include <string_view>
#include <system_error>

#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/base/ascii.hpp"
#include "proxy/exchange/generation_tls.hpp"
#include "proxy/exchange/waf_overlay.hpp"

namespace gatehouse::exchange {
namespace {

std::string at(const config::Position& position) {
  return position.line == 0 ? std::string() : fmt::format(" in {}:{}", position.file, position.line);
}

http::ParseLimits parse_limits(const config::ServerSettings& settings) {
  http::ParseLimits limits;
  limits.request_line = std::max(settings.large_client_header_buffers_size, settings.client_header_buffer_size);
  limits.field_line = limits.request_line;
  limits.head = std::max<std::size_t>(
      limits.request_line, settings.large_client_header_buffers_number * settings.large_client_header_buffers_size);
  limits.fields = settings.max_headers;
  limits.names = settings.ignore_invalid_headers ? http::NamePolicy::drop : http::NamePolicy::keep;
  limits.underscores = settings.underscores_in_headers ? http::Underscores::usual : http::Underscores::unusual;
  return limits;
}

void add_name(http::FieldIdSet& known, std::vector<std::string>& others, std::string_view name) {
  if (const http::FieldId id = http::field_id(name); id != http::FieldId::other) {
    known.add(id);
  } else {
    others.push_back(lower_case(name));
  }
}

UpstreamHeaders upstream_headers(const std::vector<config::HeaderRule>& rules) {
  UpstreamHeaders result;
  for (const auto& rule : rules) {
    add_name(result.replaced, result.replaced_names, rule.name);
    const http::FieldId id = http::field_id(rule.name);
    if (id == http::FieldId::host) result.host = &rule;
    if (id == http::FieldId::connection) result.sends_connection = true;
  }
  return result;
}

// In the words of the loader's other messages: the place with line and column, then what to do.
std::string rule_error_text(const waf::RuleSetError& error, const config::WafRulesLevel& innermost) {
  std::uint32_t column = 1;
  for (const auto* level = &innermost; level != nullptr; level = level->parent.get()) {
    for (const auto& piece : level->pieces) {
      if (piece.position.file == error.location().file && piece.position.line == error.location().line) {
        column = piece.position.column;
      }
    }
  }
  std::string text = error.message();
  if (!error.location().file.empty()) {
    text += fmt::format(" in {}:{}:{}", error.location().file, error.location().line, column);
  }
  if (!error.remedy().empty()) text.append("; ").append(error.remedy());
  return text;
}

// A responder that hangs must not hold up the clients of others for long, nor may clients that wait pile up.
constexpr std::size_t kRevocationThreads = 4;
constexpr std::size_t kMostRevocationChecks = 1024;

// A location without proxy_pass never speaks TLS to anybody; one with variables may get an https:// URL.
bool may_use_tls(const config::Location& location) {
  return location.proxy_pass && (location.proxy_pass->tls || location.proxy_pass->target);
}

// The folder of a zone, for whoever the worker will be.
void make_zone_folder(const std::string& path, const config::MainSettings& main) {
  std::error_code error;
  const bool made = std::filesystem::create_directories(path, error);
  if (error)
    throw std::runtime_error(fmt::format("mkdir() \"{}\" failed ({}: {})", path, error.value(), error.message()));
  if (!std::filesystem::is_directory(path)) throw std::runtime_error(fmt::format("\"{}\" is not a directory", path));
  if (!made) return;
  ::chmod(path.c_str(), 0700);
  if (::geteuid() != 0 || main.user.empty()) return;
  const passwd* const user = ::getpwnam(main.user.c_str());
  if (user != nullptr && ::chown(path.c_str(), user->pw_uid, user->pw_gid) != 0) {
    throw std::runtime_error(
        fmt::format("chown() \"{}\" failed ({}: {})", path, errno, std::generic_category().message(errno)));
  }
}

class Builder {
 public:
  Builder(std::shared_ptr<const config::Config> config, SharedState& shared, std::vector<std::string>& notes)
      : config_(std::move(config)), shared_(shared), notes_(notes) {}

  std::shared_ptr<const Generation> build();

 private:
  struct ClientTls {
    std::shared_ptr<const certs::ClientContext> context;
    std::uint64_t identity = 0;
  };

  void build_servers();
  void build_listeners();
  void keep_new_notices();
  void find_zones();
  void find_cache_zones();
  void find_sticky_zones();
  void build_locations(const config::Server& server, const config::Location& location);
  LocationRuntime build_location(const config::Server& server, const config::Location& location);
  std::shared_ptr<const certs::ServerContext> build_server_tls(const config::Server& server);
  std::shared_ptr<const ErrorLog> error_log(const std::shared_ptr<const std::vector<config::ErrorLogTarget>>& targets);
  std::vector<std::shared_ptr<LogFile>> access_log(const std::vector<config::AccessLogTarget>& targets);
  std::shared_ptr<const waf::RuleSet> rules(const std::shared_ptr<const config::WafRulesLevel>& innermost);
  void build_waf(const config::LocationSettings& settings, LocationRuntime& runtime);
  std::shared_ptr<const waf::SharedFastPath> fast_path(const LocationRuntime& runtime);
  ClientTls client_tls(const std::shared_ptr<const config::ProxySsl>& ssl, const config::Position& position);
  std::uint32_t metrics_route(const config::Server& server, const config::Location& location);

  std::shared_ptr<const config::Config> config_;
  SharedState& shared_;
  std::vector<std::string>& notes_;
  std::shared_ptr<Generation> result_ = std::make_shared<Generation>();
  GenerationErrors errors_;
  // What locations share by inheriting it unchanged is made once.
  std::map<const void*, std::shared_ptr<const ErrorLog>> error_logs_;
  std::map<const void*, std::shared_ptr<const waf::RuleSet>> rules_;
  std::map<waf::Overlay, std::shared_ptr<const waf::Overlay>> overlays_;
  std::map<std::pair<const void*, const void*>, std::shared_ptr<const waf::SharedFastPath>> fast_paths_;
  std::map<const void*, ClientTls> client_tls_;
  std::map<std::pair<std::string, std::string>, std::uint32_t> routes_;
};

std::shared_ptr<const Generation> Builder::build() {
  result_->config = config_;
  errors_.attempt([&] {
    result_->error_log = open_error_log(config_->main.error_log, shared_.log_files, shared_.default_error_log);
  });
  build_servers();
  build_listeners();
  const auto& upstreams = config_->http.upstreams;
  for (std::size_t i = 0; i < upstreams.size(); ++i) {
    if (!upstreams[i].implicit) result_->upstream_by_name.emplace(upstreams[i].name, i);
  }
  for (const auto& zone : config_->http.cache_zones)
    errors_.attempt([&] { make_zone_folder(zone.path, config_->main); });
  errors_.raise();
  find_zones();
  find_cache_zones();
  find_sticky_zones();
  keep_new_notices();
  return std::move(result_);
}

void Builder::build_servers() {
  result_->locations.resize(config_->locations.size());
  std::vector<bool> speaks_tls(config_->http.servers.size());
  for (const auto& listener : config_->http.listeners) {
    for (const std::uint32_t server : listener.servers) speaks_tls[server] = speaks_tls[server] || listener.options.ssl;
  }
  for (const auto& server : config_->http.servers) {
    ServerRuntime runtime{server.get(), route::LocationTree(*server), nullptr, parse_limits(server->settings)};
    if (speaks_tls[server->id]) errors_.attempt([&] { runtime.tls = build_server_tls(*server); });
    result_->servers.push_back(std::move(runtime));
    build_locations(*server, server->root);
  }
}

std::shared_ptr<const certs::ServerContext> Builder::build_server_tls(const config::Server& server) {
  const auto built = certs::ServerContext::build(server_tls_settings(server.settings), shared_.tls);
  if (!built) throw std::runtime_error(built.error().text + at(server.position));
  if ((*built)->revocation().scope != certs::RevocationScope::off && !result_->revocation_pool) {
    result_->revocation_pool =
        std::make_unique<io::WorkerPool>(kRevocationThreads, kMostRevocationChecks, "gh-revocation");
  }
  for (const auto& warning : (*built)->warnings()) notes_.push_back(warning + at(server.position));
  return *built;
}

void Builder::build_listeners() {
  std::vector<std::shared_ptr<const certs::ServerContext>> contexts;
  for (const auto& server : result_->servers) contexts.push_back(server.tls);
  for (const auto& listener : config_->http.listeners) {
    ListenerRuntime runtime{&listener, route::ServerNames(listener, config_->http.servers), nullptr};
    if (listener.options.ssl) runtime.sni = make_sni_selector(config_, runtime.names, contexts);
    result_->listener_by_address.emplace(listener.address, result_->listeners.size());
    result_->listeners.push_back(std::move(runtime));
  }
}

void Builder::build_locations(const config::Server& server, const config::Location& location) {
  errors_.attempt([&] { result_->locations[location.id] = build_location(server, location); });
  for (const auto& step : location.program) {
    const auto* condition = std::get_if<config::IfStep>(&step);
    if (condition != nullptr && condition->settings) build_locations(server, *condition->settings);
  }
  for (const auto& inner : location.locations) build_locations(server, *inner);
}

LocationRuntime Builder::build_location(const config::Server& server, const config::Location& location) {
  const config::LocationSettings& settings = location.settings;
  LocationRuntime runtime;
  runtime.location = &location;
  runtime.server = &server;
  runtime.error_log = error_log(settings.error_log);
  runtime.access_log = access_log(*settings.access_log);
  // Rules are loaded where the WAF is off too, as the connector does: an error in them should not wait until it is on.
  if (settings.modsecurity || settings.waf_rules) runtime.rules = rules(settings.waf_rules);
  if (!settings.modsecurity || settings.waf_mode == config::LocationSettings::WafMode::off) runtime.rules = nullptr;
  if (runtime.rules) build_waf(settings, runtime);
  if (may_use_tls(location)) {
    const ClientTls tls = client_tls(settings.proxy_ssl, location.position);
    runtime.client_tls = tls.context;
    runtime.client_tls_identity = tls.identity;
  }
  runtime.upstream_headers = upstream_headers(*settings.proxy_set_header);
  for (const auto& name : *settings.proxy_hide_header) add_name(runtime.hidden, runtime.hidden_names, name);
  runtime.metrics_route = metrics_route(server, location);
  runtime.shapes_output = settings.compression || settings.body_filters || settings.headers;
  runtime.guards = settings.limits || settings.auth || settings.mirror || location.limit_except;
  return runtime;
}

std::shared_ptr<const ErrorLog> Builder::error_log(
    const std::shared_ptr<const std::vector<config::ErrorLogTarget>>& targets) {
  if (!targets || targets->empty()) return result_->error_log;
  auto& log = error_logs_[targets.get()];
  if (!log) log = open_error_log(*targets, shared_.log_files, shared_.default_error_log);
  return log;
}

std::vector<std::shared_ptr<LogFile>> Builder::access_log(const std::vector<config::AccessLogTarget>& targets) {
  std::vector<std::shared_ptr<LogFile>> files;
  for (const auto& target : targets) {
    if (!target.path.is_constant()) {
      files.push_back(nullptr);
      continue;
    }
    const std::string path(target.path.constant());
    files.push_back(shared_.log_files.open(path, target.gzip_level));
  }
  return files;
}

std::shared_ptr<const waf::RuleSet> Builder::rules(const std::shared_ptr<const config::WafRulesLevel>& innermost) {
  const auto [entry, is_new] = rules_.try_emplace(innermost.get());
  auto& compiled = entry->second;
  if (!is_new) return compiled;  // null when it failed before, which was reported then
  waf::RuleSetSource source;
  for (const auto* level = innermost.get(); level != nullptr; level = level->parent.get()) {
    waf::RuleLevel pieces;
    for (const auto& piece : level->pieces) {
      const waf::SourceLocation place{std::string(piece.position.file), piece.position.line};
      switch (piece.kind) {
        case config::WafRulesPiece::Kind::file: pieces.pieces.emplace_back(waf::RuleFile{piece.value, place}); break;
        case config::WafRulesPiece::Kind::text: pieces.pieces.emplace_back(waf::RuleText{piece.value, place}); break;
        case config::WafRulesPiece::Kind::remote: {
          const std::size_t blank = piece.value.find(' ');
          pieces.pieces.emplace_back(
              waf::RemoteRules{piece.value.substr(0, blank), piece.value.substr(blank + 1), place});
          break;
        }
      }
    }
    source.levels.push_back(std::move(pieces));
  }
  std::reverse(source.levels.begin(), source.levels.end());  // outermost first
  try {
    compiled = shared_.rule_sets.compile(source);
  } catch (const waf::RuleSetError& error) {
    throw std::runtime_error(rule_error_text(error, *innermost));
  }
  return compiled;
}

void Builder::build_waf(const config::LocationSettings& settings, LocationRuntime& runtime) {
  using FastPath = config::LocationSettings::WafFastPath;
  const waf::Overlay wanted = overlay_of(settings);
  if (wanted != waf::Overlay{}) {
    auto& shared = overlays_[wanted];
    if (!shared) shared = std::make_shared<const waf::Overlay>(wanted);
    runtime.overlay = shared;
  }
  if (settings.waf_fast_path == FastPath::off) return;
  runtime.fast_path = fast_path(runtime);
  runtime.shadow = settings.waf_fast_path == FastPath::shadow;
  if (settings.waf_fast_path == FastPath::on && !shared_.fast_paths.knows_library()) {
    runtime.shadow = true;
    result_->notices.emplace_back(
        "the WAF's fast path was not compared with this version of libmodsecurity: it runs in shadow (waf_fast_path "
        "force "
        "switches it on)");
  }
}

std::shared_ptr<const waf::SharedFastPath> Builder::fast_path(const LocationRuntime& runtime) {
  auto& path = fast_paths_[{runtime.rules.get(), runtime.overlay.get()}];
  if (path) return path;
  path = shared_.fast_paths.get(runtime.rules, runtime.overlay.get());
  if (!path->refusal().empty()) {
    result_->notices.push_back(
        fmt::format("the WAF's fast path is off for rule set {}: {}", path->rule_set(), path->refusal()));
  }
  return path;
}

// A notice is told when it becomes true, not at every reload.
void Builder::keep_new_notices() {
  auto& notices = result_->notices;
  const std::set<std::string> now(notices.begin(), notices.end());
  notices.clear();
  std::set_difference(now.begin(), now.end(), shared_.told.begin(), shared_.told.end(), std::back_inserter(notices));
  shared_.told = now;
}

Builder::ClientTls Builder::client_tls(const std::shared_ptr<const config::ProxySsl>& ssl,
                                       const config::Position& position) {
  if (const auto found = client_tls_.find(ssl.get()); found != client_tls_.end()) return found->second;
  const auto built = certs::ClientContext::build(client_tls_settings(*ssl));
  if (!built) throw std::runtime_error(built.error().text + at(position));
  const auto next = shared_.client_tls_identities.size() + 1;  // nothing is ever removed: no number comes twice
  const auto identity = shared_.client_tls_identities.try_emplace(client_tls_key(*ssl), next).first->second;
  return client_tls_[ssl.get()] = {*built, identity};
}

// A zone goes on over a reload while nothing of it changes: its index is not read anew.
void Builder::find_cache_zones() {
  std::map<std::string, std::shared_ptr<cache::Zone>> zones;
  for (const auto& options : config_->http.cache_zones) {
    const auto known = shared_.cache_zones.find(options.name);
    auto found = known != shared_.cache_zones.end() && known->second->options() == options
                     ? known->second
                     : std::make_shared<cache::Zone>(options);
    zones.emplace(options.name, found);
    result_->cache_zones.push_back(std::move(found));
  }
  shared_.cache_zones = std::move(zones);
}

// Sessions outlive a reload that leaves their zone as it is.
void Builder::find_sticky_zones() {
  std::map<std::string, std::shared_ptr<upstream::StickySessions>> kept;
  for (const auto& upstream : config_->http.upstreams) {
    if (!upstream.sticky || upstream.sticky->kind != config::Sticky::Kind::learn) continue;
    const config::Sticky& sticky = *upstream.sticky;
    const std::string key =
        fmt::format("{} {} {} {}", upstream.name, sticky.zone, sticky.zone_size, sticky.timeout.count());
    const auto known = shared_.sticky_sessions.find(key);
    auto sessions = known != shared_.sticky_sessions.end()
                        ? known->second
                        : std::make_shared<upstream::StickySessions>(sticky.zone_size, sticky.timeout);
    kept.emplace(key, sessions);
    result_->sticky_sessions.emplace(sticky.zone, std::move(sessions));
  }
  shared_.sticky_sessions = std::move(kept);
}

// A zone is kept over a reload while its name, key, size and rate stay: what it has counted goes on to count.
void Builder::find_zones() {
  std::map<std::string, std::shared_ptr<RequestLimitZone>> requests;
  for (const auto& zone : config_->http.request_zones) {
    const std::string key = fmt::format("{} {} {} {}", zone.name, zone.size, zone.rate, zone.key.source());
    const auto known = shared_.request_zones.find(key);
    auto found =
        known != shared_.request_zones.end() ? known->second : std::make_shared<RequestLimitZone>(zone.size, zone.rate);
    requests[key] = found;
    result_->request_zones.push_back(std::move(found));
  }
  std::map<std::string, std::shared_ptr<ConnectionLimitZone>> connections;
  for (const auto& zone : config_->http.connection_zones) {
    const std::string key = fmt::format("{} {} {}", zone.name, zone.size, zone.key.source());
    const auto known = shared_.connection_zones.find(key);
    auto found =
        known != shared_.connection_zones.end() ? known->second : std::make_shared<ConnectionLimitZone>(zone.size);
    connections[key] = found;
    result_->connection_zones.push_back(std::move(found));
  }
  shared_.request_zones = std::move(requests);
  shared_.connection_zones = std::move(connections);
}

std::uint32_t Builder::metrics_route(const config::Server& server, const config::Location& location) {
  std::string name = server.name.empty() ? "_" : server.name;
  const auto next = static_cast<std::uint32_t>(result_->routes.size());
  const auto [found, is_new] = routes_.try_emplace({name, location.label}, next);
  if (is_new) result_->routes.push_back({std::move(name), location.label});
  return found->second;
}

std::string joined(const std::vector<std::string>& texts) {
  std::string result;
  for (const auto& text : texts) result.append(result.empty() ? "" : "\n").append(text);
  return result;
}

}  // namespace

GenerationError::GenerationError(std::vector<std::string> texts)
    : std::runtime_error(joined(texts)), texts_(std::move(texts)) {}

std::shared_ptr<const ErrorLog> open_error_log(const std::vector<config::ErrorLogTarget>& targets, LogFiles& files,
                                               const std::string& fallback) {
  std::vector<ErrorLog::Target> opened;
  for (const auto& target : targets) {
    opened.push_back({files.open(target.path), target.level});
  }
  if (opened.empty()) opened.push_back({files.open(fallback), LogLevel::error});
  return std::make_shared<const ErrorLog>(std::move(opened));
}

void begin_serving(const Generation& generation, SharedState& shared) {
  for (const auto& zone : generation.cache_zones) zone->start(generation.error_log);
  std::vector<std::shared_ptr<certs::FetchedStaple>> staples;
  for (const auto& server : generation.servers) {
    if (server.tls)
      staples.insert(staples.end(), server.tls->fetched_staples().begin(), server.tls->fetched_staples().end());
  }
  shared.staples.keep(std::move(staples), generation.error_log);
}

std::shared_ptr<const Generation> build_generation(std::shared_ptr<const config::Config> config, SharedState& shared,
                                                   std::vector<std::string>& notes) {
  return Builder(std::move(config), shared, notes).build();
}

}  // namespace gatehouse::exchange
