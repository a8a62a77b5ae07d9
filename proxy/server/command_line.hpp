// nginx's command line, and Gatehouse's own long options. Pure: arguments in, a value or a message out.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace gatehouse::server {

/// What the program is asked to do.
enum class Command : std::uint8_t {
  run,
  test,              ///< -t
  dump,              ///< -T
  signal,            ///< -s
  version,           ///< -v
  build_version,     ///< -V
  help,              ///< -h, -?
  list_directives,   ///< --list-directives[=markdown]
  make_certificate,  ///< --make-certificate DIRECTORY NAME...
  check_waf_rules,   ///< waf::kCheckRulesArgument, used by the program itself
};

/// `-s`.
enum class ControlSignal : std::uint8_t { stop, quit, reopen, reload };

enum class ListFormat : std::uint8_t { text, markdown };

struct CommandLine {
  Command command = Command::run;
  ControlSignal signal = ControlSignal::stop;
  ListFormat format = ListFormat::text;
  bool quiet = false;                 ///< -q
  bool explain_waf = false;           ///< --explain-waf: -t that also prints the WAF's plans
  std::string explained_url;          ///< --explain URL: -t that also says what the URL meets; empty: none
  std::string configuration;          ///< the file's path: absolute, or relative to `prefix`
  std::string prefix;                 ///< where relative paths start; ends in '/'
  std::string error_log;              ///< -e; empty: none was given
  std::string global_directives;      ///< -g
  std::string certificate_directory;  ///< --make-certificate
  std::vector<std::string> certificate_names;
};

/// A command line that can't be understood: the text for standard error, without "gatehouse: ".
struct CommandLineError {
  std::string text;
};

inline constexpr std::string_view kDefaultPrefix = "/etc/gatehouse/";
inline constexpr std::string_view kDefaultConfiguration = "gatehouse.conf";

/// Reads `arguments` (without the program's name). `current_directory` is the prefix when -c names a relative file and
/// -p is not given: nginx would look for the file below its compiled-in prefix, where a person at a shell does not mean
/// it.
[[nodiscard]] std::variant<CommandLine, CommandLineError> parse_command_line(
    std::span<const std::string_view> arguments, std::string_view current_directory);

/// What -h prints.
[[nodiscard]] std::string_view help_text() noexcept;

}  // namespace gatehouse::server
