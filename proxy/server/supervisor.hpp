// The process that was started: it owns the listening sockets and the pid file, and sees to it that a worker serves.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "proxy/base/log.hpp"
#include "proxy/config/loader.hpp"
#include "proxy/server/control_channel.hpp"
#include "proxy/server/daemon.hpp"
#include "proxy/server/listening_sockets.hpp"
#include "proxy/server/metrics_export.hpp"
#include "proxy/server/pid_file.hpp"
#include "proxy/server/startup_log.hpp"

namespace gatehouse::server {

struct SupervisorOptions {
  config::LoadOptions load;            ///< where the configuration comes from, now and on reloads
  std::string default_error_log;       ///< `-e`
  std::vector<std::string> arguments;  ///< argv, for a new program file
};

/// When a worker that died is started again: at once, and with growing pauses when it dies again and again within seconds.
class RestartPolicy {
 public:
  /// `lifetime`: how long the one that died had lived. Returns the pause before the next one.
  [[nodiscard]] std::chrono::milliseconds after_death(std::chrono::milliseconds lifetime) noexcept;

 private:
  unsigned quick_deaths_ = 0;
};

/// Single-threaded, so that it may fork at any time. Signals: HUP reload, QUIT drain, TERM and INT stop, USR1 reopen the logs, USR2 new
/// program file, WINCH drain the workers.
class Supervisor {
 public:
  Supervisor(SupervisorOptions options, std::shared_ptr<const config::Config> config, StartupLog& startup);

  /// Runs until the last worker has ended; returns the exit status. A forked worker never returns from it.
  [[nodiscard]] int run();

 private:
  using SteadyTime = std::chrono::steady_clock::time_point;
  enum class Phase : std::uint8_t { starting, running, draining, stopping };

  struct Worker {
    enum class State : std::uint8_t { starting, serving, draining };
    pid_t pid = 0;
    ControlChannel channel;
    State state = State::starting;
    SteadyTime started;
  };
  /// A reload on its way.
  struct Reload {
    std::uint32_t number = 0;
    std::shared_ptr<const config::Config> config;
    ListeningSockets fresh;
    pid_t replacement = 0;  ///< the new worker that takes over; 0: the running one changes its configuration
  };

  bool start();
  void announce();
  void loop();
  [[nodiscard]] int timeout(SteadyTime now) const;
  void on_signals();
  void on_signal(int signal, pid_t sender);
  void on_time(SteadyTime now);

  void start_worker();
  pid_t fork_worker(const std::shared_ptr<const config::Config>& config, ListeningSockets* fresh);
  void on_message(Worker& worker, const ControlMessage& message);
  void worker_ready(Worker& worker, std::uint32_t number);
  void worker_failed(Worker& worker, const ControlMessage& message);
  void reap();
  void worker_gone(pid_t pid, int status);
  [[nodiscard]] Worker* serving() noexcept;

  void begin_reload();
  [[nodiscard]] bool prepare(Reload& reload);
  void commit_reload();
  void abandon_reload();
  void use_error_log(const config::Config& config);
  void move_pid_file(const config::Config& config);

  void drain_workers(std::string_view why);
  void shut_down(Phase phase);
  void reopen_logs();
  void upgrade();

  /// To the error log, and to the terminal as long as nobody serves.
  void log(LogLevel level, std::string_view text) const;

  SupervisorOptions options_;
  std::shared_ptr<const config::Config> config_;
  StartupLog& startup_;
  const std::string program_;
  LogFiles log_files_;
  std::shared_ptr<const ErrorLog> log_;
  bool log_is_terminal_ = false;
  UniqueFd signals_;
  Daemon daemon_;
  PidFile pid_file_;
  ListeningSockets sockets_;
  std::vector<Worker> workers_;
  std::optional<Reload> reload_;
  bool reload_again_ = false;
  std::uint32_t reload_number_ = 0;
  ReloadFigures figures_;
  RestartPolicy restart_policy_;
  std::optional<SteadyTime> restart_at_;
  std::optional<SteadyTime> kill_at_;  ///< workers that have not stopped by then are killed
  pid_t new_program_ = 0;
  Phase phase_ = Phase::starting;
  bool failed_ = false;  ///< the start failed
};

}  // namespace gatehouse::server
