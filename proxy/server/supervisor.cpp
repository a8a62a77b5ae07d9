#include "proxy/server/supervisor.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "proxy/exchange/generation.hpp"
#include "proxy/server/privileges.hpp"
#include "proxy/server/worker_process.hpp"

namespace gatehouse::server {
namespace {

constexpr int kBindAttempts = 5;  // nginx's
constexpr std::chrono::seconds kStopPatience{10};
constexpr std::chrono::seconds kQuickDeath{10};

struct SignalName {
  int number;
  std::string_view name;
  std::string_view action;
};
constexpr SignalName kSignals[] = {{SIGHUP, "SIGHUP", ", reconfiguring"},
                                   {SIGQUIT, "SIGQUIT", ", shutting down"},
                                   {SIGTERM, "SIGTERM", ", exiting"},
                                   {SIGINT, "SIGINT", ", exiting"},
                                   {SIGUSR1, "SIGUSR1", ", reopening logs"},
                                   {SIGUSR2, "SIGUSR2", ", changing binary"},
                                   {SIGWINCH, "SIGWINCH", ", shutting down workers"},
                                   {SIGCHLD, "SIGCHLD", ""}};

UniqueFd open_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const auto& signal : kSignals) sigaddset(&set, signal.number);
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0) {
    throw std::system_error(errno, std::generic_category(), "sigprocmask() failed");
  }
  UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) throw std::system_error(errno, std::generic_category(), "signalfd() failed");
  return fd;
}

template <class Visit>
void for_each_line(std::string_view text, Visit&& visit) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (!line.empty()) visit(line);
  }
}

}  // namespace

std::chrono::milliseconds RestartPolicy::after_death(std::chrono::milliseconds lifetime) noexcept {
  constexpr std::chrono::milliseconds kFirst{100};
  constexpr std::chrono::milliseconds kLongest{5000};
  quick_deaths_ = lifetime < kQuickDeath ? quick_deaths_ + 1 : 0;
  if (quick_deaths_ < 2) return std::chrono::milliseconds{0};
  return std::min(kLongest, kFirst * (1U << std::min(quick_deaths_ - 2, 10U)));
}

Supervisor::Supervisor(SupervisorOptions options, std::shared_ptr<const config::Config> config, StartupLog& startup)
    : options_(std::move(options)),
      config_(std::move(config)),
      startup_(startup),
      program_(program_path(options_.arguments.empty() ? std::string() : options_.arguments.front())) {}

void Supervisor::log(LogLevel level, std::string_view text) const {
  if (log_) log_->log(level, 0, "{}", text);
  const bool shown = log_ && log_is_terminal_ && log_->enabled(level);
  if (phase_ == Phase::starting && level >= LogLevel::warn && !shown) startup_.write(level, text);
}

int Supervisor::run() {
  try {
    ::signal(SIGPIPE, SIG_IGN);
    signals_ = open_signals();
    use_error_log(*config_);
    if (!start()) return 1;
  } catch (const std::exception& error) {
    for_each_line(error.what(), [&](std::string_view line) { log(LogLevel::emerg, line); });
    sockets_.close(ListeningSockets::UnixFiles::remove);
    pid_file_.remove();
    return 1;
  }
  loop();
  const bool inherited = new_program_ != 0;
  sockets_.close(inherited ? ListeningSockets::UnixFiles::keep : ListeningSockets::UnixFiles::remove);
  pid_file_.remove();
  log(LogLevel::notice, "exit");
  return failed_ ? 1 : 0;
}

// True when the loop has something to wait for.
bool Supervisor::start() {
  const char* inherited = std::getenv(kSocketsVariable);
  if (inherited != nullptr) {
    const auto descriptors = sockets_from_text(inherited);
    for (const int fd : descriptors) (void)::fcntl(fd, F_SETFD, FD_CLOEXEC);
    sockets_.adopt(descriptors);
    ::unsetenv(kSocketsVariable);
    log(LogLevel::notice, "using inherited sockets");
  }
  const auto wanted = wanted_addresses(*config_, event_thread_count(config_->main));
  sockets_.merge(ListeningSockets::open_missing(wanted, sockets_, kBindAttempts));
  if (inherited == nullptr && config_->main.daemon && config_->main.master_process) daemon_.detach();
  pid_file_ = PidFile(config_->main.pid);
  announce();
  if (config_->main.master_process) {
    start_worker();
    return true;
  }
  pid_file_.write();
  WorkerOptions worker{config_,
                       options_.load,
                       options_.default_error_log,
                       std::move(sockets_),
                       {},
                       figures_,
                       [this](std::string_view text) {
                         failed_ = true;
                         for_each_line(text, [&](std::string_view line) { log(LogLevel::emerg, line); });
                       }};
  worker.figures.last_successful = true;
  signals_.reset();
  failed_ = run_worker(std::move(worker)) != 0;
  phase_ = Phase::stopping;
  return true;
}

void Supervisor::announce() {
  log(LogLevel::notice, "using the \"epoll\" event method");
  log(LogLevel::notice, "gatehouse/" GATEHOUSE_VERSION);
  utsname system{};
  if (::uname(&system) == 0) log(LogLevel::notice, fmt::format("OS: {} {}", system.sysname, system.release));
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    log(LogLevel::notice, fmt::format("getrlimit(RLIMIT_NOFILE): {}:{}", limit.rlim_cur, limit.rlim_max));
  }
}

// ---- waiting ----

void Supervisor::loop() {
  while (!workers_.empty() || phase_ == Phase::running) {
    std::vector<pollfd> waiting{{signals_.get(), POLLIN, 0}};
    for (const auto& worker : workers_) waiting.push_back({worker.channel.fd(), POLLIN, 0});
    (void)::poll(waiting.data(), waiting.size(), timeout(std::chrono::steady_clock::now()));
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      while (const auto message = workers_[i].channel.receive()) on_message(workers_[i], *message);
    }
    on_signals();
    on_time(std::chrono::steady_clock::now());
  }
}

int Supervisor::timeout(SteadyTime now) const {
  SteadyTime next = SteadyTime::max();
  if (restart_at_) next = *restart_at_;
  if (kill_at_) next = std::min(next, *kill_at_);
  if (next == SteadyTime::max()) return -1;
  return static_cast<int>(std::max<long>(0, std::chrono::ceil<std::chrono::milliseconds>(next - now).count()));
}

void Supervisor::on_time(SteadyTime now) {
  if (restart_at_ && now >= *restart_at_) {
    restart_at_.reset();
    if (phase_ == Phase::running && serving() == nullptr && !reload_) start_worker();
  }
  if (kill_at_ && now >= *kill_at_) {
    kill_at_.reset();
    for (const auto& worker : workers_) {
      log(LogLevel::alert, fmt::format("worker process {} does not stop, it is killed", worker.pid));
      ::kill(worker.pid, SIGKILL);
    }
  }
}

void Supervisor::on_signals() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    on_signal(static_cast<int>(info.ssi_signo), static_cast<pid_t>(info.ssi_pid));
  }
}

void Supervisor::on_signal(int signal, pid_t sender) {
  if (signal == SIGCHLD) {
    reap();
    return;
  }
  for (const auto& known : kSignals) {
    if (known.number != signal) continue;
    log(LogLevel::notice, fmt::format("signal {} ({}) received from {}{}", signal, known.name, sender, known.action));
  }
  switch (signal) {
    case SIGHUP: begin_reload(); break;
    case SIGQUIT: shut_down(Phase::draining); break;
    case SIGTERM:
    case SIGINT: shut_down(Phase::stopping); break;
    case SIGUSR1: reopen_logs(); break;
    case SIGUSR2: upgrade(); break;
    case SIGWINCH:
      if (config_->main.daemon) drain_workers("replaced");
      break;
    default: break;
  }
}

// ---- workers ----

Supervisor::Worker* Supervisor::serving() noexcept {
  const auto found = std::ranges::find_if(workers_, [](const Worker& w) { return w.state != Worker::State::draining; });
  return found == workers_.end() ? nullptr : &*found;
}

void Supervisor::start_worker() {
  try {
    (void)fork_worker(config_, nullptr);
  } catch (const std::exception& error) {
    log(LogLevel::alert, error.what());
    restart_at_ = std::chrono::steady_clock::now() + restart_policy_.after_death(std::chrono::milliseconds{0}) +
                  std::chrono::seconds{1};
  }
}

pid_t Supervisor::fork_worker(const std::shared_ptr<const config::Config>& config, ListeningSockets* fresh) {
  auto [ours, theirs] = ControlChannel::pair();
  const pid_t pid = ::fork();
  if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork() failed");
  if (pid == 0) {
    // The child: it lets go of what is the supervisor's, and takes its copies of the sockets.
    ours.close();
    workers_.clear();
    pid_file_.forget();
    daemon_.forget();
    signals_.reset();
    if (fresh != nullptr) sockets_.merge(std::move(*fresh));
    WorkerOptions options{
        config, options_.load, options_.default_error_log, std::move(sockets_), std::move(theirs), figures_, {}};
    std::exit(run_worker(std::move(options)));
  }
  log(LogLevel::notice, fmt::format("start worker process {}", pid));
  workers_.push_back({pid, std::move(ours), Worker::State::starting, std::chrono::steady_clock::now()});
  return pid;
}

void Supervisor::on_message(Worker& worker, const ControlMessage& message) {
  if (message.kind == ControlKind::ready) worker_ready(worker, message.number);
  if (message.kind == ControlKind::failed) worker_failed(worker, message);
}

void Supervisor::worker_ready(Worker& worker, std::uint32_t number) {
  if (worker.state == Worker::State::starting) worker.state = Worker::State::serving;
  if (phase_ == Phase::starting) {
    try {
      pid_file_.write();
    } catch (const std::exception& error) {
      log(LogLevel::emerg, error.what());
      failed_ = true;
      shut_down(Phase::stopping);
      return;
    }
    phase_ = Phase::running;
    figures_.last_success_seconds =
        std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    daemon_.ready();
    if (config_->main.daemon) startup_.leave_terminal();
    return;
  }
  if (reload_ && (reload_->replacement == worker.pid || (reload_->replacement == 0 && reload_->number == number))) {
    commit_reload();
  }
}

void Supervisor::worker_failed(Worker& worker, const ControlMessage& message) {
  for_each_line(message.text, [&](std::string_view line) { log(LogLevel::emerg, line); });
  if (phase_ == Phase::starting) failed_ = true;
  if (reload_ &&
      (reload_->replacement == worker.pid || (reload_->replacement == 0 && reload_->number == message.number))) {
    ++figures_.failed;  // the worker that goes on has counted it, unless the failed one would have replaced it
    figures_.last_successful = false;
    if (reload_->replacement != 0) {
      worker.state = Worker::State::draining;
      if (Worker* running = serving()) running->channel.send(ControlKind::refused);
    }
    abandon_reload();
  }
}

void Supervisor::reap() {
  int status = 0;
  for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
    if (pid == new_program_) {
      log(LogLevel::notice, fmt::format("new binary process {} exited with code {}", pid, WEXITSTATUS(status)));
      new_program_ = 0;
      pid_file_.move_back();
      continue;
    }
    worker_gone(pid, status);
  }
}

void Supervisor::worker_gone(pid_t pid, int status) {
  auto worker = std::ranges::find(workers_, pid, &Worker::pid);
  if (worker == workers_.end()) return;
  while (const auto message = worker->channel.receive()) {
    on_message(*worker, *message);  // may start another worker, and so move them all
    worker = std::ranges::find(workers_, pid, &Worker::pid);
  }
  if (WIFSIGNALED(status)) {
    log(LogLevel::alert, fmt::format("worker process {} exited on signal {}{}", pid, WTERMSIG(status),
                                     WCOREDUMP(status) ? " (core dumped)" : ""));
  } else {
    log(LogLevel::notice, fmt::format("worker process {} exited with code {}", pid, WEXITSTATUS(status)));
  }
  const bool expected = worker->state == Worker::State::draining;
  const auto lifetime =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - worker->started);
  workers_.erase(worker);
  if (phase_ == Phase::starting) {
    failed_ = true;
    phase_ = Phase::stopping;
  }
  if (phase_ != Phase::running || expected) return;
  if (reload_ && (reload_->replacement == pid || reload_->replacement == 0)) {
    log(LogLevel::error, "the reload is abandoned, the last good configuration stays");
    ++figures_.failed;
    figures_.last_successful = false;
    const bool replacement = reload_->replacement == pid;
    abandon_reload();
    if (replacement && serving() != nullptr) return;
  }
  if (serving() != nullptr) return;
  ++figures_.worker_restarts;
  restart_at_ = std::chrono::steady_clock::now() + restart_policy_.after_death(lifetime);
}

// ---- reload ----

void Supervisor::begin_reload() {
  if (phase_ != Phase::running) return;
  if (reload_) {
    reload_again_ = true;
    return;
  }
  Reload reload;
  reload.number = ++reload_number_;
  if (!prepare(reload)) {
    ++figures_.failed;
    figures_.last_successful = false;
    log(LogLevel::error, "the configuration was not changed");
    if (Worker* worker = serving()) worker->channel.send(ControlKind::refused);
    return;
  }
  reload_ = std::move(reload);
  Worker* worker = serving();
  const auto privileges = gives_up_root(config_->main) ? Privileges::given_up : Privileges::kept;
  if (worker != nullptr && worker->state == Worker::State::serving &&
      !needs_new_worker(config_->main, reload_->config->main, privileges)) {
    if (worker->channel.send(ControlKind::reload, reload_->number, {}, reload_->fresh.descriptors())) return;
    log(LogLevel::alert, fmt::format("worker process {} does not listen, it is killed", worker->pid));
    ::kill(worker->pid, SIGKILL);
    return;  // its end abandons the reload and starts a new one
  }
  const ReloadFigures before = figures_;
  ++figures_.generation;
  ++figures_.succeeded;
  figures_.last_successful = true;
  try {
    restart_at_.reset();
    reload_->replacement = fork_worker(reload_->config, &reload_->fresh);
    figures_ = before;
  } catch (const std::exception& error) {
    figures_ = before;
    log(LogLevel::alert, error.what());
    abandon_reload();
    if (serving() == nullptr) restart_at_ = std::chrono::steady_clock::now() + std::chrono::seconds{1};
  }
}

bool Supervisor::prepare(Reload& reload) {
  const auto loaded = config::load(options_.load);
  for (const auto& diagnostic : loaded.diagnostics) log(diagnostic.level, diagnostic.text);
  if (!loaded.config) return false;
  reload.config = loaded.config;
  try {
    const auto wanted = wanted_addresses(*loaded.config, event_thread_count(loaded.config->main));
    reload.fresh = ListeningSockets::open_missing(wanted, sockets_, 1);
    return true;
  } catch (const std::exception& error) {
    for_each_line(error.what(), [&](std::string_view line) { log(LogLevel::emerg, line); });
    return false;
  }
}

void Supervisor::commit_reload() {
  Reload reload = std::move(*reload_);
  reload_.reset();
  sockets_.merge(std::move(reload.fresh));
  sockets_.retain(wanted_addresses(*reload.config, event_thread_count(reload.config->main)),
                  ListeningSockets::UnixFiles::remove);
  move_pid_file(*reload.config);
  config_ = std::move(reload.config);
  try {
    use_error_log(*config_);
  } catch (const std::exception& error) {
    log(LogLevel::alert, error.what());
  }
  ++figures_.generation;
  ++figures_.succeeded;
  figures_.last_successful = true;
  for (auto& worker : workers_) {
    if (reload.replacement == 0 || worker.pid == reload.replacement || worker.state == Worker::State::draining)
      continue;
    worker.state = Worker::State::draining;
    worker.channel.send(ControlKind::drain, 0, "replaced");
  }
  log(LogLevel::notice, "reconfigured");
  if (std::exchange(reload_again_, false)) begin_reload();
}

void Supervisor::abandon_reload() {
  reload_->fresh.close(ListeningSockets::UnixFiles::remove);
  reload_.reset();
  if (std::exchange(reload_again_, false)) begin_reload();
}

void Supervisor::use_error_log(const config::Config& config) {
  const auto& targets = config.main.error_log;
  const std::string fallback = options_.default_error_log.empty() ? "stderr" : options_.default_error_log;
  log_ = exchange::open_error_log(targets, log_files_, fallback);
  log_is_terminal_ = targets.empty()
                         ? fallback == "stderr"
                         : std::ranges::any_of(targets, [](const auto& target) { return target.path == "stderr"; });
}

void Supervisor::move_pid_file(const config::Config& config) {
  if (config.main.pid == pid_file_.path()) return;
  try {
    PidFile fresh(config.main.pid);
    fresh.write();
    pid_file_.remove();
    pid_file_ = std::move(fresh);
  } catch (const std::exception& error) {
    log(LogLevel::alert, error.what());
  }
}

// ---- ending, logs, a new program file ----

void Supervisor::drain_workers(std::string_view why) {
  if (reload_) {
    reload_again_ = false;
    abandon_reload();
  }
  restart_at_.reset();
  for (auto& worker : workers_) {
    if (worker.state == Worker::State::draining && why == "replaced") continue;
    worker.state = Worker::State::draining;
    worker.channel.send(ControlKind::drain, 0, why);
  }
}

void Supervisor::shut_down(Phase phase) {
  if (phase_ == Phase::stopping) return;
  if (phase_ == Phase::draining && phase == Phase::draining) return;
  phase_ = phase;
  drain_workers("quit");
  if (phase == Phase::stopping) {
    for (auto& worker : workers_) worker.channel.send(ControlKind::stop);
    kill_at_ = std::chrono::steady_clock::now() + kStopPatience;
  }
  sockets_.close(new_program_ != 0 ? ListeningSockets::UnixFiles::keep : ListeningSockets::UnixFiles::remove);
}

void Supervisor::reopen_logs() {
  for (const auto& failure : log_files_.reopen()) log(LogLevel::emerg, fmt::format("open() {}", failure));
  if (gives_up_root(config_->main)) {
    // The worker could neither create the new files nor write to ours.
    std::vector<std::string> paths;
    for (const auto& target : config_->main.error_log) paths.push_back(target.path);
    for (const auto* location : config_->locations) {
      for (const auto& target : *location->settings.error_log) paths.push_back(target.path);
      for (const auto& target : *location->settings.access_log) {
        if (target.path.is_constant()) paths.emplace_back(target.path.constant());
      }
    }
    std::ranges::sort(paths);
    paths.erase(std::ranges::unique(paths).begin(), paths.end());
    for (const auto& path : paths) {
      if (path == "stderr") continue;
      try {
        const LogFile created(path);
        give_to_user(path, config_->main);
      } catch (const std::system_error& error) {
        log(LogLevel::emerg, error.what());
      }
    }
  }
  for (auto& worker : workers_) worker.channel.send(ControlKind::reopen);
}

void Supervisor::upgrade() {
  if (new_program_ != 0 || phase_ != Phase::running) {
    log(LogLevel::notice, "a new binary is already running");
    return;
  }
  try {
    pid_file_.move_aside();
    new_program_ = start_new_program(program_, options_.arguments, sockets_.descriptors());
    log(LogLevel::notice, fmt::format("start new binary process {}", new_program_));
  } catch (const std::exception& error) {
    pid_file_.move_back();
    log(LogLevel::alert, error.what());
  }
}

}  // namespace gatehouse::server
