#include "proxy/server/command_line.hpp"

#include <array>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "waf/rule_set.hpp"

namespace gatehouse::server {
namespace {

constexpr std::array<std::pair<std::string_view, ControlSignal>, 4> kSignals = {{{"stop", ControlSignal::stop},
                                                                                 {"quit", ControlSignal::quit},
                                                                                 {"reopen", ControlSignal::reopen},
                                                                                 {"reload", ControlSignal::reload}}};

// Short options may stand together (-tq), and their values in the same word or in the next one (-cfile, -c file).
class Parser {
 public:
  explicit Parser(std::span<const std::string_view> arguments) : arguments_(arguments) {}

  std::variant<CommandLine, CommandLineError> parse(std::string_view current_directory) {
    for (; at_ < arguments_.size() && error_.empty(); ++at_) {
      const std::string_view word = arguments_[at_];
      if (word.starts_with("--")) {
        read_long(word);
      } else if (word.size() > 1 && word.front() == '-') {
        read_short(word.substr(1));
      } else {
        error_ = fmt::format("invalid option: \"{}\"", word);
      }
    }
    if (!error_.empty()) return CommandLineError{std::move(error_)};
    complete_paths(current_directory);
    return std::move(result_);
  }

 private:
  void read_short(std::string_view letters) {
    while (!letters.empty() && error_.empty()) {
      const char letter = letters.front();
      letters.remove_prefix(1);
      switch (letter) {
        case '?':
        case 'h': want(Command::help); break;
        case 'v': want(Command::version); break;
        case 'V': want(Command::build_version); break;
        case 't': want(Command::test); break;
        case 'T': want(Command::dump); break;
        case 'q': result_.quiet = true; break;
        case 'p': result_.prefix = value(letters, "-p", "directory name"); break;
        case 'c': result_.configuration = value(letters, "-c", "file name"); break;
        case 'e': result_.error_log = value(letters, "-e", "file name"); break;
        case 'g': result_.global_directives = value(letters, "-g", "parameter"); break;
        case 's': read_signal(value(letters, "-s", "parameter")); break;
        default: error_ = fmt::format("invalid option: \"{}\"", letter);
      }
    }
  }

  void read_long(std::string_view word) {
    if (word == "--list-directives") {
      want(Command::list_directives);
    } else if (word == "--list-directives=markdown") {
      want(Command::list_directives);
      result_.format = ListFormat::markdown;
    } else if (word == waf::kCheckRulesArgument) {
      want(Command::check_waf_rules);
    } else if (word == "--explain-waf") {
      want(Command::test);
      result_.explain_waf = true;
    } else if (word == "--explain") {
      want(Command::test);
      if (++at_ >= arguments_.size() || arguments_[at_].empty()) {
        error_ = "option \"--explain\" requires URL";
      } else {
        result_.explained_url = arguments_[at_];
      }
    } else if (word == "--help") {
      want(Command::help);
    } else if (word == "--version") {
      want(Command::version);
    } else if (word == "--make-certificate") {
      read_certificate();
    } else {
      error_ = fmt::format("invalid option: \"{}\"", word);
    }
  }

  // Takes the rest of the command line.
  void read_certificate() {
    want(Command::make_certificate);
    if (++at_ >= arguments_.size() || arguments_[at_].empty()) {
      error_ = "option \"--make-certificate\" requires directory name";
      return;
    }
    result_.certificate_directory = arguments_[at_];
    while (++at_ < arguments_.size()) result_.certificate_names.emplace_back(arguments_[at_]);
  }

  void read_signal(std::string_view name) {
    if (!error_.empty()) return;
    for (const auto& [text, signal] : kSignals) {
      if (text == name) {
        want(Command::signal);
        result_.signal = signal;
        return;
      }
    }
    error_ = fmt::format("invalid option: \"-s {}\"", name);
  }

  // The rest of the word, or else the next one; `letters` is used up.
  std::string value(std::string_view& letters, std::string_view option, std::string_view what) {
    std::string_view text = std::exchange(letters, {});
    if (text.empty() && at_ + 1 < arguments_.size()) text = arguments_[++at_];
    if (text.empty()) error_ = fmt::format("option \"{}\" requires {}", option, what);
    return std::string(text);
  }

  // Of several, the one that says more without doing anything wins, as in nginx: -h over -v over -T over -t over -s.
  void want(Command command) {
    const auto rank = [](Command c) {
      switch (c) {
        case Command::run: return 0;
        case Command::signal: return 1;
        case Command::test: return 2;
        case Command::dump: return 3;
        case Command::version: return 4;
        case Command::build_version: return 5;
        case Command::help: return 6;
        case Command::list_directives:
        case Command::make_certificate:
        case Command::check_waf_rules: return 7;
      }
      return 0;
    };
    if (rank(command) > rank(result_.command)) result_.command = command;
  }

  void complete_paths(std::string_view current_directory) {
    const bool relative = !result_.configuration.empty() && result_.configuration.front() != '/';
    if (result_.prefix.empty()) result_.prefix = relative ? current_directory : kDefaultPrefix;
    if (result_.prefix.front() != '/') result_.prefix = fmt::format("{}/{}", current_directory, result_.prefix);
    if (result_.prefix.back() != '/') result_.prefix += '/';
    if (result_.configuration.empty()) result_.configuration = kDefaultConfiguration;
  }

  std::span<const std::string_view> arguments_;
  std::size_t at_ = 0;
  CommandLine result_;
  std::string error_;
};

}  // namespace

std::variant<CommandLine, CommandLineError> parse_command_line(std::span<const std::string_view> arguments,
                                                               std::string_view current_directory) {
  return Parser(arguments).parse(current_directory);
}

std::string_view help_text() noexcept {
  return R"(Usage: gatehouse [-?hvVtTq] [-s signal] [-p prefix]
                 [-e filename] [-c filename] [-g directives]

Options:
  -?,-h         : this help
  -v            : show version and exit
  -V            : show version and configure options then exit
  -t            : test configuration and exit
  -T            : test configuration, dump it and exit
  -q            : suppress non-error messages during configuration testing
  -s signal     : send signal to the supervisor: stop, quit, reopen, reload
  -p prefix     : set prefix path (default: /etc/gatehouse/, or the current
                  directory when -c names a relative file)
  -e filename   : set error log file (default: stderr)
  -c filename   : set configuration file (default: gatehouse.conf)
  -g directives : set global directives out of configuration file

  --explain URL                        : test configuration, show which server,
                                         location, upstream and WAF settings
                                         the URL meets, and exit
  --explain-waf                        : test configuration, show how the WAF's
                                         rules are proven, and exit
  --list-directives[=markdown]         : show every directive and exit
  --make-certificate DIRECTORY NAME... : make a self-signed certificate for
                                         the names, unless there is one, and exit
)";
}

}  // namespace gatehouse::server
