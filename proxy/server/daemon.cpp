#include "proxy/server/daemon.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

#include "proxy/server/listening_sockets.hpp"

namespace gatehouse::server {
namespace {

[[noreturn]] void fail(const char* call) { throw std::system_error(errno, std::generic_category(), call); }

void point_to_null(std::initializer_list<int> descriptors) {
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  for (const int fd : descriptors) {
    if (null) (void)::dup2(null.get(), fd);
  }
}

}  // namespace

void Daemon::detach() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) fail("pipe() failed");
  UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) fail("fork() failed");
  if (child > 0) {
    writer.reset();
    char byte = 0;
    ssize_t got = 0;
    do {
      got = ::read(reader.get(), &byte, 1);
    } while (got < 0 && errno == EINTR);
    ::_exit(got == 1 ? 0 : 1);
  }
  if (::setsid() < 0) fail("setsid() failed");
  point_to_null({STDIN_FILENO, STDOUT_FILENO});
  waiting_ = std::move(writer);
}

void Daemon::ready() {
  if (!waiting_) return;
  point_to_null({STDERR_FILENO});
  (void)!::write(waiting_.get(), "r", 1);
  waiting_.reset();
}

pid_t start_new_program(const std::string& program, const std::vector<std::string>& arguments,
                        const std::vector<int>& sockets) {
  std::vector<char*> argv;
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const pid_t child = ::fork();
  if (child < 0) fail("fork() failed");
  if (child > 0) return child;
  for (const int fd : sockets) (void)::fcntl(fd, F_SETFD, 0);
  ::setenv(kSocketsVariable, sockets_to_text(sockets).c_str(), 1);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execv(program.c_str(), argv.data());
  ::_exit(127);
}

std::string program_path(const std::string& name) {
  std::error_code failed;
  if (name.find('/') != std::string::npos) {
    auto path = std::filesystem::absolute(name, failed);
    if (!failed) return path.lexically_normal().string();
  }
  return std::filesystem::read_symlink("/proc/self/exe", failed).string();
}

}  // namespace gatehouse::server
