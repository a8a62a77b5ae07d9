// Statements -> typed configuration: walks the tree, checks each statement against its rows, and lets the rows set
// their targets.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/config/directive.hpp"
#include "proxy/config/variables.hpp"

namespace gatehouse::config {

/// One `listen` as a server block has it, before listeners are made of them.
struct ListenUse {
  SocketAddress address;
  ListenOptions options;
  bool default_server = false;
  bool sets_socket_options = false;  ///< backlog, rcvbuf ...: at most one server may give them for an address
  Place place;
  Position position;
};

/// Loads one configuration; used once. What rows need beyond their own target.
class Binder {
 public:
  /// All references must outlive the binder. `folder`: relative paths of includes, certificates and rules start there.
  Binder(Config& config, Reporter& reporter, const VariableCatalog* catalog, std::string folder)
      : config_(config), reporter_(reporter), variables_(catalog), folder_(std::move(folder)) {}

  /// Fills the configuration from the statements of the main context; errors go to the reporter.
  void bind(const std::vector<Statement>& statements);

  /// See LoadOptions::accept_missing.
  void accept_missing(bool accept) noexcept { accept_missing_ = accept; }

  // For rows:
  [[nodiscard]] VariableTable& variables() noexcept { return variables_; }
  [[nodiscard]] Config& config() noexcept { return config_; }
  [[nodiscard]] Reporter& reporter() noexcept { return reporter_; }
  void warn(const Statement& statement, std::size_t word, std::string_view text, std::string_view hint = {}) {
    reporter_.warning(statement.place(word), text, hint);
  }
  /// Relative to the configuration file's folder (nginx's conf prefix).
  [[nodiscard]] std::string configuration_path(const std::string& path) const;
  /// Relative to the prefix (-p).
  [[nodiscard]] std::string prefix_path(const std::string& path) const;
  /// Binds the statements of a block to `level`.
  void bind_block(const std::vector<Statement>& statements, Level& level);

  [[nodiscard]] std::map<std::string, std::shared_ptr<const LogFormat>, std::less<>>& log_formats() {
    return log_formats_;
  }
  /// A compiled expression whose named groups become variables. Throws Invalid.
  [[nodiscard]] std::shared_ptr<const Regex> compile_regex(const std::string& pattern, bool caseless, std::size_t word);
  /// The upstream called `name`, or npos.
  [[nodiscard]] std::size_t find_upstream(std::string_view name) const;
  /// Adds an upstream; `implicit` ones come from proxy_pass. Returns its index.
  std::size_t add_upstream(Upstream upstream);
  void add_listen(const Server& server, ListenUse listen) { listens_[&server].push_back(std::move(listen)); }
  [[nodiscard]] const std::vector<ListenUse>& listens(const Server& server) { return listens_[&server]; }
  /// Notes where a server's block stands, for messages about it after all is read.
  void note_server(const Server& server, const Statement& statement) { server_statements_[&server] = &statement; }

 private:
  void bind_statement(const Statement& statement, Level& level, Phase phase);
  void declare_variables(const std::vector<Statement>& statements);
  void report_unknown_directive(const Statement& statement);
  void finish_servers();
  void finish_server(Server& server);
  void build_listeners();
  void add_to_listener(Server& server, const ListenUse& listen, std::map<SocketAddress, std::size_t>& by_address,
                       std::vector<std::pair<bool, bool>>& state);
  void warn_name_conflicts();
  void number_locations(Location& location);

  Config& config_;
  Reporter& reporter_;
  VariableTable variables_;
  std::string folder_;
  bool accept_missing_ = false;
  std::map<std::string, std::shared_ptr<const LogFormat>, std::less<>> log_formats_;
  std::map<std::string, std::size_t, std::less<>> upstreams_;
  std::map<const Server*, std::vector<ListenUse>> listens_;
  std::map<const Server*, const Statement*> server_statements_;
};

}  // namespace gatehouse::config
