// A request body that was read completely before it is used: in memory up to a bound, then in a file.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/base/error.hpp"
#include "proxy/base/units.hpp"

namespace gatehouse::exchange {

/// Who removes a body's file that has a name.
enum class BodyFileEnd : std::uint8_t { stays, removed };

/// Collects a body. What fits into `memory_limit` stays in memory; beyond it everything moves to a file that has no name from the
/// moment it is opened, so that no crash leaves it behind; begin_file() gives it one.
class RequestBody {
 public:
  RequestBody() = default;
  ~RequestBody();
  RequestBody(const RequestBody&) = delete;
  RequestBody& operator=(const RequestBody&) = delete;

  /// Appends a piece. Error: spill_failed with errno. Writing to the file may block for as long as the page cache lets it.
  [[nodiscard]] Result<void> append(std::string_view piece, ByteCount memory_limit, const std::string& directory);

  /// Makes an empty body a file from its first byte on: DIRECTORY/LEVELS/NUMBER, as nginx names it. `levels`: how many digits of the
  /// number's end name each folder, 0 for none. Error: spill_failed with errno.
  [[nodiscard]] Result<void> begin_file(const std::string& directory, const std::array<std::uint8_t, 3>& levels,
                                        BodyFileEnd end);
  /// The path that begin_file() made; empty: none.
  [[nodiscard]] const std::string& file_name() const noexcept { return file_name_; }

  [[nodiscard]] std::uint64_t size() const noexcept { return memory_.size() + spilled_; }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  /// The whole body while nothing was spilled.
  [[nodiscard]] std::string_view memory() const noexcept { return memory_; }
  [[nodiscard]] bool spilled() const noexcept { return fd_ >= 0; }
  /// Descriptor of the spill file, or -1. Its content is the whole body.
  [[nodiscard]] int fd() const noexcept { return fd_; }

  /// Reads up to `into`'s size from `offset` of a spilled body; 0 at the end. Error: spill_failed.
  [[nodiscard]] Result<std::size_t> read_at(std::uint64_t offset, char* into, std::size_t size) const;

  /// Takes the same content as `other`, which is whole: a copy of what is in memory, the same file otherwise.
  void share(const RequestBody& other);

  /// An empty string whose capacity the body is to use; while the body is empty.
  void give_memory(std::string memory) noexcept { memory_ = std::move(memory); }
  /// The memory for another exchange; the body is over.
  [[nodiscard]] std::string take_memory() noexcept { return std::exchange(memory_, {}); }

 private:
  [[nodiscard]] Result<void> write_all(std::string_view piece);

  std::string memory_;
  std::uint64_t spilled_ = 0;
  int fd_ = -1;
  std::string file_name_;
  BodyFileEnd file_end_ = BodyFileEnd::stays;
};

}  // namespace gatehouse::exchange
