// Statements -> typed configuration: walks the tree, checks each statement against its rows, and lets the rows set
// their targets.
#pragma once

#include <map>
#include <memory>
#include <set>
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
  bool quic = false;                 ///< HTTP/3: nothing listens there
  bool sets_socket_options = false;  ///< backlog, rcvbuf ...: at most one server may give them for an address
  Place place;
  Position position;
};

/// Loads one configuration; used once. What rows need beyond their own target.
class Binder {
 public:
  /// All references must outlive the binder. `folder`: relative paths of includes, certificates and rules start there.
  /// The catalogs may be null, see VariableTable.
  Binder(Config& config, Reporter& reporter, const VariableCatalog* catalog, std::string folder,
         const VariableCatalog* stream_catalog = nullptr)
      : config_(config),
        reporter_(reporter),
        http_{config.http, VariableTable(catalog), {}, {}},
        stream_{config.stream, VariableTable(stream_catalog), {}, {}},
        folder_(std::move(folder)) {}

  /// What http and stream each have of their own: the statements of a block see only their side's names.
  struct Side {
    Http& block;
    VariableTable variables;
    std::map<std::string, std::shared_ptr<const LogFormat>, std::less<>> log_formats;
    std::map<std::string, std::size_t, std::less<>> upstreams;
  };
  /// While it lives, rows get the stream block's side.
  class StreamScope {
   public:
    explicit StreamScope(Binder& binder) noexcept : binder_(binder) { binder_.side_ = &binder_.stream_; }
    ~StreamScope() { binder_.side_ = &binder_.http_; }
    StreamScope(const StreamScope&) = delete;
    StreamScope& operator=(const StreamScope&) = delete;

   private:
    Binder& binder_;
  };

  /// Fills the configuration from the statements of the main context; errors go to the reporter.
  void bind(const std::vector<Statement>& statements);

  /// See LoadOptions::accept_missing.
  void accept_missing(bool accept) noexcept { accept_missing_ = accept; }

  // For rows:
  [[nodiscard]] VariableTable& variables() noexcept { return side_->variables; }
  [[nodiscard]] bool in_stream() const noexcept { return side_ == &stream_; }
  [[nodiscard]] bool warns_of_traps() const noexcept { return warns_of_traps_; }
  void warn_of_traps(bool wanted) noexcept { warns_of_traps_ = wanted; }
  [[nodiscard]] Config& config() noexcept { return config_; }
  [[nodiscard]] Reporter& reporter() noexcept { return reporter_; }
  void warn(const Statement& statement, std::size_t word, std::string_view text, std::string_view hint = {}) {
    reporter_.warning(statement.place(word), text, hint);
  }
  /// A notice about something that is said once, however often the configuration does it; `subject` tells them apart.
  void note_once(std::string_view subject, const Statement& statement, std::size_t word, std::string_view text,
                 std::string_view hint = {});
  /// Relative to the configuration file's folder (nginx's conf prefix).
  [[nodiscard]] std::string configuration_path(const std::string& path) const;
  /// Relative to the prefix (-p).
  [[nodiscard]] std::string prefix_path(const std::string& path) const;
  /// Binds the statements of a block to `level`.
  void bind_block(const std::vector<Statement>& statements, Level& level);

  [[nodiscard]] std::map<std::string, std::shared_ptr<const LogFormat>, std::less<>>& log_formats() {
    return side_->log_formats;
  }
  /// A compiled expression whose named groups become variables. Throws Invalid.
  [[nodiscard]] std::shared_ptr<const Regex> compile_regex(const std::string& pattern, bool caseless, std::size_t word);
  /// Says that some proxy_bind is transparent (MainSettings::binds_transparently).
  void note_transparent() noexcept { config_.main.binds_transparently = true; }
  /// Says that a `set` fills the slot (Config::set_by_set).
  void note_set(std::uint16_t slot);
  /// Makes `table` what fills the variable of a slot.
  void define_table(std::uint16_t slot, std::unique_ptr<const ValueTable> table);
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
  void declare_variables(const std::vector<Statement>& statements, VariableTable& variables);
  void report_unknown_directive(const Statement& statement);
  void finish_servers();
  void finish_server(Server& server);
  void finish_stream_server(Server& server);
  void build_listeners();
  void add_to_listener(Server& server, const ListenUse& listen,
                       std::map<std::pair<SocketAddress, bool>, std::size_t>& by_address,
                       std::vector<std::pair<bool, bool>>& state);
  void warn_name_conflicts();
  void number_locations(Location& location);

  bool warns_of_traps_ = false;
  Config& config_;
  Reporter& reporter_;
  Side http_;
  Side stream_;
  Side* side_ = &http_;
  std::string folder_;
  bool accept_missing_ = false;
  std::set<std::string, std::less<>> said_once_;
  std::map<const Server*, std::vector<ListenUse>> listens_;
  std::map<const Server*, const Statement*> server_statements_;
};

}  // namespace gatehouse::config
