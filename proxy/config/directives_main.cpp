// Rows of the main and events contexts.
#include <grp.h>
#include <pwd.h>

#include "proxy/config/blocks.hpp"
#include "proxy/config/endpoint.hpp"
#include "proxy/config/setters.hpp"
#include "proxy/config/tables.hpp"

namespace gatehouse::config {
namespace {

void set_include(const Use& use) {
  // The reader follows includes; one that reaches the table stands where the reader could not follow it.
  throw Invalid{fmt::format("invalid number of arguments in \"{}\" directive", use.row.name), 0, {}};
}

void set_worker_processes(const Use& use) {
  auto& workers = slot<&MainSettings::worker_processes>(use);
  workers.reset();
  if (use[1] == "auto") return;
  const auto number = parse_number(use[1]);
  if (!number || *number == 0 || *number > 1024) refuse(use, 1, "invalid value", "a number from 1 to 1024, or auto");
  workers = static_cast<std::uint32_t>(*number);
}
std::string show_worker_processes(const Level& level) {
  if (level.main == nullptr) return "";
  return level.main->worker_processes ? std::to_string(*level.main->worker_processes) : "auto";
}

void set_user(const Use& use) {
  slot<&MainSettings::user>(use) = use[1];
  use.level.main->group = use.count() > 1 ? use[2] : use[1];
  // As nginx: who may not change users can't be held to this, so it is only a warning there.
  if (::geteuid() != 0) {
    use.level.binder->warn(
        use.statement, 0,
        "the \"user\" directive makes sense only if the master process runs with super-user privileges, "
        "ignored");
    return;
  }
  if (::getpwnam(use[1].c_str()) == nullptr)
    throw Invalid{fmt::format("getpwnam(\"{}\") failed", use[1]), 1, "no such user"};
  if (::getgrnam(use.level.main->group.c_str()) == nullptr) {
    throw Invalid{fmt::format("getgrnam(\"{}\") failed", use.level.main->group), 2, "no such group"};
  }
}
std::string show_user(const Level& level) {
  if (level.main == nullptr || level.main->user.empty()) return "";
  return level.main->user + " " + level.main->group;
}

void set_admin_listen(const Use& use) {
  auto& address = slot<&MainSettings::admin_listen>(use);
  if (use[1] == "off") {
    address.reset();
    return;
  }
  std::string error;
  const auto endpoint = parse_endpoint(use[1], 0, error);
  if (!endpoint || !endpoint->address || (!endpoint->port && !endpoint->unix_socket)) {
    throw Invalid{fmt::format("invalid address \"{}\" in \"admin_listen\"", use[1]), 1,
                  "ADDRESS:PORT, unix:PATH or off; metrics are not for everybody, so no * here"};
  }
  address = endpoint->address;
}
std::string show_admin_listen(const Level& level) {
  if (level.main == nullptr) return "";
  return level.main->admin_listen ? level.main->admin_listen->to_string() : "off";
}

void set_priority(const Use& use) {
  std::string_view text = use[1];
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  const auto number = parse_number(text);
  if (!number || *number > 20) throw Invalid{fmt::format("invalid number \"{}\"", use[1]), 1, "-20 to 20"};
  slot<&MainSettings::worker_priority>(use) = negative ? -static_cast<int>(*number) : static_cast<int>(*number);
}
std::string show_priority(const Level& level) {
  return level.main == nullptr ? "" : std::to_string(level.main->worker_priority);
}

void set_affinity(const Use& use) {
  auto& words = slot<&MainSettings::worker_cpu_affinity>(use);
  for (std::size_t i = 1; i <= use.count(); ++i) {
    const bool is_auto = i == 1 && use[i] == "auto";
    if (!is_auto && use[i].find_first_not_of("01") != std::string::npos) {
      throw Invalid{fmt::format("invalid character \"{}\" in \"worker_cpu_affinity\"", use[i]), i, {}};
    }
    words.push_back(use[i]);
  }
  if (words.front() == "auto" && words.size() > 2) {
    throw Invalid{"invalid number of arguments in \"worker_cpu_affinity\" directive", 3, "auto takes one mask"};
  }
}
std::string show_affinity(const Level& level) {
  return level.main == nullptr ? "" : fmt::format("{}", fmt::join(level.main->worker_cpu_affinity, " "));
}

void set_env(const Use& use) { use.level.main->env.push_back(use[1]); }

// What nginx has in modules of their own and Gatehouse has built in.
constexpr std::string_view kBuiltInModules[] = {"ngx_http_modsecurity_module",
                                                "ngx_http_brotli_filter_module",
                                                "ngx_http_headers_more_filter_module",
                                                "ngx_http_brotli_static_module",
                                                "ngx_stream_module",
                                                "ngx_http_auth_request_module",
                                                "ngx_http_realip_module",
                                                "ngx_http_stub_status_module",
                                                "ngx_http_ssl_module",
                                                "ngx_http_v2_module",
                                                "ngx_http_gunzip_module",
                                                "ngx_http_gzip_static_module",
                                                "ngx_http_sub_module",
                                                "ngx_http_addition_module",
                                                "ngx_http_secure_link_module",
                                                "ngx_http_geo_module",
                                                "ngx_http_map_module",
                                                "ngx_http_split_clients_module",
                                                "ngx_http_mirror_module",
                                                "ngx_stream_ssl_preread_module",
                                                "ngx_stream_realip_module"};

void set_load_module(const Use& use) {
  std::string_view name = use[1];
  if (const auto slash = name.rfind('/'); slash != std::string_view::npos) name.remove_prefix(slash + 1);
  if (name.ends_with(".so")) name.remove_suffix(3);
  for (const auto known : kBuiltInModules) {
    if (name != known) continue;
    use.level.binder->note_once(name, use.statement, 1, fmt::format("module \"{}\" is built in, not loaded", name));
    return;
  }
  use.level.binder->warn(use.statement, 1, fmt::format("module \"{}\" is not supported", use[1]),
                         "Gatehouse loads no modules, and this one is not built in: its directives will be refused");
}

void set_use(const Use& use) {
  if (use[1] == "epoll") return;
  constexpr std::string_view kOthers[] = {"select", "poll", "kqueue", "devpoll", "/dev/poll", "eventport", "rtsig"};
  for (const auto name : kOthers) {
    if (use[1] == name) {
      use.level.binder->warn(use.statement, 1, fmt::format("event method \"{}\" is not used", name),
                             "it is always epoll");
      return;
    }
  }
  throw Invalid{fmt::format("invalid event type \"{}\"", use[1]), 1, "always epoll here"};
}

const Directive kRows[] = {
    {"include",
     kAnyContext,
     kOne,
     {set_include, nullptr, "FILE | MASK"},
     "Reads the statements of other files here. A mask takes the files in sorted order; relative names start in the "
     "folder of the "
     "configuration file."},
    {"worker_processes",
     kMain,
     kOne,
     {set_worker_processes, show_worker_processes, "NUMBER | auto"},
     "Number of event threads in the worker process (nginx: processes; its default is 1)."},
    {"user", kMain, {1, 2, false}, {set_user, show_user, "USER [GROUP]"}, "Who the worker process runs as."},
    {"pid", kMain, kOne, path<&MainSettings::pid, PathBase::prefix>(), "File that holds the supervisor's process id."},
    {"daemon", kMain, kOne, flag<&MainSettings::daemon>(), "Whether to go to the background."},
    {"master_process", kMain, kOne, flag<&MainSettings::master_process>(),
     "Whether a supervisor process keeps the listening sockets and restarts the worker; off is for debugging."},
    {"working_directory", kMain, kOne, text<&MainSettings::working_directory>("PATH"),
     "Current directory of the worker process."},
    {"worker_shutdown_timeout", kMain, kOne, time<&MainSettings::worker_shutdown_timeout>(),
     "Longest graceful shutdown; connections that are still open then are closed."},
    {"worker_rlimit_core", kMain, kOne, size<&MainSettings::worker_rlimit_core>(),
     "Largest core file of the worker process."},
    {"worker_priority",
     kMain,
     kOne,
     {set_priority, show_priority, "NUMBER"},
     "Nice value of the worker process, from -20 (first) to 20; only root may go below 0."},
    {"worker_cpu_affinity",
     kMain,
     kOneOrMore,
     {set_affinity, show_affinity, "auto [MASK] | MASK..."},
     "Processors of each event thread: bits from the right; `auto` gives each one of its own."},
    {"worker_rlimit_nofile", kMain, kOne, number<&MainSettings::worker_rlimit_nofile, 1>(),
     "Limit of open files of the worker process."},
    {"env", kMain, kOne, {set_env, nullptr, "NAME[=VALUE]"}, "Keeps or sets a variable of the worker's environment."},
    {"load_module",
     kMain,
     kOne,
     {set_load_module, nullptr, "FILE"},
     "Accepted with a notice for modules whose work is built in; any other is a warning, for nothing can be loaded.",
     Support::tuning},
    {"admin_listen",
     kMain,
     kOne,
     {set_admin_listen, show_admin_listen, "ADDRESS:PORT | unix:PATH | off"},
     "Where /metrics, /healthz and /readyz are served (Gatehouse's own)."},
    {"waf_threads", kMain, kOne, number<&MainSettings::waf_threads, 0, 1024>(),
     "Threads that evaluate WAF rules; 0 is one per core (Gatehouse's own)."},
    {"waf_queue", kMain, kOne, number<&MainSettings::waf_queue, 1, 10'000'000>(),
     "Evaluations that may wait for a WAF thread before requests are refused with 503 (Gatehouse's own)."},
    {"events",
     kMain,
     kBlock,
     {set_events, nullptr, "{ ... }"},
     "Settings of connection processing.",
     Support::full,
     Phase::children},
    {"worker_connections", kEvents, kOne, number<&MainSettings::worker_connections, 1>(),
     "Connections one event thread may have open, downstream and upstream together (nginx: 512)."},
    {"use", kEvents, kOne, {set_use, nullptr, "epoll"}, "Event method; always epoll.", Support::tuning},
    {"http",
     kMain,
     kBlock,
     {set_http, nullptr, "{ ... }"},
     "The HTTP proxy's settings and servers.",
     Support::full,
     Phase::children},
};

}  // namespace

std::span<const Directive> main_directives() { return kRows; }

}  // namespace gatehouse::config
