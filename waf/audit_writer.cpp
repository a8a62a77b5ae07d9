#include "waf/audit_writer.hpp"

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace gatehouse::waf {
namespace {

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

int open_for_append(const std::string& path, unsigned mode) {
  return ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, static_cast<mode_t>(mode));
}

ByteCount size_of(const AuditRecord& record) {
  return sizeof(AuditRecord) + record.record.size() + record.index.size();
}

// Makes the directories between `root` and the record's file; root itself was made by libmodsecurity while loading.
void make_directories(const std::string& root, const std::string& path, unsigned mode) {
  for (auto slash = path.find('/', root.size() + 1); slash != std::string::npos; slash = path.find('/', slash + 1))
    ::mkdir(path.substr(0, slash).c_str(), static_cast<mode_t>(mode));
}

}  // namespace

AuditWriter::AuditWriter(ByteCount queue_bytes) : queue_bytes_(queue_bytes), thread_([this] { run(); }) {}

AuditWriter::~AuditWriter() {
  {
    const std::scoped_lock lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
  close_files();
}

void AuditWriter::submit(AuditRecord record) {
  {
    const std::scoped_lock lock(mutex_);
    const ByteCount size = size_of(record);
    if (queued_bytes_ + size > queue_bytes_) {
      ++counters_.dropped;
      return;
    }
    queued_bytes_ += size;
    queue_.push_back(std::move(record));
  }
  wake_.notify_one();
}

void AuditWriter::reopen() {
  const std::scoped_lock lock(mutex_);
  reopen_ = true;
}

void AuditWriter::flush() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return queue_.empty() && !writing_; });
}

AuditWriter::Counters AuditWriter::counters() const {
  const std::scoped_lock lock(mutex_);
  return counters_;
}

void AuditWriter::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stop_ || !queue_.empty(); });
    if (queue_.empty()) return;
    const AuditRecord record = std::move(queue_.front());
    queue_.pop_front();
    writing_ = true;
    const bool reopen = std::exchange(reopen_, false);
    lock.unlock();
    if (reopen) close_files();
    const bool good = write(record);
    lock.lock();
    queued_bytes_ -= size_of(record);
    writing_ = false;
    ++(good ? counters_.written : counters_.failed);
    if (queue_.empty()) idle_.notify_all();
  }
}

bool AuditWriter::write(const AuditRecord& record) {
  if (record.record_path.empty()) return append(record.log_path, record.record, record.file_mode);
  make_directories(record.storage_directory, record.record_path, record.directory_mode);
  const int fd = open_for_append(record.record_path, record.file_mode);
  if (fd < 0) return false;
  const bool good = write_all(fd, record.record);
  ::close(fd);
  if (!good) return false;
  return record.log_path.empty() || append(record.log_path, record.index, record.file_mode);
}

bool AuditWriter::append(const std::string& path, const std::string& text, unsigned mode) {
  auto found = files_.find(path);
  if (found == files_.end()) {
    const int fd = open_for_append(path, mode);
    if (fd < 0) return false;
    found = files_.emplace(path, fd).first;
  }
  if (write_all(found->second, text)) return true;
  // A full disk or a vanished file system: the next record tries from the start.
  ::close(found->second);
  files_.erase(found);
  return false;
}

void AuditWriter::close_files() {
  for (const auto& [path, fd] : files_) ::close(fd);
  files_.clear();
}

}  // namespace gatehouse::waf
