// The error log: nginx's line format, levels and files; and log files that can be reopened while others write to them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace gatehouse {

/// nginx's levels, from the most talkative to the most severe.
enum class LogLevel : std::uint8_t { debug, info, notice, warn, error, crit, alert, emerg };

/// "error", "crit" ...
[[nodiscard]] std::string_view level_name(LogLevel level) noexcept;
[[nodiscard]] std::optional<LogLevel> level_of(std::string_view name) noexcept;

class SyslogSender;

/// A file opened for appending, or a syslog server. write() to a file is one system call; any thread may call it at once, and a line
/// is never torn.
class LogFile {
 public:
  /// "stderr" is standard error, "syslog:..." a server. Throws std::system_error naming the path when it can't be opened, and
  /// std::runtime_error for a server that can't be used.
  /// `gzip_level` other than 0: each write() appends a gzip member of its own, so that a file is whole at any time.
  explicit LogFile(std::string path, int gzip_level = 0);
  ~LogFile();
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;

  void write(std::string_view bytes) const noexcept;
  /// A line of an error log: a syslog server is told its level.
  void write(std::string_view line, LogLevel level) const noexcept;
  /// Opens the path anew behind the same descriptor (SIGUSR1); on failure the old file stays. Returns errno or 0.
  int reopen() noexcept;
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  void append(std::string_view bytes) const noexcept;

  std::string path_;
  int gzip_level_;
  int fd_ = -1;
  std::unique_ptr<SyslogSender> syslog_;
};

/// Every log file of the process, each opened once however often it is named. Thread-safe.
class LogFiles {
 public:
  /// Throws as LogFile's constructor.
  [[nodiscard]] std::shared_ptr<LogFile> open(const std::string& path, int gzip_level = 0);
  /// Reopens all; returns "PATH: reason" of those that could not be.
  std::vector<std::string> reopen();

 private:
  std::mutex mutex_;
  std::map<std::pair<std::string, int>, std::weak_ptr<LogFile>> files_;  ///< by path and level
};

/// The error log of one configuration level: its files, each with its own level. Thread-safe.
class ErrorLog {
 public:
  struct Target {
    std::shared_ptr<LogFile> file;
    LogLevel level = LogLevel::error;
  };

  ErrorLog() = default;
  explicit ErrorLog(std::vector<Target> targets);

  [[nodiscard]] bool enabled(LogLevel level) const noexcept { return level >= lowest_; }

  /// A message of level debug. `forced`: also to files that do not take it (debug_connection).
  template <class... Arguments>
  void debug(bool forced, std::uint64_t connection, fmt::format_string<Arguments...> format,
             Arguments&&... arguments) const {
    if (!forced && !enabled(LogLevel::debug)) return;
    write(LogLevel::debug, connection, fmt::format(format, std::forward<Arguments>(arguments)...), forced);
  }

  /// Writes "2026/11/20 11:00:00 [error] PID#TID: *CONNECTION text\n"; connection 0 leaves its part out. Lines are cut at
  /// 2,048 bytes of text as nginx does, and line ends inside become blanks. `forced`: to every file, whatever its level.
  void write(LogLevel level, std::uint64_t connection, std::string_view text, bool forced = false) const;

  template <class... Arguments>
  void log(LogLevel level, std::uint64_t connection, fmt::format_string<Arguments...> format,
           Arguments&&... arguments) const {
    if (enabled(level)) write(level, connection, fmt::format(format, std::forward<Arguments>(arguments)...));
  }

 private:
  std::vector<Target> targets_;
  LogLevel lowest_ = LogLevel::emerg;
};

}  // namespace gatehouse
