#include "proxy/config/loader.hpp"

#include <filesystem>
#include <new>

#include <fmt/format.h>

#include "proxy/config/binder.hpp"
#include "proxy/config/reporter.hpp"
#include "proxy/config/syntax.hpp"

namespace gatehouse::config {
namespace {

std::string absolute(const std::string& path, const std::string& prefix) {
  if (path.starts_with('/')) return path;
  std::error_code failed;
  auto base = prefix.empty() ? std::filesystem::current_path(failed) : std::filesystem::path(prefix);
  if (failed) return path;
  return (base / path).lexically_normal().string();
}

template <class Read>
LoadResult load_with(const LoadOptions& options, const std::string& folder, Read&& read) {
  LoadResult result;
  Reporter reporter;
  try {
    auto config = std::make_shared<Config>();
    config->prefix = options.prefix;
    Reader reader(reporter, config->sources, folder);
    std::vector<Statement> statements;
    if (!options.global_directives.empty()) {
      // As nginx's -g, but the last semicolon may be missing.
      auto text = options.global_directives;
      if (text.find_last_not_of(" \t\n;") != std::string::npos && text.back() != ';') text += ';';
      statements = reader.read_text("command line", text);
    }
    auto rest = read(reader);
    std::move(rest.begin(), rest.end(), std::back_inserter(statements));
    Binder binder(*config, reporter, options.variables, folder, options.stream_variables);
    binder.warn_of_traps(options.warn_of_traps);
    binder.accept_missing(options.accept_missing);
    binder.bind(statements);
    if (reporter.error_count() == 0) result.config = std::move(config);
    result.diagnostics = reporter.take();
  } catch (const std::exception& error) {
    result.config.reset();
    result.diagnostics = reporter.take();
    result.diagnostics.push_back(
        {LogLevel::emerg, fmt::format("loading the configuration failed: {}", error.what()), {}});
  }
  return result;
}

}  // namespace

LoadResult load(const LoadOptions& options) {
  const auto path = absolute(options.path, options.prefix);
  const auto folder = std::filesystem::path(path).parent_path().string();
  return load_with(options, folder, [&](Reader& reader) { return reader.read_file(path); });
}

LoadResult load_text(std::string_view name, std::string_view text, const LoadOptions& options) {
  const auto folder = options.path.empty()
                          ? options.prefix
                          : std::filesystem::path(absolute(options.path, options.prefix)).parent_path().string();
  return load_with(options, folder, [&](Reader& reader) { return reader.read_text(name, text); });
}

}  // namespace gatehouse::config
