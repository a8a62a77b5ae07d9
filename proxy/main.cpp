// argv -> configuration -> run; with StartupLog the only place that prints, and the only one that decides the exit status.
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include <openssl/crypto.h>

#include "certs/self_signed.hpp"
#include "proxy/config/dump.hpp"
#include "proxy/config/loader.hpp"
#include "proxy/config/reference.hpp"
#include "proxy/exchange/explain.hpp"
#include "proxy/exchange/generation.hpp"
#include "proxy/exchange/variables.hpp"
#include "proxy/server/command_line.hpp"
#include "proxy/server/pid_file.hpp"
#include "proxy/server/startup_log.hpp"
#include "proxy/server/supervisor.hpp"
#include "proxy/stream/generation.hpp"
#include "proxy/stream/variables.hpp"
#include "waf/engine.hpp"
#include "waf/rule_set.hpp"

namespace gatehouse::server {
namespace {

config::LoadOptions load_options(const CommandLine& line) {
  config::LoadOptions options{line.configuration, line.prefix, line.global_directives, &exchange::variable_catalog()};
  options.stream_variables = &stream::variable_catalog();
  return options;
}

std::string configuration_path(const CommandLine& line) {
  return line.configuration.starts_with('/') ? line.configuration : line.prefix + line.configuration;
}

int print(std::string_view text) {
  fmt::print("{}", text);
  return 0;
}

int show_version(const CommandLine& line) {
  fmt::print(stderr, "gatehouse version: gatehouse/{}\n", GATEHOUSE_VERSION);
  if (line.command == Command::help) fmt::print(stderr, "{}", help_text());
  if (line.command == Command::build_version) {
    fmt::print(stderr, "built by {}\nbuilt with {}\nbuilt with {}\n",
#if defined(__clang__)
               "clang " __clang_version__,
#else
               "gcc " __VERSION__,
#endif
               OpenSSL_version(OPENSSL_VERSION), waf::Engine::library_version());
  }
  return 0;
}

int make_certificate(const CommandLine& line) {
  const auto made = certs::make_self_signed(line.certificate_names, line.certificate_directory);
  if (!made) {
    fmt::print(stderr, "gatehouse: [emerg] {}\n", made.error().text);
    return 1;
  }
  fmt::print("{}\n", made->text);
  return 0;
}

int send_signal(const CommandLine& line, const config::Config& config, const StartupLog& log) {
  int signal = SIGTERM;
  switch (line.signal) {
    case ControlSignal::stop: signal = SIGTERM; break;
    case ControlSignal::quit: signal = SIGQUIT; break;
    case ControlSignal::reopen: signal = SIGUSR1; break;
    case ControlSignal::reload: signal = SIGHUP; break;
  }
  try {
    const pid_t pid = read_pid_file(config.main.pid);
    if (::kill(pid, signal) == 0) return 0;
    log.write(LogLevel::alert,
              fmt::format("kill({}, {}) failed ({}: {})", pid, signal, errno, std::generic_category().message(errno)));
  } catch (const std::exception& error) {
    log.write(LogLevel::error, error.what());
  }
  return 1;
}

void explain_waf(const exchange::Generation& generation) {
  std::set<const waf::SharedFastPath*> told;
  for (const auto& location : generation.locations) {
    const auto* path = location.fast_path.get();
    if (path == nullptr || !told.insert(path).second) continue;
    fmt::print("rule set {}, first used by location \"{}\" of server \"{}\"\n{}\n", path->rule_set(),
               location.location->label, location.server->name, path->explain());
  }
  if (told.empty()) fmt::print("no location uses the WAF's fast path\n");
}

/// Everything but the sockets: what a start or a reload with this configuration would find wrong.
bool test_generation(const CommandLine& line, const std::shared_ptr<const config::Config>& config,
                     const StartupLog& log) {
  exchange::SharedState shared(waf::spawned_validator());
  if (!line.error_log.empty()) shared.default_error_log = line.error_log;
  std::vector<std::string> notes;
  try {
    const auto generation = exchange::build_generation(config, shared, notes);
    stream::LimitZones zones;
    (void)stream::build_generation(config, shared, zones, notes);
    for (const auto& note : notes) log.write(LogLevel::warn, note);
    for (const auto& notice : generation->notices) log.write(LogLevel::notice, notice);
    if (line.explain_waf) explain_waf(*generation);
    if (!line.explained_url.empty()) fmt::print("{}", exchange::explain(generation, line.explained_url));
    return true;
  } catch (const exchange::GenerationError& error) {
    for (const auto& text : error.texts()) log.write(LogLevel::emerg, text);
  } catch (const std::exception& error) {
    log.write(LogLevel::emerg, error.what());
  }
  return false;
}

int with_configuration(const CommandLine& line, std::vector<std::string> arguments) {
  const bool test = line.command == Command::test || line.command == Command::dump;
  StartupLog log(line.error_log, test && line.quiet ? LogLevel::error : LogLevel::notice);
  auto wanted = load_options(line);
  wanted.warn_of_traps = test;
  const auto loaded = config::load(wanted);
  log.write(loaded.diagnostics);
  bool good = loaded.config != nullptr;
  if (test && good) {
    if (!line.quiet) log.say(fmt::format("the configuration file {} syntax is ok", configuration_path(line)));
    good = test_generation(line, loaded.config, log);
  }
  if (!good) {
    if (test) log.say(fmt::format("configuration file {} test failed", configuration_path(line)));
    return 1;
  }
  if (test) {
    if (!line.quiet) log.say(fmt::format("configuration file {} test is successful", configuration_path(line)));
    return line.command == Command::dump ? print(config::dump_sources(*loaded.config)) : 0;
  }
  if (line.command == Command::signal) return send_signal(line, *loaded.config, log);
  SupervisorOptions options{load_options(line), line.error_log.empty() ? "stderr" : line.error_log,
                            std::move(arguments)};
  return Supervisor(std::move(options), loaded.config, log).run();
}

int run(const CommandLine& line, std::vector<std::string> arguments) {
  switch (line.command) {
    case Command::help:
    case Command::version:
    case Command::build_version: return show_version(line);
    case Command::list_directives:
      return print(line.format == ListFormat::markdown ? config::directives_markdown() : config::list_directives());
    case Command::make_certificate: return make_certificate(line);
    case Command::check_waf_rules: return waf::check_rules_main();
    case Command::test:
    case Command::dump:
    case Command::signal:
    case Command::run: return with_configuration(line, std::move(arguments));
  }
  return 1;
}

int main_with(std::vector<std::string> arguments) {
  const std::vector<std::string_view> words(arguments.begin() + (arguments.empty() ? 0 : 1), arguments.end());
  std::error_code failed;
  const auto parsed = parse_command_line(words, std::filesystem::current_path(failed).string());
  if (const auto* error = std::get_if<CommandLineError>(&parsed)) {
    fmt::print(stderr, "gatehouse: {}\n", error->text);
    return 1;
  }
  return run(std::get<CommandLine>(parsed), std::move(arguments));
}

}  // namespace
}  // namespace gatehouse::server

int main(int argc, char** argv) {
  try {
    return gatehouse::server::main_with({argv, argv + argc});
  } catch (const std::exception& error) {
    fmt::print(stderr, "gatehouse: [emerg] {}\n", error.what());
    return 1;
  }
}
