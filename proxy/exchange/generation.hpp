// A configuration made ready to serve: compiled rule sets, TLS contexts, open logs, routing tables. Immutable, shared by every thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "certs/client_context.hpp"
#include "certs/server_connection.hpp"
#include "certs/server_context.hpp"
#include "certs/shared_tls_state.hpp"
#include "proxy/base/log.hpp"
#include "proxy/cache/zone.hpp"
#include "proxy/config/model.hpp"
#include "proxy/exchange/limit_zones.hpp"
#include "proxy/exchange/staple_refresher.hpp"
#include "proxy/http/fields.hpp"
#include "proxy/http/request_parser.hpp"
#include "proxy/io/worker_pool.hpp"
#include "proxy/route/location_tree.hpp"
#include "proxy/route/server_names.hpp"
#include "proxy/upstream/sticky_sessions.hpp"
#include "waf/fast_path_cache.hpp"
#include "waf/overlay.hpp"
#include "waf/rule_set.hpp"

namespace gatehouse::exchange {

/// What `proxy_set_header` means once per location: which client fields are replaced.
struct UpstreamHeaders {
  http::FieldIdSet replaced;                 ///< known names that a rule sets or removes
  std::vector<std::string> replaced_names;   ///< other such names
  const config::HeaderRule* host = nullptr;  ///< the rule for Host; null: $proxy_host
  bool sends_connection = false;             ///< a rule for Connection exists
};

/// What is made ready for one location.
struct LocationRuntime {
  const config::Location* location = nullptr;
  const config::Server* server = nullptr;
  std::shared_ptr<const ErrorLog> error_log;
  std::vector<std::shared_ptr<LogFile>>
      access_log;                             ///< by position in settings.access_log; null where the path has variables
  std::shared_ptr<const waf::RuleSet> rules;  ///< null: modsecurity is off here
  std::shared_ptr<const waf::Overlay> overlay;           ///< null: the rules as they are
  std::shared_ptr<const waf::SharedFastPath> fast_path;  ///< null: waf_fast_path is off here
  bool shadow = false;                                   ///< the library decides and the fast path is compared with it
  std::shared_ptr<const certs::ClientContext> client_tls;  ///< null unless the location may speak TLS to its upstream
  std::uint64_t client_tls_identity = 0;  ///< tells apart pooled connections of different TLS settings; never reused
  UpstreamHeaders upstream_headers;
  http::FieldIdSet hidden;                ///< response fields that proxy_hide_header names
  std::vector<std::string> hidden_names;  ///< such names without a row, lower case
  std::uint32_t metrics_route = 0;        ///< index into Generation::routes
  bool shapes_output = false;             ///< a filter or a rate may act on responses of the place
  bool guards = false;                    ///< the place has access rules, limits or copies beyond the plain ones
};

/// What is made ready for one server block.
struct ServerRuntime {
  const config::Server* server = nullptr;
  route::LocationTree locations;
  std::shared_ptr<const certs::ServerContext> tls;  ///< null unless one of its listeners has ssl
  http::ParseLimits parse_limits;
};

/// What is made ready for one listening address.
struct ListenerRuntime {
  const config::Listener* listener = nullptr;
  route::ServerNames names;
  std::shared_ptr<const certs::SniSelector> sni;
};

/// One route of the metrics: a location by server name and label.
struct MetricsRoute {
  std::string server;
  std::string route;
};

struct Generation {
  std::shared_ptr<const config::Config> config;
  std::vector<LocationRuntime> locations;  ///< by Location::id
  std::vector<ServerRuntime> servers;      ///< by Server::id
  std::vector<ListenerRuntime> listeners;  ///< as Http::listeners
  std::vector<MetricsRoute> routes;
  std::vector<std::shared_ptr<RequestLimitZone>> request_zones;                      ///< as Http::request_zones
  std::vector<std::shared_ptr<ConnectionLimitZone>> connection_zones;                ///< as Http::connection_zones
  std::vector<std::shared_ptr<cache::Zone>> cache_zones;                             ///< as Http::cache_zones
  std::map<std::string, std::shared_ptr<upstream::StickySessions>> sticky_sessions;  ///< by zone
  std::shared_ptr<const ErrorLog> error_log;                                         ///< of the main context
  std::unique_ptr<io::WorkerPool>
      revocation_pool;               ///< asks OCSP responders about clients; null: no server has ssl_ocsp
  std::vector<std::string> notices;  ///< for the log at level notice, once it serves
  std::unordered_map<SocketAddress, std::size_t> listener_by_address;
  std::unordered_map<std::string, std::size_t> upstream_by_name;  ///< index into Http::upstreams; explicit ones
};

/// What outlives generations and is needed to make one. One per worker process; used by the thread that loads.
struct SharedState {
  explicit SharedState(waf::RuleSetValidator validator = {}) : rule_sets(std::move(validator)) {}

  LogFiles log_files;
  std::string default_error_log = "stderr";  ///< `-e`: where errors go when the configuration names no error_log
  certs::SharedTlsState tls;
  waf::RuleSetCache rule_sets;
  waf::FastPathCache fast_paths;
  std::map<std::string, std::shared_ptr<RequestLimitZone>>
      request_zones;  ///< kept over reloads while nothing of them changes
  std::map<std::string, std::shared_ptr<ConnectionLimitZone>> connection_zones;
  std::map<std::string, std::shared_ptr<cache::Zone>> cache_zones;
  std::map<std::string, std::shared_ptr<upstream::StickySessions>>
      sticky_sessions;  ///< by upstream, zone and its settings
  StapleRefresher staples;
  std::set<std::string> told;  ///< notices of the last generation, which are not repeated
  std::map<std::string, std::uint64_t> client_tls_identities;  ///< by settings and the contents of their files
};

/// Why a configuration that reads well can't be served: a certificate, a rule file, a log. Every reason that was found.
class GenerationError : public std::runtime_error {
 public:
  explicit GenerationError(std::vector<std::string> texts);
  [[nodiscard]] const std::vector<std::string>& texts() const noexcept { return texts_; }

 private:
  std::vector<std::string> texts_;
};

/// The reasons as they are found, each once.
class GenerationErrors {
 public:
  /// Runs `step`; what it throws is one more reason.
  template <class Step>
  void attempt(Step&& step) {
    try {
      step();
    } catch (const std::exception& error) {
      if (std::ranges::find(texts_, error.what()) == texts_.end()) texts_.emplace_back(error.what());
    }
  }
  /// Throws GenerationError if there is any.
  void raise() {
    if (!texts_.empty()) throw GenerationError(std::move(texts_));
  }

 private:
  std::vector<std::string> texts_;
};

/// The error log that `targets` describe, or else the main context's, or else SharedState::default_error_log. Throws
/// std::runtime_error when a file can't be opened.
[[nodiscard]] std::shared_ptr<const ErrorLog> open_error_log(const std::vector<config::ErrorLogTarget>& targets,
                                                             LogFiles& files, const std::string& fallback);

/// Begins what a generation does by itself once it serves: zones learn what is on disk, staples are asked for. Call it after privileges were dropped.
void begin_serving(const Generation& generation, SharedState& shared);

/// Compiles `config`. Throws GenerationError; warnings are appended to `notes`. Takes up to a second with CRS: the loader's thread, never
/// an event loop.
[[nodiscard]] std::shared_ptr<const Generation> build_generation(std::shared_ptr<const config::Config> config,
                                                                 SharedState& shared, std::vector<std::string>& notes);

}  // namespace gatehouse::exchange
