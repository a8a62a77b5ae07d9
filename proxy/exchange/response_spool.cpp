#include "proxy/exchange/response_spool.hpp"

#include <cerrno>
#include <utility>

#include <unistd.h>

#include "proxy/exchange/temporary_file.hpp"

namespace gatehouse::exchange {

io::Task<Result<void>> ResponseSpool::append(std::string_view piece) {
  for (;;) {
    if (given_up_) co_return Error{Reason::canceled};
    const auto kept = keep(piece);
    if (!kept) co_return kept.error();
    if (*kept) {
      grown_.notify_all();
      co_return Result<void>{};
    }
    auto waiting = room_.wait();
    co_await waiting;
  }
}

Result<bool> ResponseSpool::keep(std::string_view piece) {
  if (file_unread() == 0 && memory_.size() < limits_.memory) {
    memory_.append(piece);
    return true;
  }
  // A piece that is larger than the file may be would wait for ever: an empty file takes it.
  if (limits_.file == 0 || (file_size_ != 0 && file_size_ + piece.size() > limits_.file)) return false;
  if (!file_) {
    auto opened = open_temporary(limits_.directory);
    if (!opened) return opened.error();
    file_ = std::move(*opened);
  }
  if (const auto written = write_whole(file_.get(), piece); !written) return written.error();
  file_size_ += piece.size();
  return true;
}

void ResponseSpool::finish(Error why) {
  finished_ = true;
  failure_ = why;
  grown_.notify_all();
}

void ResponseSpool::give_up() {
  given_up_ = true;
  room_.notify_all();
}

io::Task<Result<std::string_view>> ResponseSpool::take() {
  for (;;) {
    if (!memory_.empty()) {
      taken_.clear();
      std::swap(taken_, memory_);
      room_.notify_all();
      co_return std::string_view(taken_);
    }
    if (file_unread() != 0) co_return take_from_file();
    if (finished_) {
      if (failure_.reason != Reason::none) co_return failure_;
      co_return std::string_view{};
    }
    auto waiting = grown_.wait();
    co_await waiting;
  }
}

Result<std::string_view> ResponseSpool::take_from_file() {
  if (!block_) block_ = blocks_.take();
  const auto got = read_from(file_.get(), file_taken_, block_.data(), block_.size());
  if (!got) return got.error();
  if (*got == 0) return Error{Reason::spill_failed, EIO};
  file_taken_ += *got;
  if (file_unread() == 0) {
    // The disk gets its room back, and memory its turn.
    if (::ftruncate(file_.get(), 0) != 0 || ::lseek(file_.get(), 0, SEEK_SET) < 0)
      return Error{Reason::spill_failed, errno};
    file_size_ = file_taken_ = 0;
    room_.notify_all();
  }
  return std::string_view(block_.data(), *got);
}

}  // namespace gatehouse::exchange
