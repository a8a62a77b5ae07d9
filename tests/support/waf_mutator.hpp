// Small changes to requests that parsers and rules are known to disagree about.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>

#include "waf_requests.hpp"

namespace gatehouse::waf::test {

/// Changes requests, reproducibly from its seed: bytes and fragments in target, header values and body; headers and arguments added,
/// repeated and taken away; lengths around the limits. What it makes is what an HTTP parser would let through.
class Mutator {
 public:
  explicit Mutator(std::uint32_t seed) : random_(seed) {}

  [[nodiscard]] WafRequest mutate(WafRequest request);

 private:
  std::uint32_t below(std::size_t limit);
  void splice(std::string& text);
  void step(WafRequest& request);
  void change_headers(WafRequest& request);
  void change_arguments(WafRequest& request);

  std::mt19937 random_;
};

}  // namespace gatehouse::waf::test
