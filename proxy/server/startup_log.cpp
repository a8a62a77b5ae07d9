#include "proxy/server/startup_log.hpp"

#include <cstdio>
#include <system_error>

#include <fmt/format.h>

namespace gatehouse::server {

StartupLog::StartupLog(const std::string& error_log, LogLevel lowest) : lowest_(lowest) {
  if (error_log.empty() || error_log == "stderr") return;
  try {
    file_ = std::make_shared<LogFile>(error_log);
  } catch (const std::system_error& error) {
    // As nginx: the program goes on without.
    write(LogLevel::alert, fmt::format("could not open error log file: {}", error.what()));
  }
}

void StartupLog::write(LogLevel level, std::string_view text) const {
  if (level < lowest_) return;
  if (terminal_) fmt::print(stderr, "gatehouse: [{}] {}\n", level_name(level), text);
  if (file_) ErrorLog({{file_, lowest_}}).write(level, 0, text);
}

void StartupLog::write(const std::vector<config::Diagnostic>& diagnostics) const {
  for (const auto& diagnostic : diagnostics) {
    write(diagnostic.level, diagnostic.text);
    if (terminal_ && diagnostic.level >= lowest_ && !diagnostic.excerpt.empty()) {
      fmt::print(stderr, "{}{}", diagnostic.excerpt, diagnostic.excerpt.ends_with('\n') ? "" : "\n");
    }
  }
}

void StartupLog::say(std::string_view text) const {
  if (terminal_) fmt::print(stderr, "gatehouse: {}\n", text);
}

void StartupLog::leave_terminal() { terminal_ = false; }

}  // namespace gatehouse::server
