#include "proxy/exchange/request_body.hpp"

#include <cerrno>
#include <filesystem>

#include <fcntl.h>
#include <unistd.h>

namespace gatehouse::exchange {
namespace {

// An unnamed file in `directory`; where the file system has no O_TMPFILE, a named one that is unlinked at once.
int open_unnamed(const std::string& directory) {
  int fd = ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) return fd;
  std::string path = directory + "/bodyXXXXXX";
  fd = ::mkostemp(path.data(), O_CLOEXEC);
  if (fd >= 0) ::unlink(path.c_str());
  return fd;
}

}  // namespace

RequestBody::~RequestBody() {
  if (fd_ >= 0) ::close(fd_);
}

Result<void> RequestBody::append(std::string_view piece, ByteCount memory_limit, const std::string& directory) {
  if (fd_ < 0 && memory_.size() + piece.size() <= memory_limit) {
    memory_.append(piece);
    return {};
  }
  if (fd_ < 0) {
    fd_ = open_unnamed(directory);
    if (fd_ < 0 && errno == ENOENT) {
      std::error_code ignored;
      std::filesystem::create_directories(directory, ignored);
      fd_ = open_unnamed(directory);
    }
    if (fd_ < 0) return Error{Reason::spill_failed, errno};
    const std::string collected = std::exchange(memory_, {});
    if (auto written = write_all(collected); !written) return written;
  }
  return write_all(piece);
}

Result<void> RequestBody::write_all(std::string_view piece) {
  while (!piece.empty()) {
    const ssize_t n = ::write(fd_, piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error{Reason::spill_failed, errno};
    spilled_ += static_cast<std::uint64_t>(n);
    piece.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

Result<std::size_t> RequestBody::read_at(std::uint64_t offset, char* into, std::size_t size) const {
  for (;;) {
    const ssize_t n = ::pread(fd_, into, size, static_cast<off_t>(offset));
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno != EINTR) return Error{Reason::spill_failed, errno};
  }
}

void RequestBody::share(const RequestBody& other) {
  memory_ = other.memory_;
  spilled_ = other.spilled_;
  if (other.fd_ >= 0) fd_ = ::fcntl(other.fd_, F_DUPFD_CLOEXEC, 3);
}

}  // namespace gatehouse::exchange
