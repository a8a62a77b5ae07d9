// What the WAF's unit tests share: a directory of their own, rule sets from texts, evaluations in one line.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/waf_requests.hpp"
#include "waf/evaluation.hpp"

namespace gatehouse::waf::test {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "gatehouse-waf-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = name;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  [[nodiscard]] std::string path(const std::string& name) const { return (path_ / name).string(); }

  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name), std::ios::binary) << text;
    return path(name);
  }

  [[nodiscard]] std::string read(const std::string& name) const {
    std::ifstream file(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  std::filesystem::path path_;
};

inline RuleLevel level_of(std::string text, unsigned line = 1) {
  return {{RuleText{std::move(text), {"test.conf", line}}}};
}

inline RuleSetSource source_of(std::string text, unsigned line = 1) { return {{level_of(std::move(text), line)}}; }

inline std::shared_ptr<const RuleSet> compile(const RuleSetSource& source) { return RuleSetCache().compile(source); }

inline std::shared_ptr<const RuleSet> compile(std::string text) { return compile(source_of(std::move(text))); }

/// The Core Rule Set as shipped, with our engine set-up but no audit log; compiled once for all tests of the program.
inline const std::shared_ptr<const RuleSet>& core_rule_set() {
  static const std::shared_ptr<const RuleSet> rules =
      compile("Include " GATEHOUSE_SOURCE_DIR "/rules/gatehouse-crs.conf\nSecAuditEngine Off\n");
  return rules;
}

/// A request as a browser sends it, to which a test adds what it is about.
inline WafRequest browser_request() {
  WafRequest request;
  request.headers = {{"Host", "www.example.com"}, {"User-Agent", "Mozilla/5.0"}, {"Accept", "*/*"}};
  return request;
}

inline WafRequest get(std::string uri) {
  WafRequest request = browser_request();
  request.uri = std::move(uri);
  return request;
}

inline WafRequest post(const std::string& type, std::string body) {
  WafRequest request = browser_request();
  request.method = "POST";
  request.headers.emplace_back("Content-Type", type);
  request.headers.emplace_back("Content-Length", std::to_string(body.size()));
  request.body = std::move(body);
  return request;
}

/// A test that evaluates.
class WafTest : public ::testing::Test {
 protected:
  /// Phases 1 and 2 of one request.
  Verdict evaluate(const std::shared_ptr<const RuleSet>& rules, const WafRequest& request,
                   std::shared_ptr<const Overlay> overlay = nullptr) {
    Evaluation evaluation(engine, rules, std::move(overlay));
    const RequestViews views(request);
    return evaluate_request(evaluation, views.input()).value();
  }

  Engine engine;
  TemporaryDirectory directory;
};

}  // namespace gatehouse::waf::test
