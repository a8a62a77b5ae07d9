// A rule set in both forms, and the comparison of what they say of one message.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "../../../support/waf_oracle.hpp"
#include "waf/fastpath/fast_path.hpp"

namespace gatehouse::waf::fastpath {

using test::WafRequest;

[[nodiscard]] inline test::Oracle& oracle() {
  static test::Oracle shared;  // its destructor tears down libxml and curl
  return shared;
}

/// A rule set, its worker, and the comparison of both on one request.
class Pair {
 public:
  explicit Pair(const std::string& rules, const Overlay* overlay = nullptr)
      : pair_(
            test::load_pair(oracle(), "SecRuleEngine On\nSecRequestBodyAccess On\n" + rules, "./rules.conf", overlay)) {
    if (pair_.built.fast_path) worker_.emplace(pair_.built.fast_path, 1);
  }

  [[nodiscard]] const std::string& refusal() const { return pair_.built.refusal; }
  /// True if proven clean; fails the test if the library disagrees.
  bool clean(const WafRequest& request) {
    const test::RequestViews views(request);
    const bool skipped = worker_->check_request(views.input()).clean();
    const auto findings = oracle().run(*pair_.rules, views.input());
    if (skipped) EXPECT_EQ(findings.what, "") << request.method << " " << request.uri << " | " << request.body;
    fired_ = !findings.none();
    return skipped;
  }
  /// The same for a request and its response.
  bool clean_response(const WafRequest& request, int status, std::string_view body,
                      std::vector<HeaderView> headers = {}) {
    const test::RequestViews views(request);
    headers.push_back({"Content-Type", "text/html"});
    const ResponseInput response{status, "HTTP/1.1", headers, {{&body, 1}, {}, false}};
    const bool clean_request = worker_->check_request(views.input()).clean();
    // Others come between on the same thread.
    const WafRequest other_request;
    const test::RequestViews other(other_request);
    (void)worker_->check_request(other.input());
    const bool skipped = clean_request && worker_->check_response(views.input(), response).clean();
    const auto findings = oracle().run(*pair_.rules, views.input(), &response);
    EXPECT_EQ(skipped, findings.none()) << body << findings.what;
    return skipped;
  }
  [[nodiscard]] bool fired() const { return fired_; }

 private:
  test::LoadedPair pair_;
  std::optional<FastPath::Worker> worker_;
  bool fired_ = false;
};

[[nodiscard]] inline WafRequest get(std::string uri, std::vector<std::pair<std::string, std::string>> headers = {}) {
  WafRequest request;
  request.uri = std::move(uri);
  request.headers = std::move(headers);
  return request;
}

}  // namespace gatehouse::waf::fastpath
