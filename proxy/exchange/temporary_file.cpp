#include "proxy/exchange/temporary_file.hpp"

#include <cerrno>
#include <filesystem>

#include <fcntl.h>
#include <unistd.h>

namespace gatehouse::exchange {
namespace {

// Where the file system has no O_TMPFILE, a named file that is unlinked at once.
int open_unnamed(const std::string& directory) {
  int fd = ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) return fd;
  std::string path = directory + "/bodyXXXXXX";
  fd = ::mkostemp(path.data(), O_CLOEXEC);
  if (fd >= 0) ::unlink(path.c_str());
  return fd;
}

}  // namespace

Result<UniqueFd> open_temporary(const std::string& directory) {
  int fd = open_unnamed(directory);
  if (fd < 0 && errno == ENOENT) {
    std::error_code ignored;
    std::filesystem::create_directories(directory, ignored);
    fd = open_unnamed(directory);
  }
  if (fd < 0) return Error{Reason::spill_failed, errno};
  return UniqueFd(fd);
}

Result<void> write_whole(int fd, std::string_view piece) {
  while (!piece.empty()) {
    const ssize_t n = ::write(fd, piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error{Reason::spill_failed, errno};
    piece.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

Result<std::size_t> read_from(int fd, std::uint64_t offset, char* into, std::size_t size) {
  for (;;) {
    const ssize_t n = ::pread(fd, into, size, static_cast<off_t>(offset));
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno != EINTR) return Error{Reason::spill_failed, errno};
  }
}

}  // namespace gatehouse::exchange
