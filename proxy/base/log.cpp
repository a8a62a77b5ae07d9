#include "proxy/base/log.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <iterator>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include "proxy/base/syslog.hpp"

namespace gatehouse {
namespace {

constexpr std::array<std::string_view, 8> kLevelNames = {"debug", "info", "notice", "warn",
                                                         "error", "crit", "alert",  "emerg"};
constexpr std::size_t kLongestText = 16384;  // ModSecurity's lines are long; nginx cuts at 2,048

int open_for_append(const std::string& path) {
  return ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
}

// One gzip member; empty when there is no memory for it.
std::string gzipped(std::string_view bytes, int level) {
  constexpr int kGzip = 16;
  z_stream stream{};
  if (::deflateInit2(&stream, level, Z_DEFLATED, MAX_WBITS + kGzip, MAX_MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
    return {};
  std::string member(::deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(member.data());
  stream.avail_out = static_cast<uInt>(member.size());
  const int done = ::deflate(&stream, Z_FINISH);
  member.resize(done == Z_STREAM_END ? stream.total_out : 0);
  ::deflateEnd(&stream);
  return member;
}

}  // namespace

std::string_view level_name(LogLevel level) noexcept { return kLevelNames[static_cast<std::size_t>(level)]; }

std::optional<LogLevel> level_of(std::string_view name) noexcept {
  const auto* found = std::find(kLevelNames.begin(), kLevelNames.end(), name);
  if (found == kLevelNames.end()) return std::nullopt;
  return static_cast<LogLevel>(found - kLevelNames.begin());
}

LogFile::LogFile(std::string path, int gzip_level) : path_(std::move(path)), gzip_level_(gzip_level) {
  constexpr std::string_view kSyslog = "syslog:";
  if (path_.starts_with(kSyslog)) {
    syslog_ = std::make_unique<SyslogSender>(parse_syslog(std::string_view(path_).substr(kSyslog.size())));
    return;
  }
  fd_ = path_ == "stderr" ? ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3) : open_for_append(path_);
  if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "open() \"" + path_ + "\" failed");
}

LogFile::~LogFile() {
  if (fd_ >= 0) ::close(fd_);
}

void LogFile::write(std::string_view line, LogLevel level) const noexcept {
  if (!syslog_) return write(line);
  // Levels rise where RFC 3164's severities fall.
  syslog_->send(line, 7 - static_cast<int>(level));
}

void LogFile::write(std::string_view bytes) const noexcept {
  if (syslog_) return syslog_->send(bytes);
  if (gzip_level_ == 0) return append(bytes);
  const std::string member = gzipped(bytes, gzip_level_);
  append(member.empty() ? bytes : std::string_view(member));
}

void LogFile::append(std::string_view bytes) const noexcept {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;  // a full disk must not stop the proxy
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

int LogFile::reopen() noexcept {
  if (path_ == "stderr" || syslog_) return 0;
  const int fresh = open_for_append(path_);
  if (fresh < 0) return errno;
  // dup3 swaps the file under the number atomically: writers on other threads need no lock.
  const int code = ::dup3(fresh, fd_, O_CLOEXEC) < 0 ? errno : 0;
  ::close(fresh);
  return code;
}

std::shared_ptr<LogFile> LogFiles::open(const std::string& path, int gzip_level) {
  const std::lock_guard lock(mutex_);
  std::weak_ptr<LogFile>& entry = files_[{path, gzip_level}];
  if (auto file = entry.lock()) return file;
  auto file = std::make_shared<LogFile>(path, gzip_level);
  entry = file;
  return file;
}

std::vector<std::string> LogFiles::reopen() {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> failures;
  for (auto& [opened, entry] : files_) {
    const auto file = entry.lock();
    if (!file) continue;
    if (const int code = file->reopen(); code != 0) {
      failures.push_back(opened.first + ": " + std::generic_category().message(code));
    }
  }
  return failures;
}

ErrorLog::ErrorLog(std::vector<Target> targets) : targets_(std::move(targets)) {
  for (const Target& target : targets_) lowest_ = std::min(lowest_, target.level);
}

void ErrorLog::write(LogLevel level, std::uint64_t connection, std::string_view text, bool forced) const {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  std::tm local{};
  localtime_r(&now.tv_sec, &local);
  // A forked worker's first thread inherits the variables of the supervisor's.
  thread_local pid_t process_id = 0;
  thread_local pid_t thread_id = 0;
  if (const pid_t now_id = ::getpid(); now_id != process_id) {
    process_id = now_id;
    thread_id = ::gettid();
  }
  fmt::memory_buffer line;
  fmt::format_to(std::back_inserter(line), "{:04}/{:02}/{:02} {:02}:{:02}:{:02} [{}] {}#{}: ", local.tm_year + 1900,
                 local.tm_mon + 1, local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec, level_name(level),
                 process_id, thread_id);
  if (connection != 0) fmt::format_to(std::back_inserter(line), "*{} ", connection);
  const std::size_t start = line.size();
  line.append(text.substr(0, kLongestText));
  std::replace_if(
      line.data() + start, line.data() + line.size(), [](char c) { return c == '\n' || c == '\r' || c == '\0'; }, ' ');
  line.push_back('\n');
  for (const Target& target : targets_) {
    if (forced || level >= target.level) target.file->write({line.data(), line.size()}, level);
  }
}

}  // namespace gatehouse
