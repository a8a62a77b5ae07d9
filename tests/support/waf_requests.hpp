// Requests for WAF tests: owned, from code or from a file of JSON lines, and ready to be handed to an evaluation.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "waf/transaction_input.hpp"
#include "waf/verdict.hpp"

namespace gatehouse::waf::test {

/// One request and, where a regression test says so, what the log of it must and must not hold.
struct WafRequest {
  std::string name;
  std::string method = "GET";
  std::string uri = "/";
  std::string version = "1.1";
  std::string client = "127.0.0.1";
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::optional<std::string> log_contains;     ///< regular expression over the log lines
  std::optional<std::string> no_log_contains;  ///< the same, which must not match
};

/// The views of a request that an evaluation takes. Lives shorter than the request; not copyable, since it points into
/// itself.
class RequestViews {
 public:
  explicit RequestViews(const WafRequest& request);
  RequestViews(const RequestViews&) = delete;
  RequestViews& operator=(const RequestViews&) = delete;

  [[nodiscard]] const RequestInput& input() const { return input_; }

 private:
  std::string uri_;
  std::vector<HeaderView> headers_;
  std::string_view segment_;
  RequestInput input_;
};

/// Reads a file with one JSON object a line: name, method, uri, version, client, headers (list of pairs), body,
/// log_contains, no_log_contains; all but name optional. Texts hold bytes as the code points U+0000 to U+00FF. Throws
/// std::runtime_error.
[[nodiscard]] std::vector<WafRequest> read_requests(const std::string& path);

/// The ids of the rules that matched, in order.
[[nodiscard]] std::vector<std::int64_t> ids(const Verdict& verdict);

/// The lines that a verdict puts into the error log, each followed by a line end.
[[nodiscard]] std::string log_lines(const Verdict& verdict);

}  // namespace gatehouse::waf::test
