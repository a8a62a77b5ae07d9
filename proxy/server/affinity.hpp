// worker_cpu_affinity: which processors an event thread may run on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace gatehouse::server {

/// Processors by number for thread `index`, by the directive's words (`auto [MASK]` or MASK...; the last digit of a mask is
/// processor 0). With masks the thread gets the mask of its number, or the last one; with `auto` one processor, in turn, of those that
/// the mask allows, or of all `processors`. Empty: wherever it likes.
[[nodiscard]] std::vector<std::uint32_t> processors_of_thread(const std::vector<std::string>& words,
                                                              std::uint32_t index, std::uint32_t processors);

/// Binds the calling thread; errno otherwise, 0 if it worked. Nothing to do for an empty list.
[[nodiscard]] int bind_thread(const std::vector<std::uint32_t>& processors) noexcept;

}  // namespace gatehouse::server
