#include "proxy/server/affinity.hpp"

#include <algorithm>
#include <numeric>
#include <string_view>

#include <pthread.h>
#include <sched.h>

namespace gatehouse::server {
namespace {

std::vector<std::uint32_t> processors_in(std::string_view mask) {
  std::vector<std::uint32_t> set;
  for (std::size_t i = 0; i < mask.size(); ++i) {
    if (mask[mask.size() - 1 - i] == '1') set.push_back(static_cast<std::uint32_t>(i));
  }
  return set;
}

}  // namespace

std::vector<std::uint32_t> processors_of_thread(const std::vector<std::string>& words, std::uint32_t index,
                                                std::uint32_t processors) {
  if (words.empty()) return {};
  if (words.front() != "auto") return processors_in(words[std::min<std::size_t>(index, words.size() - 1)]);
  std::vector<std::uint32_t> allowed(processors);
  std::iota(allowed.begin(), allowed.end(), 0u);
  if (words.size() > 1) allowed = processors_in(words[1]);
  if (allowed.empty()) return {};
  return {allowed[index % allowed.size()]};
}

int bind_thread(const std::vector<std::uint32_t>& processors) noexcept {
  if (processors.empty()) return 0;
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const std::uint32_t processor : processors) {
    if (processor < CPU_SETSIZE) CPU_SET(processor, &set);
  }
  return ::pthread_setaffinity_np(::pthread_self(), sizeof(set), &set);
}

}  // namespace gatehouse::server
