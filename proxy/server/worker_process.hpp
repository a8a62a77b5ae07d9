// The process that serves: event threads, the WAF's threads, the admin endpoint. It is told what to do by the supervisor.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "proxy/config/loader.hpp"
#include "proxy/config/model.hpp"
#include "proxy/server/control_channel.hpp"
#include "proxy/server/listening_sockets.hpp"
#include "proxy/server/metrics_export.hpp"

namespace gatehouse::server {

struct WorkerOptions {
  std::shared_ptr<const config::Config> config;          ///< to begin with
  config::LoadOptions load;                              ///< where a reload reads the configuration again
  std::string default_error_log;                         ///< `-e`
  ListeningSockets sockets;                              ///< the process' own copies of the descriptors
  ControlChannel channel;                                ///< closed: there is no supervisor (master_process off)
  ReloadFigures figures;                                 ///< so far, over all workers
  std::function<void(std::string_view)> report_failure;  ///< told why it could not start, one reason a line
};

/// Event threads for a configuration: `worker_processes`, or one per core.
[[nodiscard]] std::uint32_t event_thread_count(const config::MainSettings& main) noexcept;

/// Whether what differs between two configurations can't be changed in a running worker process: numbers of threads, limits, the user.
/// `privileged`: the worker gave root's rights up, so only a new one can read the keys of a new configuration.
enum class Privileges : std::uint8_t { kept, given_up };
[[nodiscard]] bool needs_new_worker(const config::MainSettings& now, const config::MainSettings& next,
                                    Privileges privileges) noexcept;

/// Serves until it is told to end; returns the exit status: 0 after an orderly end, 1 when it could not start (which was reported, and
/// sent to the supervisor). Call it on a process' only thread, with SIGPIPE ignored and every signal blocked that should not end it.
[[nodiscard]] int run_worker(WorkerOptions options);

}  // namespace gatehouse::server
