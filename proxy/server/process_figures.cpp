#include "proxy/server/process_figures.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <sys/resource.h>
#include <unistd.h>

namespace gatehouse::server {
namespace {

std::string contents(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

double boot_time() {
  const std::string text = contents("/proc/stat");
  const std::size_t at = text.find("\nbtime ");
  if (at == std::string::npos) return 0;
  std::uint64_t seconds = 0;
  std::from_chars(text.data() + at + 7, text.data() + text.size(), seconds);
  return static_cast<double>(seconds);
}

}  // namespace

std::optional<ProcessFigures> parse_process_stat(std::string_view text, double ticks_per_second,
                                                 std::uint64_t page_bytes, double boot_seconds) {
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string_view::npos || name_end + 2 >= text.size()) return std::nullopt;
  text.remove_prefix(name_end + 2);
  constexpr std::size_t kFirst = 3;  // number of the field behind the name, counted from 1 as proc(5) does
  std::array<std::uint64_t, 25> fields{};
  for (std::size_t i = kFirst; i < fields.size(); ++i) {
    const std::string_view word = text.substr(0, text.find(' '));
    if (word.empty()) return std::nullopt;
    std::from_chars(word.data(), word.data() + word.size(), fields[i]);  // the state is a letter: it stays 0
    text.remove_prefix(std::min(text.size(), word.size() + 1));
  }
  ProcessFigures figures;
  figures.cpu_seconds = static_cast<double>(fields[14] + fields[15]) / ticks_per_second;
  figures.threads = fields[20];
  figures.start_time_seconds = boot_seconds + static_cast<double>(fields[22]) / ticks_per_second;
  figures.virtual_bytes = fields[23];
  figures.resident_bytes = fields[24] * page_bytes;
  return figures;
}

ProcessFigures read_process_figures() {
  const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  ProcessFigures figures =
      parse_process_stat(contents("/proc/self/stat"), ticks, page, boot_time()).value_or(ProcessFigures{});
  // The same time as the ticks count, in nanoseconds: a short life shows too.
  timespec cpu{};
  if (::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0) {
    figures.cpu_seconds = static_cast<double>(cpu.tv_sec) + static_cast<double>(cpu.tv_nsec) / 1e9;
  }
  std::error_code failed;
  for (std::filesystem::directory_iterator entry("/proc/self/fd", failed), end; !failed && entry != end;
       entry.increment(failed)) {
    ++figures.open_descriptors;
  }
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) figures.descriptor_limit = limit.rlim_cur;
  return figures;
}

}  // namespace gatehouse::server
