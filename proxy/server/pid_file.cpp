#include "proxy/server/pid_file.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <stdexcept>
#include <string_view>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

namespace gatehouse::server {
namespace {

[[noreturn]] void fail(const std::string& call, int code = errno) {
  throw std::runtime_error(fmt::format("{} failed ({}: {})", call, code, std::generic_category().message(code)));
}

std::string read_text(int fd) {
  std::array<char, 64> text{};
  const ssize_t size = ::pread(fd, text.data(), text.size(), 0);
  std::string result(text.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  while (!result.empty() && (result.back() == '\n' || result.back() == '\r' || result.back() == ' ')) result.pop_back();
  return result;
}

}  // namespace

PidFile::PidFile(std::string path)
    : path_(std::move(path)), fd_(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
  if (!fd_) fail(fmt::format("open() \"{}\"", path_));
  if (::flock(fd_.get(), LOCK_EX | LOCK_NB) == 0) return;
  if (errno != EWOULDBLOCK) fail(fmt::format("flock() \"{}\"", path_));
  throw std::runtime_error(
      fmt::format("the pid file \"{}\" belongs to the running process {}", path_, read_text(fd_.get())));
}

void PidFile::write() {
  const std::string text = fmt::format("{}\n", ::getpid());
  if (::ftruncate(fd_.get(), 0) != 0) fail(fmt::format("ftruncate() \"{}\"", path_));
  if (::pwrite(fd_.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    fail(fmt::format("write() \"{}\"", path_));
  }
}

void PidFile::move_aside() {
  const std::string aside = path_ + ".oldbin";
  if (std::rename(path_.c_str(), aside.c_str()) != 0) fail(fmt::format("rename() {} to {}", path_, aside));
  aside_ = true;
}

void PidFile::move_back() noexcept {
  if (aside_) (void)std::rename((path_ + ".oldbin").c_str(), path_.c_str());
  aside_ = false;
}

void PidFile::remove() noexcept {
  if (fd_) ::unlink(aside_ ? (path_ + ".oldbin").c_str() : path_.c_str());
  fd_.reset();
}

pid_t read_pid_file(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) fail(fmt::format("open() \"{}\"", path));
  const std::string text = read_text(fd.get());
  pid_t pid = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), pid);
  if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size() || pid <= 0) {
    throw std::runtime_error(fmt::format("invalid PID number \"{}\" in \"{}\"", text, path));
  }
  return pid;
}

}  // namespace gatehouse::server
