// What an upstream has sent and a slow client has not taken yet: in memory up to a bound, then in a file (nginx's proxy_buffers and
// proxy_max_temp_file_size).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/base/error.hpp"
#include "proxy/base/unique_fd.hpp"
#include "proxy/base/units.hpp"
#include "proxy/io/buffer_pool.hpp"
#include "proxy/io/reactor.hpp"
#include "proxy/io/signal.hpp"
#include "proxy/io/task.hpp"

namespace gatehouse::exchange {

/// Bytes from one coroutine to another of the same reactor, in order. One appends and finishes, the other takes or gives up.
class ResponseSpool {
 public:
  struct Limits {
    ByteCount memory = 0;   ///< what is kept in memory; one piece may go beyond it
    ByteCount file = 0;     ///< what the file may hold; 0: there is none
    std::string directory;  ///< of the file
  };
  ResponseSpool(io::Reactor& reactor, io::BufferPool& blocks, Limits limits)
      : blocks_(blocks), limits_(std::move(limits)), grown_(reactor), room_(reactor) {}

  /// Keeps a copy of `piece`, as soon as there is room. Errors: canceled when the taker has given up, spill_failed.
  [[nodiscard]] io::Task<Result<void>> append(std::string_view piece);
  /// Nothing follows; with an error, because that cut it short.
  void finish(Error why = {});

  /// The next piece, valid until the next call; empty at the end. Errors: finish()'s, behind everything that came before it; spill_failed.
  [[nodiscard]] io::Task<Result<std::string_view>> take();
  /// Everything was taken, and nothing follows.
  [[nodiscard]] bool drained() const noexcept {
    return finished_ && failure_.reason == Reason::none && memory_.empty() && file_unread() == 0;
  }
  /// The taker needs no more: appending ends.
  void give_up();

  [[nodiscard]] bool used_file() const noexcept { return static_cast<bool>(file_); }

 private:
  [[nodiscard]] std::uint64_t file_unread() const noexcept { return file_size_ - file_taken_; }
  /// True when the piece was kept; false: there is no room.
  [[nodiscard]] Result<bool> keep(std::string_view piece);
  [[nodiscard]] Result<std::string_view> take_from_file();

  io::BufferPool& blocks_;
  const Limits limits_;
  std::string memory_;  ///< older than what is in the file
  std::string taken_;   ///< the piece that was given out, if it came from memory
  UniqueFd file_;
  std::uint64_t file_size_ = 0;
  std::uint64_t file_taken_ = 0;
  io::BufferPool::Block block_;
  io::Signal grown_;
  io::Signal room_;
  bool finished_ = false;
  bool given_up_ = false;
  Error failure_;
};

}  // namespace gatehouse::exchange
