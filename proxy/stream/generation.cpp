#include "proxy/stream/generation.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "proxy/exchange/generation_tls.hpp"

namespace gatehouse::stream {
namespace {

std::string at(const config::Position& position) {
  return position.line == 0 ? std::string() : fmt::format(" in {}:{}", position.file, position.line);
}

class Builder {
 public:
  Builder(std::shared_ptr<const config::Config> config, exchange::SharedState& shared, LimitZones& zones,
          std::vector<std::string>& notes)
      : config_(std::move(config)), shared_(shared), zones_(zones), notes_(notes) {}

  std::shared_ptr<const Generation> build() {
    result_->config = config_;
    errors_.attempt([&] {
      result_->error_log =
          exchange::open_error_log(config_->main.error_log, shared_.log_files, shared_.default_error_log);
    });
    for (const auto& server : block_.servers) build_server(*server);
    build_listeners();
    for (std::size_t i = 0; i < block_.upstreams.size(); ++i) {
      if (!block_.upstreams[i].implicit) result_->upstream_by_name.emplace(block_.upstreams[i].name, i);
    }
    for (const auto& zone : config_->stream_zones) result_->zones.push_back(zones_.get(zone.name, zone.size));
    errors_.raise();
    return std::move(result_);
  }

 private:
  void build_server(const config::Server& server) {
    ServerRuntime runtime;
    runtime.server = &server;
    runtime.label = server.name;
    bool speaks_tls = false;
    for (const auto& listener : block_.listeners) {
      if (std::ranges::find(listener.servers, server.id) == listener.servers.end()) continue;
      speaks_tls = speaks_tls || listener.options.ssl;
      if (runtime.label.empty()) runtime.label = listener.address.to_string() + (listener.options.udp ? "/udp" : "");
    }
    errors_.attempt([&] { open_logs(runtime); });
    if (speaks_tls) errors_.attempt([&] { runtime.tls = server_tls(runtime); });
    if (runtime.stream().proxy_ssl) errors_.attempt([&] { runtime.client_tls = client_tls(server); });
    result_->servers.push_back(std::move(runtime));
  }

  void open_logs(ServerRuntime& runtime) {
    const auto& settings = runtime.settings();
    runtime.error_log =
        settings.error_log && !settings.error_log->empty()
            ? exchange::open_error_log(*settings.error_log, shared_.log_files, shared_.default_error_log)
            : result_->error_log;
    for (const auto& target : *settings.access_log) {
      const std::string path(target.path.constant());
      runtime.access_log.push_back(target.path.is_constant() ? shared_.log_files.open(path, target.gzip_level)
                                                             : nullptr);
    }
  }

  std::shared_ptr<const certs::ServerContext> server_tls(const ServerRuntime& runtime) {
    auto settings = exchange::server_tls_settings(runtime.server->settings);
    settings.alpn = runtime.stream().ssl_alpn;
    const auto built = certs::ServerContext::build(settings, shared_.tls);
    if (!built) throw std::runtime_error(built.error().text + at(runtime.server->position));
    for (const auto& warning : (*built)->warnings()) notes_.push_back(warning + at(runtime.server->position));
    return *built;
  }

  std::shared_ptr<const certs::ClientContext> client_tls(const config::Server& server) {
    auto& context = client_tls_[server.root.settings.proxy_ssl.get()];
    if (context) return context;
    const auto built = certs::ClientContext::build(exchange::client_tls_settings(*server.root.settings.proxy_ssl));
    if (!built) throw std::runtime_error(built.error().text + at(server.position));
    return context = *built;
  }

  void build_listeners() {
    std::vector<std::shared_ptr<const certs::ServerContext>> contexts;
    for (const auto& server : result_->servers) contexts.push_back(server.tls);
    for (const auto& listener : block_.listeners) {
      ListenerRuntime runtime{&listener, listener.address.to_string(), route::ServerNames(listener, block_.servers),
                              nullptr};
      if (listener.options.ssl) runtime.sni = exchange::make_sni_selector(config_, runtime.names, contexts);
      auto& table = listener.options.udp ? result_->udp_listeners : result_->tcp_listeners;
      table.emplace(listener.address, result_->listeners.size());
      result_->listeners.push_back(std::move(runtime));
    }
  }

  std::shared_ptr<const config::Config> config_;
  exchange::SharedState& shared_;
  LimitZones& zones_;
  std::vector<std::string>& notes_;
  const config::Http& block_ = config_->stream;
  std::shared_ptr<Generation> result_ = std::make_shared<Generation>();
  std::map<const void*, std::shared_ptr<const certs::ClientContext>>
      client_tls_;  // made once for servers that share it
  exchange::GenerationErrors errors_;
};

}  // namespace

std::shared_ptr<const Generation> build_generation(std::shared_ptr<const config::Config> config,
                                                   exchange::SharedState& shared, LimitZones& zones,
                                                   std::vector<std::string>& notes) {
  return Builder(std::move(config), shared, zones, notes).build();
}

}  // namespace gatehouse::stream
