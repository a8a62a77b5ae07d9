// The fast path against libmodsecurity, one request at a time: whatever it calls clean, the library must find nothing in.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "waf/narrowed_rules.hpp"
#include "waf_oracle.hpp"

namespace gatehouse::waf::test {

/// What came of many comparisons.
struct Tally {
  std::size_t requests = 0;
  std::size_t flagged = 0;       ///< by the library
  std::size_t skipped = 0;       ///< by the fast path
  std::size_t false_alarms = 0;  ///< neither skipped nor flagged
  std::size_t unsound = 0;
  std::size_t narrowed = 0;            ///< evaluated with fewer rules, and compared
  std::size_t narrowed_otherwise = 0;  ///< of these: with another result
  std::chrono::nanoseconds with_all{};
  std::chrono::nanoseconds with_few{};
  std::map<std::string, std::size_t> reasons;  ///< of false alarms

  Tally& operator+=(const Tally& other);
  [[nodiscard]] std::size_t wrong() const noexcept { return unsound + narrowed_otherwise; }
};

/// Compares over one rule set; one thread's. Borrows what it is made from.
class Differential {
 public:
  Differential(Oracle& oracle, LoadedPair& pair);

  /// Counts into `tally`. Returns what is wrong, with the request escaped on one line; empty if nothing.
  [[nodiscard]] std::string run(const WafRequest& request, Tally& tally);

 private:
  [[nodiscard]] bool skips(fastpath::FastPath::Worker& worker, const RequestInput& input);
  [[nodiscard]] std::string compare_narrowed(const RequestInput& input, const fastpath::Candidates& candidates,
                                             const std::string& of_all, Tally& tally);

  Oracle& oracle_;
  LoadedPair& pair_;
  fastpath::FastPath::Worker worker_;
  NarrowedRules narrowed_;
  std::vector<HeaderView> response_headers_{{"Content-Type", "text/html; charset=utf-8"}};
  std::string_view response_body_ =
      "<html><head><title>Shop</title></head><body><p>Welcome back, your order is on its way.</p></body></html>";
  ResponseInput response_{200, "HTTP/1.1", response_headers_, {{&response_body_, 1}, {}, false}};
};

}  // namespace gatehouse::waf::test
