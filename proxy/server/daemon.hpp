// Going to the background, and starting a new program file beside the running one.
#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

#include "proxy/base/unique_fd.hpp"

namespace gatehouse::server {

/// The background half of `daemon on`. The command that was typed returns when the daemon says that it serves, so that whoever ran it may
/// connect at once, and learns of a failed start by its exit status.
class Daemon {
 public:
  /// Forks. Returns in the child, in a session of its own; the parent waits for ready() and exits. Throws std::system_error.
  void detach();
  /// Lets the waiting command return with status 0, and gives up standard error.
  void ready();
  /// In a forked worker: forgets the waiting command.
  void forget() noexcept { waiting_.reset(); }

 private:
  UniqueFd waiting_;
};

/// Starts `program` with `arguments` (the first is its name) in a child process and hands `sockets` on (SIGUSR2). Returns the child's id;
/// throws std::system_error.
[[nodiscard]] pid_t start_new_program(const std::string& program, const std::vector<std::string>& arguments,
                                      const std::vector<int>& sockets);

/// The program file to start then: `name` (argv[0]) if it has a slash, made absolute, or else the running one.
[[nodiscard]] std::string program_path(const std::string& name);

}  // namespace gatehouse::server
