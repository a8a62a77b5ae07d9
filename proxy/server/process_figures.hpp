// What the kernel says about this process, for the metrics.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace gatehouse::server {

struct ProcessFigures {
  double cpu_seconds = 0;
  double start_time_seconds = 0;  ///< since the epoch
  std::uint64_t resident_bytes = 0;
  std::uint64_t virtual_bytes = 0;
  std::uint64_t threads = 0;
  std::uint64_t open_descriptors = 0;
  std::uint64_t descriptor_limit = 0;
};

/// The fields of /proc/PID/stat that count here (proc(5)); the command name may hold blanks and parentheses. Nothing if
/// the text is not such a line. `boot_seconds`: the btime of /proc/stat.
[[nodiscard]] std::optional<ProcessFigures> parse_process_stat(std::string_view text, double ticks_per_second,
                                                               std::uint64_t page_bytes, double boot_seconds);

/// Of the calling process; what can't be read stays 0.
[[nodiscard]] ProcessFigures read_process_figures();

}  // namespace gatehouse::server
