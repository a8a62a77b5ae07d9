// Where messages go before the configuration says where: standard error, and the file of `-e`.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/log.hpp"
#include "proxy/config/loader.hpp"

namespace gatehouse::server {

class StartupLog {
 public:
  /// `error_log`: the file of `-e`; empty or "stderr" for standard error alone. Messages below `lowest` are left out (-q).
  StartupLog(const std::string& error_log, LogLevel lowest);

  /// "gatehouse: [emerg] text".
  void write(LogLevel level, std::string_view text) const;
  /// Every message with the source line it is about.
  void write(const std::vector<config::Diagnostic>& diagnostics) const;
  /// "gatehouse: text", without a level: for results.
  void say(std::string_view text) const;
  /// No more to standard error: the terminal is given back (`daemon on`).
  void leave_terminal();

  [[nodiscard]] bool on_terminal() const noexcept { return terminal_; }

 private:
  LogLevel lowest_;
  bool terminal_ = true;
  std::shared_ptr<LogFile> file_;
};

}  // namespace gatehouse::server
