// The pid file: who the supervisor is, for `-s`, for service managers, and against a second start.
#pragma once

#include <string>

#include <sys/types.h>

#include "proxy/base/unique_fd.hpp"

namespace gatehouse::server {

/// Locked as long as the supervisor lives, so that a second one on the same file is told apart from a file that a crash left behind.
/// Methods that fail throw std::runtime_error with nginx's wording.
class PidFile {
 public:
  PidFile() = default;
  /// Creates and locks the file; it stays empty until write(). Throws if a running process holds it.
  explicit PidFile(std::string path);
  PidFile(PidFile&&) = default;
  PidFile& operator=(PidFile&&) = default;

  /// Writes this process' id.
  void write();
  /// Makes room for the pid file of a new program file (PATH.oldbin), and takes the name back.
  void move_aside();
  void move_back() noexcept;
  /// Removes the file and gives the lock up.
  void remove() noexcept;
  /// Forgets the file without touching it: in a forked child, which must not keep the lock.
  void forget() noexcept { fd_.reset(); }

  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
  bool aside_ = false;
  UniqueFd fd_;
};

/// The process id in a pid file; throws std::runtime_error: `open() "PATH" failed (2: No such file or directory)`,
/// `invalid PID number "x" in "PATH"`.
[[nodiscard]] pid_t read_pid_file(const std::string& path);

}  // namespace gatehouse::server
