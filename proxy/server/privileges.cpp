#include "proxy/server/privileges.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <system_error>

#include <fmt/format.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace gatehouse::server {
namespace {

struct Identity {
  uid_t user = 0;
  gid_t group = 0;
};

[[noreturn]] void fail(const std::string& call) {
  throw std::system_error(errno, std::generic_category(), call + " failed");
}

// Sockets that are bound to somebody else's address need it (IP_TRANSPARENT, ip(7)). Threads to come inherit it.
void keep_raw_network() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
  sets[CAP_TO_INDEX(CAP_NET_RAW)].effective = sets[CAP_TO_INDEX(CAP_NET_RAW)].permitted = CAP_TO_MASK(CAP_NET_RAW);
  if (::syscall(SYS_capset, &header, sets.data()) != 0) fail("capset()");
}

std::optional<Identity> identity_of(const config::MainSettings& main) {
  if (main.user.empty() || ::geteuid() != 0) return std::nullopt;
  errno = 0;
  const passwd* user = ::getpwnam(main.user.c_str());
  if (user == nullptr) fail(fmt::format("getpwnam(\"{}\")", main.user));
  Identity identity{user->pw_uid, user->pw_gid};
  if (!main.group.empty()) {
    const group* group = ::getgrnam(main.group.c_str());
    if (group == nullptr) fail(fmt::format("getgrnam(\"{}\")", main.group));
    identity.group = group->gr_gid;
  }
  return identity;
}

}  // namespace

bool gives_up_root(const config::MainSettings& main) {
  const auto identity = identity_of(main);
  return identity && identity->user != 0;
}

std::vector<std::string> set_process_limits(const config::MainSettings& main) {
  std::vector<std::string> problems;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    if (main.worker_rlimit_nofile) {
      limit.rlim_cur = *main.worker_rlimit_nofile;
      if (::geteuid() == 0 || limit.rlim_max > limit.rlim_cur) limit.rlim_max = limit.rlim_cur;
    }
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) {
      problems.push_back(fmt::format("setrlimit(RLIMIT_NOFILE, {}) failed ({}: {})", limit.rlim_cur, errno,
                                     std::generic_category().message(errno)));
    }
  }
  if (main.worker_rlimit_core) {
    limit.rlim_cur = limit.rlim_max = *main.worker_rlimit_core;
    if (::setrlimit(RLIMIT_CORE, &limit) != 0) {
      problems.push_back(fmt::format("setrlimit(RLIMIT_CORE, {}) failed ({}: {})", limit.rlim_cur, errno,
                                     std::generic_category().message(errno)));
    }
  }
  if (main.worker_priority != 0 && ::setpriority(PRIO_PROCESS, 0, main.worker_priority) != 0) {
    problems.push_back(fmt::format("setpriority({}) failed ({}: {})", main.worker_priority, errno,
                                   std::generic_category().message(errno)));
  }
  for (const auto& entry : main.env) {
    const std::size_t sign = entry.find('=');
    if (sign != std::string::npos) ::setenv(entry.substr(0, sign).c_str(), entry.c_str() + sign + 1, 1);
  }
  return problems;
}

void drop_privileges(const config::MainSettings& main) {
  if (const auto identity = identity_of(main)) {
    if (::setgid(identity->group) != 0) fail(fmt::format("setgid({})", identity->group));
    if (::initgroups(main.user.c_str(), identity->group) != 0) {
      fail(fmt::format("initgroups({}, {})", main.user, identity->group));
    }
    const bool keeps_capabilities = main.binds_transparently && identity->user != 0;
    if (keeps_capabilities && ::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) fail("prctl(PR_SET_KEEPCAPS)");
    if (::setuid(identity->user) != 0) fail(fmt::format("setuid({})", identity->user));
    if (keeps_capabilities) keep_raw_network();
    // Or /proc/self would stay root's: spilled bodies are inspected through /proc/self/fd.
    if (::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0) fail("prctl(PR_SET_DUMPABLE)");
  }
  if (!main.working_directory.empty() && ::chdir(main.working_directory.c_str()) != 0) {
    fail(fmt::format("chdir(\"{}\")", main.working_directory));
  }
}

void give_to_user(const std::string& path, const config::MainSettings& main) {
  if (const auto identity = identity_of(main)) (void)!::lchown(path.c_str(), identity->user, identity->group);
}

}  // namespace gatehouse::server
