#include "proxy/cache/entry_file.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace gatehouse::cache {
namespace {

constexpr std::size_t kFirstRead = 4096;
constexpr std::string_view kTemporaryMark = ".new-";

std::ptrdiff_t read_whole(int file, std::uint64_t offset, char* buffer, std::size_t size) noexcept {
  std::size_t got = 0;
  while (got < size) {
    const ssize_t n = ::pread(file, buffer + got, size - got, static_cast<off_t>(offset + got));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -1;
    if (n == 0) break;
    got += static_cast<std::size_t>(n);
  }
  return static_cast<std::ptrdiff_t>(got);
}

bool write_whole(int file, std::uint64_t offset, std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    offset += static_cast<std::uint64_t>(n);
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

std::uint64_t disk_bytes(const struct stat& status) noexcept {
  return static_cast<std::uint64_t>(status.st_blocks) * 512;
}

// The folders between a zone's own and the file.
bool make_folders(const std::string& path, std::uint32_t mode) {
  for (std::size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    if (::mkdir(path.substr(0, slash).c_str(), mode) != 0 && errno != EEXIST) return false;
  }
  return true;
}

OpenResult read_header(const std::string& path, StoredResponse& response) {
  response.file = UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!response.file) return errno == ENOENT ? OpenResult::missing : OpenResult::failed;
  std::string bytes(kFirstRead, '\0');
  std::ptrdiff_t got = read_whole(response.file.get(), 0, bytes.data(), bytes.size());
  if (got < 0) return OpenResult::failed;
  bytes.resize(static_cast<std::size_t>(got));
  const auto size = header_size(bytes);
  if (!size) return OpenResult::damaged;
  if (*size > bytes.size()) {
    const std::size_t before = bytes.size();
    bytes.resize(*size);
    got = read_whole(response.file.get(), before, bytes.data() + before, *size - before);
    if (got < 0) return OpenResult::failed;
    bytes.resize(before + static_cast<std::size_t>(got));
  }
  auto header = decode(bytes);
  if (!header) return OpenResult::damaged;
  response.header = std::move(*header);
  return OpenResult::opened;
}

}  // namespace

std::ptrdiff_t StoredResponse::read_body(std::uint64_t offset, char* buffer, std::size_t size) const noexcept {
  return read_whole(file.get(), header.size() + offset, buffer, size);
}

OpenResult open_entry(const std::string& path, std::string_view key, StoredResponse& response) {
  const OpenResult read = read_header(path, response);
  if (read != OpenResult::opened) return read;
  struct stat status{};
  if (::fstat(response.file.get(), &status) != 0) return OpenResult::failed;
  const FileHeader& header = response.header;
  if (static_cast<std::uint64_t>(status.st_size) != header.size() + header.body_length) return OpenResult::damaged;
  if (header.key != key) return OpenResult::collision;
  response.size_on_disk = disk_bytes(status);
  return OpenResult::opened;
}

std::optional<std::string> key_of(const std::string& path) {
  StoredResponse response;
  if (read_header(path, response) != OpenResult::opened) return std::nullopt;
  return std::move(response.header.key);
}

bool rewrite_header(const std::string& path, const FileHeader& header) noexcept {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
  return file.get() >= 0 && write_whole(file.get(), 0, encode(header));
}

EntryWriter::EntryWriter(UniqueFd file, std::string path, std::string temporary, FileHeader header)
    : file_(std::move(file)),
      path_(std::move(path)),
      temporary_(std::move(temporary)),
      header_(std::move(header)),
      body_offset_(header_.size()) {}

EntryWriter::EntryWriter(EntryWriter&& other) noexcept
    : file_(std::move(other.file_)),
      path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      header_(std::move(other.header_)),
      body_offset_(other.body_offset_),
      copy_mode_(other.copy_mode_) {}

EntryWriter::~EntryWriter() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

std::optional<UniqueFd> EntryWriter::create(const std::string& path, std::string& temporary, std::uint32_t folders) {
  static std::atomic<std::uint64_t> count{0};
  temporary = fmt::format("{}{}{}-{}", path, kTemporaryMark, ::getpid(), ++count);
  constexpr int kFlags = O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW;
  UniqueFd file(::open(temporary.c_str(), kFlags, 0600));
  if (!file && errno == ENOENT && make_folders(path, folders)) file.reset(::open(temporary.c_str(), kFlags, 0600));
  if (!file) return std::nullopt;
  return file;
}

std::optional<EntryWriter> EntryWriter::begin(std::string path, FileHeader header) {
  if (header.size() > kMostHeader) {
    errno = EMSGSIZE;
    return std::nullopt;
  }
  std::string temporary;
  auto file = create(path, temporary, 0700);
  if (!file) return std::nullopt;
  header.body_length = 0;
  return EntryWriter(std::move(*file), std::move(path), std::move(temporary), std::move(header));
}

std::optional<EntryWriter> EntryWriter::begin_copy(std::string path, std::uint32_t mode, Seconds modified) {
  std::string temporary;
  // Who may read a file may enter its folder.
  auto file = create(path, temporary, mode | (mode & 0444) >> 2);
  if (!file) return std::nullopt;
  FileHeader header;
  header.last_modified = modified;
  EntryWriter writer(std::move(*file), std::move(path), std::move(temporary), std::move(header));
  writer.copy_mode_ = mode;
  writer.body_offset_ = 0;
  return writer;
}

bool EntryWriter::finish_copy() const noexcept {
  if (::fchmod(file_.get(), *copy_mode_) != 0) return false;
  if (header_.last_modified < 0) return true;
  const timespec modified{.tv_sec = header_.last_modified, .tv_nsec = 0};
  const timespec times[2] = {modified, modified};
  return ::futimens(file_.get(), times) == 0;
}

bool EntryWriter::append(std::string_view bytes) noexcept {
  if (!write_whole(file_.get(), body_offset_ + header_.body_length, bytes)) return false;
  header_.body_length += bytes.size();
  return true;
}

std::ptrdiff_t EntryWriter::read_body(std::uint64_t offset, char* buffer, std::size_t size) const noexcept {
  return read_whole(file_.get(), body_offset_ + offset, buffer, size);
}

std::optional<std::uint64_t> EntryWriter::commit() {
  if (!(copy_mode_ ? finish_copy() : write_whole(file_.get(), 0, encode(header_)))) return std::nullopt;
  struct stat status{};
  if (::fstat(file_.get(), &status) != 0 || std::rename(temporary_.c_str(), path_.c_str()) != 0) return std::nullopt;
  temporary_.clear();
  return disk_bytes(status);
}

bool is_temporary_name(std::string_view name) noexcept { return name.find(kTemporaryMark) != std::string_view::npos; }

}  // namespace gatehouse::cache
