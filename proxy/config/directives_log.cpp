// Rows of logs.
#include <array>
#include <stdexcept>

#include "proxy/base/syslog.hpp"
#include "proxy/config/setters.hpp"
#include "proxy/config/tables.hpp"

namespace gatehouse::config {
namespace {

using L = LocationSettings;
constexpr std::uint32_t kHsl = kHttpServerLocation;

constexpr std::array<Choice<LogLevel>, 8> kLevels{{{"debug", LogLevel::debug},
                                                   {"info", LogLevel::info},
                                                   {"notice", LogLevel::notice},
                                                   {"warn", LogLevel::warn},
                                                   {"error", LogLevel::error},
                                                   {"crit", LogLevel::crit},
                                                   {"alert", LogLevel::alert},
                                                   {"emerg", LogLevel::emerg}}};

std::string target_path(const Use& use, const std::string& text) {
  if (text == "stderr") return text;
  if (text.starts_with("syslog:")) {
    try {
      (void)parse_syslog(std::string_view(text).substr(7));
    } catch (const std::runtime_error& error) {
      throw Invalid{error.what(), 1, "syslog:server=ADDRESS[,facility=][,severity=][,tag=][,nohostname]"};
    }
    return text;
  }
  if (text.starts_with("memory:"))
    throw Invalid{"logging to memory is not supported", 1, "log to a file at level debug instead"};
  return use.level.binder->prefix_path(text);
}

ErrorLogTarget read_error_log(const Use& use) {
  ErrorLogTarget log{target_path(use, use[1]), LogLevel::error};
  if (use.count() < 2) return log;
  for (const auto& level : kLevels) {
    if (use[2] != level.name) continue;
    log.level = level.value;
    return log;
  }
  throw Invalid{fmt::format("invalid log level \"{}\"", use[2]), 2, choice_names(kLevels)};
}

void set_main_error_log(const Use& use) { use.level.main->error_log.push_back(read_error_log(use)); }
void set_error_log(const Use& use) { append<&L::error_log>(use, read_error_log(use)); }

std::string show_targets(const std::vector<ErrorLogTarget>& targets) {
  std::string text;
  for (const auto& log : targets) {
    text +=
        fmt::format("{}{} {}", text.empty() ? "" : "; ", log.path, kLevels[static_cast<std::size_t>(log.level)].name);
  }
  return text;
}
std::string show_main_error_log(const Level& level) { return level.main ? show_targets(level.main->error_log) : ""; }
std::string show_error_log(const Level& level) {
  return level.settings && level.settings->error_log ? show_targets(*level.settings->error_log) : "";
}

void set_log_format(const Use& use) {
  auto& formats = use.level.binder->log_formats();
  if (formats.contains(use[1])) throw Invalid{fmt::format("duplicate \"log_format\" name \"{}\"", use[1]), 1, {}};
  LogFormat format;
  format.name = use[1];
  std::size_t i = 2;
  if (use[2].starts_with("escape=")) {
    const auto escape = std::string_view(use[2]).substr(7);
    if (escape == "json") {
      format.escape = LogFormat::Escape::json;
    } else if (escape == "none") {
      format.escape = LogFormat::Escape::none;
    } else if (escape != "default") {
      throw Invalid{fmt::format("unknown log format escaping \"{}\"", escape), 2, "default, json or none"};
    }
    ++i;
  }
  std::string text;
  for (; i <= use.count(); ++i) text += use[i];
  format.text = read_value(use, 2, text);
  formats.emplace(use[1], std::make_shared<const LogFormat>(std::move(format)));
}

// A gzip member should hold more than the lines of 20 ms. nginx waits until the buffer is full, without a limit.
constexpr Milliseconds kCompressedFlush{1000};

void read_log_parameter(const Use& use, std::size_t word, AccessLogTarget& log) {
  const std::string_view text = use[word];
  if (text.starts_with("buffer=")) {
    const auto size = parse_size(text.substr(7));
    if (!size || *size == 0) throw Invalid{fmt::format("invalid buffer size \"{}\"", text.substr(7)), word, {}};
    log.buffer = *size;
  } else if (text.starts_with("flush=")) {
    const auto time = parse_time(text.substr(6));
    if (!time || time->count() == 0) throw Invalid{fmt::format("invalid flush time \"{}\"", text.substr(6)), word, {}};
    log.flush = *time;
  } else if (text.starts_with("if=")) {
    log.condition = read_value(use, word, text.substr(3));
  } else if (text == "gzip" || text.starts_with("gzip=")) {
    constexpr int kFastest = 1;
    const auto level = text == "gzip" ? std::optional<std::uint64_t>(kFastest) : parse_number(text.substr(5));
    if (!level || *level < 1 || *level > 9) {
      throw Invalid{fmt::format("invalid compression level \"{}\"", text.substr(std::min<std::size_t>(5, text.size()))),
                    word, "1 to 9"};
    }
    if (!log.path.is_constant() || log.path.constant().starts_with("syslog:")) {
      throw Invalid{"buffered logs cannot have variables in name", word, "gzip is for files with one name"};
    }
    log.gzip_level = static_cast<int>(*level);
    if (!log.flush) log.flush = kCompressedFlush;
  } else {
    constexpr std::array<std::string_view, 4> kNames{"buffer=", "flush=", "gzip", "if="};
    throw Invalid{fmt::format("invalid parameter \"{}\"", text), word, did_you_mean(text, kNames)};
  }
}

void set_access_log(const Use& use) {
  if (use[1] == "off" && use.count() == 1) {
    use.level.settings->access_log = std::make_shared<std::vector<AccessLogTarget>>();
    return;
  }
  AccessLogTarget log;
  const auto path = has_variable(use[1]) && !use[1].starts_with("syslog:") ? use[1] : target_path(use, use[1]);
  log.path = use.level.binder->variables().compile(path, use.statement.place(1));
  if (use.count() < 2 && use.level.binder->in_stream()) throw Invalid{"log format is not specified", 1, {}};
  const std::string name = use.count() > 1 ? use[2] : "combined";
  const auto& formats = use.level.binder->log_formats();
  const auto found = formats.find(name);
  if (found == formats.end()) {
    std::vector<std::string_view> names;
    for (const auto& [known, format] : formats) names.push_back(known);
    throw Invalid{fmt::format("unknown log format \"{}\"", name), 2, did_you_mean(name, names)};
  }
  log.format = found->second;
  for (std::size_t i = 3; i <= use.count(); ++i) read_log_parameter(use, i, log);
  append<&L::access_log>(use, std::move(log));
}
std::string show_access_log(const Level& level) {
  if (level.settings == nullptr || !level.settings->access_log) return "";
  std::string text;
  for (const auto& log : *level.settings->access_log) {
    text += fmt::format("{}{} {}", text.empty() ? "" : "; ", log.path.source(), log.format->name);
    if (log.gzip_level != 0) text += fmt::format(" gzip={}", log.gzip_level);
    if (log.condition) text += " if=" + log.condition->source();
  }
  return text.empty() ? "off" : text;
}

constexpr std::string_view kErrorLogSyntax =
    "FILE | stderr | syslog:server=ADDRESS[,...] [debug | info | notice | warn | error | crit | alert | emerg]";

const Directive kRows[] = {
    {"error_log",
     kMain,
     {1, 2, false},
     {set_main_error_log, show_main_error_log, kErrorLogSyntax},
     "Where errors are logged."},
    {"error_log",
     kHsl | kStreamBoth,
     {1, 2, false},
     {set_error_log, show_error_log, kErrorLogSyntax},
     "Where errors of these requests are logged; WAF matches are at info, denials at error."},
    {"log_format",
     kHttp | kStream,
     kTwoOrMore,
     {set_log_format, nullptr, "NAME [escape=default|json|none] STRING..."},
     "A format of access log lines. `combined` is predefined."},
    {"access_log",
     kHsl | kLocationIf | kLimitExcept | kStreamBoth,
     kOneOrMore,
     {set_access_log, show_access_log, "off | PATH [FORMAT [buffer=SIZE] [gzip[=LEVEL]] [flush=TIME] [if=CONDITION]]"},
     "Where requests are logged. Inherited only by levels that have none of their own."},
    {"log_subrequest", kHsl, kOne, flag<&L::log_subrequest>(),
     "Whether subrequests (auth_request, mirror, additions, slices) get a line of their own in the access log."},
    {"log_not_found", kHsl, kOne, flag<&L::log_not_found>(), "Whether missing files are logged as errors."},
};

}  // namespace

std::span<const Directive> log_directives() { return kRows; }

}  // namespace gatehouse::config
