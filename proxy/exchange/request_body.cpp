#include "proxy/exchange/request_body.hpp"

#include <atomic>
#include <cerrno>
#include <filesystem>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "proxy/exchange/temporary_file.hpp"

namespace gatehouse::exchange {
namespace {

// NUMBER's folders by its last digits, as ngx_create_hashed_filename().
std::string hashed_folder(std::string_view number, const std::array<std::uint8_t, 3>& levels) {
  std::string folder;
  std::size_t end = number.size();
  for (const std::uint8_t level : levels) {
    if (level == 0 || level > end) break;
    end -= level;
    folder.append("/").append(number.substr(end, level));
  }
  return folder;
}

}  // namespace

RequestBody::~RequestBody() {
  if (fd_ >= 0) ::close(fd_);
  if (!file_name_.empty() && file_end_ == BodyFileEnd::removed) ::unlink(file_name_.c_str());
}

Result<void> RequestBody::append(std::string_view piece, ByteCount memory_limit, const std::string& directory) {
  if (fd_ < 0 && memory_.size() + piece.size() <= memory_limit) {
    memory_.append(piece);
    return {};
  }
  if (fd_ < 0) {
    auto opened = open_temporary(directory);
    if (!opened) return opened.error();
    fd_ = opened->release();
    const std::string collected = std::exchange(memory_, {});
    if (auto written = write_all(collected); !written) return written;
  }
  return write_all(piece);
}

Result<void> RequestBody::begin_file(const std::string& directory, const std::array<std::uint8_t, 3>& levels,
                                     BodyFileEnd end) {
  static std::atomic<std::uint32_t> next{0};
  for (;;) {
    const std::string number = fmt::format("{:010}", ++next);
    const std::string folder = directory + hashed_folder(number, levels);
    const std::string path = folder + "/" + number;
    constexpr int kFlags = O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC;
    fd_ = ::open(path.c_str(), kFlags, 0600);
    if (fd_ < 0 && errno == ENOENT) {
      std::error_code ignored;
      std::filesystem::create_directories(folder, ignored);
      fd_ = ::open(path.c_str(), kFlags, 0600);
    }
    if (fd_ < 0 && errno == EEXIST) continue;  // of another process, or of one before this
    if (fd_ < 0) return Error{Reason::spill_failed, errno};
    file_name_ = path;
    file_end_ = end;
    return {};
  }
}

Result<void> RequestBody::write_all(std::string_view piece) {
  if (auto written = write_whole(fd_, piece); !written) return written;
  spilled_ += piece.size();
  return {};
}

Result<std::size_t> RequestBody::read_at(std::uint64_t offset, char* into, std::size_t size) const {
  return read_from(fd_, offset, into, size);
}

void RequestBody::share(const RequestBody& other) {
  memory_ = other.memory_;
  spilled_ = other.spilled_;
  if (other.fd_ >= 0) fd_ = ::fcntl(other.fd_, F_DUPFD_CLOEXEC, 3);
}

}  // namespace gatehouse::exchange
