#include "proxy/config/binder.hpp"

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

#include "proxy/config/blocks.hpp"
#include "proxy/config/tables.hpp"

namespace gatehouse::config {
namespace {

std::string join(const std::string& folder, const std::string& path) {
  if (path.empty() || path.front() == '/' || folder.empty()) return path;
  return folder.back() == '/' ? folder + path : folder + "/" + path;
}

// Directives whose first argument names a variable that they define.
bool defines_variable(const Statement& statement, std::string_view& name) {
  const auto& directive = statement.name();
  std::size_t word = 0;
  if ((directive == "set" || directive == "auth_request_set") && statement.argument_count() >= 2) word = 1;
  if ((directive == "map" || directive == "split_clients") && statement.argument_count() == 2) word = 2;
  if (directive == "geo" && statement.argument_count() >= 1) word = statement.argument_count();
  if (word == 0 || !statement[word].starts_with('$')) return false;
  name = std::string_view(statement[word]).substr(1);
  return true;
}

// A forgotten semicolon makes the next line's directive an argument: the most common mistake deserves its name.
std::string missing_semicolon_hint(const Statement& statement) {
  for (std::size_t i = 1; i < statement.words.size(); ++i) {
    const auto& word = statement.words[i];
    const auto& before = statement.words[i - 1];
    if (word.line != before.line && !find_directives(word.text).empty()) {
      return fmt::format("is a \";\" missing at the end of line {}?", before.line);
    }
  }
  return {};
}

}  // namespace

std::string Binder::configuration_path(const std::string& path) const { return join(folder_, path); }
std::string Binder::prefix_path(const std::string& path) const { return join(config_.prefix, path); }

void Binder::declare_variables(const std::vector<Statement>& statements, VariableTable& variables) {
  for (const auto& statement : statements) {
    std::string_view name;
    if (defines_variable(statement, name)) variables.declare(name);
    declare_variables(statement.block, statement.name() == "stream" ? stream_.variables : variables);
  }
}

void Binder::report_unknown_directive(const Statement& statement) {
  if (const auto instead = refused_family(statement.name()); !instead.empty()) {
    // Twenty lines of fastcgi_param are one problem.
    if (said_once_.insert(statement.name()).second)
      reporter_.error(statement.place(), fmt::format("\"{}\" directive is not supported", statement.name()), instead);
    return;
  }
  std::string hint = missing_semicolon_hint(statement);
  if (hint.empty()) hint = did_you_mean(statement.name(), directive_names());
  reporter_.error(statement.place(), fmt::format("unknown directive \"{}\"", statement.name()), hint);
}

void Binder::note_once(std::string_view subject, const Statement& statement, std::size_t word, std::string_view text,
                       std::string_view hint) {
  if (said_once_.emplace(subject).second) reporter_.notice(statement.place(word), text, hint);
}

void Binder::bind_statement(const Statement& statement, Level& level, Phase phase) {
  const auto rows = find_directives(statement.name());
  if (rows.empty()) {
    if (phase == Phase::settings) report_unknown_directive(statement);
    return;
  }
  const auto found =
      std::ranges::find_if(rows, [&](const Directive* row) { return (row->contexts & level.context) != 0; });
  if (found == rows.end()) {
    if (phase != Phase::settings) return;
    std::uint32_t contexts = 0;
    for (const auto* row : rows) contexts |= row->contexts;
    reporter_.error(statement.place(), fmt::format("\"{}\" directive is not allowed here", statement.name()),
                    fmt::format("it belongs into: {}", context_names(contexts)));
    return;
  }
  const Directive& row = **found;
  if (row.phase != phase) return;
  const bool bind_anyway = accept_missing_ && row.support == Support::missing && row.action.set != nullptr;
  if (!bind_anyway && (row.support == Support::missing || row.support == Support::unsupported)) {
    const bool later = row.support == Support::missing;
    reporter_.error(statement.place(),
                    fmt::format("\"{}\" directive is not supported{}", row.name, later ? " by this version yet" : ""),
                    later ? "nginx has this directive; a later version will" : row.documentation);
    return;
  }
  if (row.arity.block && !statement.has_block) {
    reporter_.error(statement.place(), fmt::format("directive \"{}\" has no opening \"{{\"", row.name));
    return;
  }
  if (!row.arity.block && statement.has_block) {
    reporter_.error(statement.place(), fmt::format("directive \"{}\" is not terminated by \";\"", row.name));
    return;
  }
  const auto count = statement.argument_count();
  if (count < row.arity.least || (row.arity.most != Arity::kAny && count > row.arity.most)) {
    reporter_.error(statement.place(), fmt::format("invalid number of arguments in \"{}\" directive", row.name),
                    missing_semicolon_hint(statement));
    return;
  }
  const bool first = level.seen.emplace(&row, &statement).second;
  try {
    row.action.set(Use{level, statement, row, first});
  } catch (const Invalid& invalid) {
    const auto semicolon = missing_semicolon_hint(statement);
    reporter_.error(statement.place(invalid.word), invalid.text, semicolon.empty() ? invalid.hint : semicolon);
  }
}

void Binder::bind_block(const std::vector<Statement>& statements, Level& level) {
  for (const Phase phase : {Phase::settings, Phase::upstreams, Phase::children}) {
    for (const auto& statement : statements) bind_statement(statement, level, phase);
    if (phase == Phase::settings) finish_settings(level);
  }
}

void Binder::bind(const std::vector<Statement>& statements) {
  declare_variables(statements, http_.variables);
  Level level;
  level.context = kMain;
  level.binder = this;
  level.main = &config_.main;
  bind_block(statements, level);
  if (level.find("events") == nullptr && reporter_.error_count() == 0) {
    reporter_.error({}, "no \"events\" section in configuration");
  }
  finish_servers();
  http_.variables.report_unknown(reporter_);
  stream_.variables.report_unknown(reporter_);
  config_.user_variables = http_.variables.slot_names();
  config_.stream_variables = stream_.variables.slot_names();
}

void Binder::note_set(std::uint16_t slot) {
  auto& slots = config_.set_by_set;
  if (slots.size() <= slot) slots.resize(slot + std::size_t{1});
  slots[slot] = true;
}

void Binder::define_table(std::uint16_t slot, std::unique_ptr<const ValueTable> table) {
  auto& tables = in_stream() ? config_.stream_variable_maps : config_.variable_maps;
  if (tables.size() <= slot) tables.resize(slot + std::size_t{1});
  tables[slot] = std::move(table);
}

std::shared_ptr<const Regex> Binder::compile_regex(const std::string& pattern, bool caseless, std::size_t word) {
  try {
    auto regex = std::make_shared<Regex>(pattern, caseless);
    std::vector<std::uint16_t> slots;
    for (const auto& [name, group] : regex->names()) slots.push_back(variables().define(name, word));
    regex->set_slots(std::move(slots));
    return regex;
  } catch (const std::invalid_argument& error) {
    throw Invalid{error.what(), word, {}};
  }
}

std::size_t Binder::find_upstream(std::string_view name) const {
  const auto found = side_->upstreams.find(name);
  return found == side_->upstreams.end() ? ProxyPass::npos : found->second;
}

std::size_t Binder::add_upstream(Upstream upstream) {
  const auto index = side_->block.upstreams.size();
  side_->upstreams.emplace(upstream.name, index);
  side_->block.upstreams.push_back(std::move(upstream));
  return index;
}

void Binder::number_locations(Location& location) {
  location.id = static_cast<std::uint32_t>(config_.locations.size());
  config_.locations.push_back(&location);
  for (auto& step : location.program) {
    if (auto* condition = std::get_if<IfStep>(&step); condition != nullptr && condition->settings) {
      number_locations(*condition->settings);
    }
  }
  for (auto& inner : location.locations) number_locations(*inner);
}

void Binder::finish_servers() {
  auto& servers = config_.http.servers;
  for (std::size_t i = 0; i < servers.size(); ++i) {
    servers[i]->id = static_cast<std::uint32_t>(i);
    number_locations(servers[i]->root);
  }
  build_listeners();
  for (auto& server : servers) finish_server(*server);
  if (reporter_.error_count() == 0) warn_name_conflicts();

  const StreamScope scope(*this);
  auto& stream_servers = config_.stream.servers;
  for (std::size_t i = 0; i < stream_servers.size(); ++i) stream_servers[i]->id = static_cast<std::uint32_t>(i);
  build_listeners();
  for (auto& server : stream_servers) {
    finish_server(*server);
    finish_stream_server(*server);
  }
  if (reporter_.error_count() == 0) warn_name_conflicts();
}

}  // namespace gatehouse::config
