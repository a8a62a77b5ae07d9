// Configuration text -> typed configuration.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/config/model.hpp"

namespace gatehouse::config {

/// A message about the configuration, already rendered: nginx's first line, then the source line and a caret.
struct Diagnostic {
  LogLevel level = LogLevel::emerg;
  std::string text;     ///< `unknown directive "lisen" in /etc/x.conf:3`, nginx's wording, one line
  std::string excerpt;  ///< the shown source line, the caret and the hint; may be empty
};

struct LoadOptions {
  std::string path;               ///< -c
  std::string prefix;             ///< -p; relative paths start here
  std::string global_directives;  ///< -g
  const VariableCatalog* variables = nullptr;
  /// Also binds directives whose rows are complete but which the exchange can't run yet (Support::missing): for tests
  /// of them.
  bool accept_missing = false;
  const VariableCatalog* stream_variables = nullptr;  ///< of the stream block
  bool warn_of_traps = false;                         ///< `-t`: also warn of what is valid and rarely meant
};

/// Either a configuration, or every error that was found (never only the first).
struct LoadResult {
  std::shared_ptr<const Config> config;  ///< null when any diagnostic is an error
  std::vector<Diagnostic> diagnostics;   ///< errors and warnings in order of appearance
};

/// Reads, parses, types and cross-checks. Touches the file system (the configuration and its includes; certificates are
/// not opened here). Does not throw. Called at start and, on a reload, from a thread that serves no connections.
[[nodiscard]] LoadResult load(const LoadOptions& options);

/// The same from text, for tests; `name` stands for the file in messages.
[[nodiscard]] LoadResult load_text(std::string_view name, std::string_view text, const LoadOptions& options);

}  // namespace gatehouse::config
