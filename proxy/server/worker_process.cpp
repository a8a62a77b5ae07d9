#include "proxy/server/worker_process.hpp"

#include <atomic>
#include <chrono>
#include <csignal>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>

#include "proxy/exchange/generation.hpp"
#include "proxy/exchange/waf_service.hpp"
#include "proxy/server/admin_server.hpp"
#include "proxy/server/event_thread.hpp"
#include "proxy/server/mailbox.hpp"
#include "proxy/server/privileges.hpp"
#include "proxy/server/process_figures.hpp"
#include "proxy/server/scrape.hpp"
#include "waf/engine.hpp"

namespace gatehouse::server {
namespace {

using Generation = std::shared_ptr<const exchange::Generation>;
using StreamGeneration = std::shared_ptr<const stream::Generation>;

/// How long requests may take when the supervisor is gone: nobody keeps the ports, and a new supervisor wants them.
constexpr std::chrono::seconds kOrphanPatience{5};

std::uint32_t core_count() noexcept { return std::max(1U, std::thread::hardware_concurrency()); }

/// One client's share of the WAF's queue, for each event thread: an eighth in all, and room for a browser's parallel requests.
std::size_t client_share(const config::MainSettings& main) {
  return std::max<std::size_t>(2, main.waf_queue / 8 / event_thread_count(main));
}

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// What the loader's thread found.
struct Loaded {
  Generation generation;  ///< null when it failed
  StreamGeneration stream;
  std::vector<std::string> notes;
  std::string failure;  ///< one reason a line
};

UniqueFd open_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGQUIT, SIGUSR1}) sigaddset(&set, signal);
  UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) throw std::system_error(errno, std::generic_category(), "signalfd() failed");
  return fd;
}

class WorkerProcess {
 public:
  explicit WorkerProcess(WorkerOptions options)
      : options_(std::move(options)),
        has_supervisor_(!options_.channel.closed()),
        shared_(waf::spawned_validator()),
        signals_(open_signals()) {
    shared_.default_error_log = options_.default_error_log;
  }
  ~WorkerProcess() { end(); }
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  /// Throws what the supervisor should be told.
  void start();
  void serve();
  void tell_failure(std::string_view text) {
    if (has_supervisor_) {
      options_.channel.send(ControlKind::failed, 0, text);
    } else {
      options_.report_failure(text);
    }
  }

 private:
  Loaded load() noexcept;
  void start_threads();
  void start_admin();
  std::string scrape();

  void on_signals();
  void on_messages();
  void on_message(ControlMessage message);
  void begin_reload(ControlMessage message);
  void finish_reload(std::uint32_t number, const Loaded& loaded);
  void applied(std::uint32_t number);
  void reload_failed(std::uint32_t number, std::string_view text);
  void begin_drain(bool replaced);
  void reopen_logs();
  void tell(const std::vector<std::string>& notes) const;
  void end();

  [[nodiscard]] Generation generation() const {
    const std::lock_guard lock(mutex_);
    return generation_;
  }
  [[nodiscard]] StreamGeneration stream_generation() const {
    const std::lock_guard lock(mutex_);
    return stream_;
  }
  [[nodiscard]] const ErrorLog& log() const { return *generation_->error_log; }
  [[nodiscard]] std::vector<ListeningSocket> sockets_for(std::uint32_t thread, const config::Config& config) const;
  [[nodiscard]] int poll_timeout() const;

  WorkerOptions options_;
  const bool has_supervisor_;
  exchange::SharedState shared_;
  stream::LimitZones limit_zones_;
  UniqueFd signals_;
  Mailbox mailbox_;
  mutable std::mutex mutex_;  ///< of what a scrape reads: generation_, options_.figures
  Generation generation_;
  StreamGeneration stream_;
  std::unique_ptr<waf::Engine> engine_;
  std::unique_ptr<io::WorkerPool> pool_;
  std::unique_ptr<exchange::WafService> waf_;
  EventThreads threads_;
  std::unique_ptr<AdminServer> admin_;
  std::optional<SocketAddress> admin_address_;
  std::thread loader_;
  // Threads that have not confirmed an order. One count each: the order to drain may overtake the answers to a reload.
  std::atomic<std::uint32_t> still_applying_{0};
  std::atomic<std::uint32_t> still_draining_{0};
  bool draining_ = false;
  bool orphaned_ = false;                                          ///< the supervisor is gone
  bool ended_ = false;                                             ///< leave the loop
  std::optional<std::chrono::steady_clock::time_point> deadline_;  ///< of the drain
};

void WorkerProcess::start() {
  std::vector<std::string> notes = set_process_limits(options_.config->main);
  shared_.fast_paths.set_threads(event_thread_count(options_.config->main));
  generation_ = exchange::build_generation(options_.config, shared_, notes);
  stream_ = stream::build_generation(options_.config, shared_, limit_zones_, notes);
  tell(notes);
  drop_privileges(options_.config->main);
  options_.figures.last_success_seconds = wall_seconds();
  exchange::begin_serving(*generation_, shared_);

  engine_ = std::make_unique<waf::Engine>();
  const config::MainSettings& main = options_.config->main;
  pool_ = std::make_unique<io::WorkerPool>(main.waf_threads == 0 ? core_count() : main.waf_threads, main.waf_queue,
                                           "gh-waf");
  waf_ = std::make_unique<exchange::WafService>(*engine_, *pool_, client_share(main));
  waf::RuleCounts counts;
  bool uses_waf = false;
  for (const auto& location : generation_->locations) {
    if (!location.rules) continue;
    uses_waf = true;
    const waf::RuleCounts& of = location.rules->facts().counts;
    if (of.inline_text + of.local_files + of.remote > counts.inline_text + counts.local_files + counts.remote)
      counts = of;
  }
  if (uses_waf) log().log(LogLevel::notice, 0, "{}", engine_->banner(counts));
  start_threads();
  start_admin();
  options_.channel.send(ControlKind::ready);
}

void WorkerProcess::start_threads() {
  const std::uint32_t count = event_thread_count(options_.config->main);
  const auto& masks = options_.config->main.worker_cpu_affinity;
  if (!masks.empty() && masks.front() != "auto" && masks.size() != count) {
    log().log(
        LogLevel::warn, 0,
        "the number of \"worker_processes\" is not equal to the number of \"worker_cpu_affinity\" masks, using last "
        "mask for remaining worker processes");
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    threads_.push_back(std::make_unique<EventThread>(i, *waf_, options_.config->main.worker_connections));
  }
  for (std::uint32_t i = 0; i < count; ++i)
    threads_[i]->start({generation_, stream_}, sockets_for(i, *options_.config));
}

void WorkerProcess::start_admin() {
  const auto& address = generation_->config->main.admin_listen;
  if (address == admin_address_) return;
  admin_.reset();
  admin_address_ = address;
  if (!address) return;
  const int fd = ::fcntl(options_.sockets.groups().at(*address).front().get(), F_DUPFD_CLOEXEC, 3);
  admin_ = std::make_unique<AdminServer>(UniqueFd(fd), [this] { return scrape(); });
  admin_->set_readiness(Readiness::ready);
}

std::vector<ListeningSocket> WorkerProcess::sockets_for(std::uint32_t thread, const config::Config& config) const {
  std::vector<ListeningSocket> result;
  for (const config::Http* block : {&config.http, &config.stream}) {
    for (const auto& listener : block->listeners) {
      const auto group = options_.sockets.groups().find({listener.address, listener.options.udp});
      if (group == options_.sockets.groups().end()) continue;
      const auto& sockets = group->second;
      const auto count = static_cast<std::uint32_t>(sockets.size());
      for (const std::uint32_t i : sockets_of_thread(count, thread, static_cast<std::uint32_t>(threads_.size()))) {
        result.push_back({listener.address, sockets[i].get(), listener.options.udp});
      }
    }
  }
  return result;
}

std::string WorkerProcess::scrape() {
  MetricsInput input;
  scrape_threads(threads_, input);
  input.waf = engine_->counters();
  input.waf_version = waf::Engine::library_version();
  input.waf_queued = pool_->queued();
  input.waf_threads = pool_->thread_count();
  input.rule_sets_compiled = shared_.rule_sets.compilations();
  input.fast_paths_compiled = shared_.fast_paths.compilations();
  input.fast_paths = fast_path_samples(*generation());
  input.waf_disagreements = waf_->disagreements;
  input.waf_afterwards = waf_->afterwards;
  input.waf_afterwards_lost = waf_->afterwards_lost;
  input.certificates = certificate_samples(*generation(), *stream_generation());
  {
    const std::lock_guard lock(mutex_);
    input.reloads = options_.figures;
  }
  input.process = read_process_figures();
  return metrics_text(input);
}

void WorkerProcess::serve() {
  while (!ended_) {
    pollfd waiting[] = {{signals_.get(), POLLIN, 0}, {mailbox_.fd(), POLLIN, 0}, {options_.channel.fd(), POLLIN, 0}};
    (void)::poll(waiting, std::size(waiting), poll_timeout());
    on_signals();
    mailbox_.run();
    on_messages();
    if (deadline_ && std::chrono::steady_clock::now() >= *deadline_) {
      log().log(LogLevel::notice, 0, "shutdown timeout: connections that are still open are closed");
      ended_ = true;
    }
  }
}

int WorkerProcess::poll_timeout() const {
  if (!deadline_) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline_ - std::chrono::steady_clock::now());
  return static_cast<int>(std::max<std::chrono::milliseconds::rep>(left.count(), 0));
}

void WorkerProcess::on_signals() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    switch (static_cast<int>(info.ssi_signo)) {
      case SIGTERM:
      case SIGINT: ended_ = true; break;
      case SIGQUIT: begin_drain(false); break;
      case SIGUSR1: reopen_logs(); break;
      default: break;
    }
  }
}

void WorkerProcess::on_messages() {
  while (auto message = options_.channel.receive()) on_message(std::move(*message));
  if (!has_supervisor_ || !options_.channel.closed() || orphaned_) return;
  orphaned_ = true;
  log().log(LogLevel::alert, 0, "the supervisor process is gone, worker process {} shuts down", ::getpid());
  begin_drain(false);
  deadline_ = std::min(deadline_.value_or(std::chrono::steady_clock::time_point::max()),
                       std::chrono::steady_clock::now() + kOrphanPatience);
}

void WorkerProcess::on_message(ControlMessage message) {
  switch (message.kind) {
    case ControlKind::reload: begin_reload(std::move(message)); break;
    case ControlKind::refused: {
      const std::lock_guard lock(mutex_);
      ++options_.figures.failed;
      options_.figures.last_successful = false;
      break;
    }
    case ControlKind::drain: begin_drain(message.text == "replaced"); break;
    case ControlKind::stop: ended_ = true; break;
    case ControlKind::reopen: reopen_logs(); break;
    case ControlKind::ready:
    case ControlKind::failed: break;  // never sent to a worker
  }
}

Loaded WorkerProcess::load() noexcept {
  Loaded loaded;
  try {
    const auto read = config::load(options_.load);
    if (!read.config) {
      for (const auto& diagnostic : read.diagnostics) loaded.failure += diagnostic.text + "\n";
      return loaded;
    }
    const auto generation = exchange::build_generation(read.config, shared_, loaded.notes);
    loaded.stream = stream::build_generation(read.config, shared_, limit_zones_, loaded.notes);
    loaded.generation = generation;
  } catch (const std::exception& error) {
    loaded.failure = error.what();
  }
  return loaded;
}

// Reading and compiling takes a while: the threads go on serving the old generation.
void WorkerProcess::begin_reload(ControlMessage message) {
  if (draining_) return;
  std::vector<int> fresh;
  for (auto& descriptor : message.descriptors) fresh.push_back(descriptor.release());
  ListeningSockets sockets;
  sockets.adopt(fresh);
  options_.sockets.merge(std::move(sockets));
  if (loader_.joinable()) loader_.join();  // the supervisor sends no order before the last one is answered
  loader_ = std::thread([this, number = message.number] {
    mailbox_.post([this, number, loaded = load()] { finish_reload(number, loaded); });
  });
}

void WorkerProcess::finish_reload(std::uint32_t number, const Loaded& loaded) {
  if (draining_) return;
  if (!loaded.generation) {
    reload_failed(number, loaded.failure);
    return;
  }
  const auto wanted = wanted_addresses(*loaded.generation->config, static_cast<std::uint32_t>(threads_.size()));
  for (const auto& one : wanted) {
    if (!options_.sockets.groups().contains(one.bind_address())) {
      reload_failed(number, fmt::format("no socket for {}: the configuration changed while it was loaded",
                                        one.address.to_string()));
      return;
    }
  }
  {
    const std::lock_guard lock(mutex_);
    generation_ = loaded.generation;
    stream_ = loaded.stream;
  }
  exchange::begin_serving(*generation_, shared_);
  tell(loaded.notes);
  still_applying_ = static_cast<std::uint32_t>(threads_.size());
  for (std::uint32_t i = 0; i < threads_.size(); ++i) {
    threads_[i]->apply({generation_, stream_}, sockets_for(i, *generation_->config), [this, number] {
      if (still_applying_.fetch_sub(1) == 1) mailbox_.post([this, number] { applied(number); });
    });
  }
}

void WorkerProcess::applied(std::uint32_t number) {
  options_.sockets.retain(wanted_addresses(*generation_->config, static_cast<std::uint32_t>(threads_.size())),
                          ListeningSockets::UnixFiles::keep);
  {
    const std::lock_guard lock(mutex_);
    ++options_.figures.generation;
    ++options_.figures.succeeded;
    options_.figures.last_successful = true;
    options_.figures.last_success_seconds = wall_seconds();
  }
  if (!draining_) start_admin();
  options_.channel.send(ControlKind::ready, number);
}

void WorkerProcess::reload_failed(std::uint32_t number, std::string_view text) {
  {
    const std::lock_guard lock(mutex_);
    ++options_.figures.failed;
    options_.figures.last_successful = false;
  }
  // The sockets that came along have no use.
  options_.sockets.retain(wanted_addresses(*generation_->config, static_cast<std::uint32_t>(threads_.size())),
                          ListeningSockets::UnixFiles::keep);
  options_.channel.send(ControlKind::failed, number, text);
}

void WorkerProcess::begin_drain(bool replaced) {
  if (draining_) return;
  draining_ = true;
  log().log(LogLevel::notice, 0, "gracefully shutting down");
  if (admin_) {
    admin_->set_readiness(Readiness::draining);
    if (replaced) admin_->stop_accepting();
  }
  if (const auto& limit = generation_->config->main.worker_shutdown_timeout) {
    deadline_ = std::chrono::steady_clock::now() + *limit;
  }
  options_.sockets.close(ListeningSockets::UnixFiles::keep);  // the threads have copies, which they close themselves
  still_draining_ = static_cast<std::uint32_t>(threads_.size());
  for (auto& thread : threads_) {
    thread->drain([this] {
      if (still_draining_.fetch_sub(1) == 1) mailbox_.post([this] { ended_ = true; });
    });
  }
}

void WorkerProcess::reopen_logs() {
  log().log(LogLevel::notice, 0, "reopening logs");
  for (const auto& failure : shared_.log_files.reopen()) log().log(LogLevel::emerg, 0, "open() {}", failure);
  engine_->reopen_logs();
}

void WorkerProcess::tell(const std::vector<std::string>& notes) const {
  for (const auto& note : notes) log().log(LogLevel::warn, 0, "{}", note);
  for (const auto& notice : generation_->notices) log().log(LogLevel::notice, 0, "{}", notice);
}

void WorkerProcess::end() {
  if (generation_) log().log(LogLevel::notice, 0, "exiting");
  if (loader_.joinable()) loader_.join();
  admin_.reset();
  for (auto& thread : threads_) thread->stop();
  for (auto& thread : threads_) thread->join();
  pool_.reset();  // ends what still runs; its answers go to loops that have ended but exist
  threads_.clear();
  if (generation_) log().log(LogLevel::notice, 0, "exit");
}

}  // namespace

std::uint32_t event_thread_count(const config::MainSettings& main) noexcept {
  return main.worker_processes.value_or(core_count());
}

bool needs_new_worker(const config::MainSettings& now, const config::MainSettings& next,
                      Privileges privileges) noexcept {
  const auto process_wide = [](const config::MainSettings& main) {
    return std::tuple(event_thread_count(main), main.worker_connections, main.waf_threads, main.waf_queue,
                      main.worker_rlimit_nofile, std::string_view(main.user), std::string_view(main.group),
                      std::string_view(main.working_directory));
  };
  return privileges == Privileges::given_up || process_wide(now) != process_wide(next) || now.env != next.env;
}

int run_worker(WorkerOptions options) {
  WorkerProcess worker(std::move(options));
  try {
    worker.start();
  } catch (const std::exception& error) {
    worker.tell_failure(error.what());
    return 1;
  }
  worker.serve();
  return 0;
}

}  // namespace gatehouse::server
