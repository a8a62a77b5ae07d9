// Traffic as browsers and API clients send it: what a WAF should find nothing in.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "waf_requests.hpp"

namespace gatehouse::waf::test {

/// Shares of the kinds of requests, in percent of 100.
struct TrafficMix {
  unsigned gets = 60;
  unsigned forms = 20;
  unsigned json = 15;
  unsigned uploads = 5;
};

/// Makes realistic requests, reproducibly: browser headers, cookies of analytics and sessions, JWTs, search words,
/// UTF-8, quotes in prose, postal addresses, file uploads.
class CleanTraffic {
 public:
  explicit CleanTraffic(std::uint32_t seed, TrafficMix mix = {}) : random_(seed), mix_(mix) {}

  [[nodiscard]] WafRequest next();

 private:
  [[nodiscard]] std::uint32_t below(std::uint32_t limit) { return static_cast<std::uint32_t>(random_() % limit); }
  [[nodiscard]] const std::string& pick(const std::vector<std::string>& from) {
    return from[below(static_cast<std::uint32_t>(from.size()))];
  }
  [[nodiscard]] std::string digits(std::size_t count);
  [[nodiscard]] std::string token(std::size_t count);
  [[nodiscard]] std::string words(std::size_t count);
  [[nodiscard]] std::string value();
  [[nodiscard]] std::string cookies();
  [[nodiscard]] std::string path();
  [[nodiscard]] std::string form();
  [[nodiscard]] std::string json();
  void browser_headers(WafRequest& request);
  void upload(WafRequest& request);

  std::mt19937 random_;
  TrafficMix mix_;
};

/// `text` as a browser writes it into a query or a form.
[[nodiscard]] std::string percent_encode(const std::string& text, bool plus_for_blank);

}  // namespace gatehouse::waf::test
