// The audit log's own thread: records go in without blocking, files are written behind.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "proxy/base/units.hpp"

namespace gatehouse::waf {

/// One record, ready to be written. Serial: `record` is appended to `log_path`. Concurrent: `record` becomes the file
/// `record_path` (its directories are made), and `index` is appended to `log_path` if that is not empty.
struct AuditRecord {
  std::string log_path;
  std::string record_path;        ///< empty: serial
  std::string storage_directory;  ///< concurrent: directories are made below this one
  std::string record;
  std::string index;
  unsigned file_mode = 0640;
  unsigned directory_mode = 0750;
};

/// Writes records in the order submitted, each with one append, so that several processes may share a file.
/// Thread-safe.
class AuditWriter {
 public:
  struct Counters {
    std::uint64_t written = 0;
    std::uint64_t dropped = 0;
    std::uint64_t failed = 0;
  };

  /// At most `queue_bytes` wait to be written; a record beyond that is dropped and counted.
  explicit AuditWriter(ByteCount queue_bytes);
  /// Writes what is queued, then stops.
  ~AuditWriter();
  AuditWriter(const AuditWriter&) = delete;
  AuditWriter& operator=(const AuditWriter&) = delete;

  void submit(AuditRecord record);
  /// Files are closed before the next record is written, so that it goes to a newly opened file.
  void reopen();
  /// Waits until everything submitted so far is written.
  void flush();
  [[nodiscard]] Counters counters() const;

 private:
  void run();
  bool write(const AuditRecord& record);
  bool append(const std::string& path, const std::string& text, unsigned mode);
  void close_files();

  const ByteCount queue_bytes_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable idle_;
  std::deque<AuditRecord> queue_;
  ByteCount queued_bytes_ = 0;
  bool writing_ = false;
  bool reopen_ = false;
  bool stop_ = false;
  Counters counters_;
  std::map<std::string, int> files_;  // only the writer thread
  std::thread thread_;                // last: it uses all of the above
};

}  // namespace gatehouse::waf
