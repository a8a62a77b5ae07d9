// usage: waf_replay RULES REQUESTS [KNOWN_FAILURES]
//
// Evaluates each request of REQUESTS (JSON lines, see tests/support/waf_requests.hpp) with the rules of the file RULES
// and compares the log with what the request expects. Prints the names of those that do not meet it, and "PASSED of
// TOTAL". With KNOWN_FAILURES, a file of names, the exit status is 0 if exactly those failed; without it, if none did.
#include <algorithm>
#include <fstream>
#include <iostream>
#include <iterator>
#include <regex>
#include <set>
#include <string>

#include "tests/support/waf_requests.hpp"
#include "waf/evaluation.hpp"

namespace gatehouse::waf::test {
namespace {

bool found_in(const std::string& pattern, const std::string& log) {
  // Nearly all patterns are plain texts, and std::regex overflows its stack on long lines.
  if (pattern.find_first_of("\\^$.|?*+()[]{}") == std::string::npos) return log.find(pattern) != std::string::npos;
  std::size_t begin = 0;
  const std::regex regex(pattern);
  while (begin < log.size()) {
    const auto end = std::min(log.find('\n', begin), log.size());
    for (std::size_t at = begin; at < end; at += 2000)
      if (std::regex_search(log.substr(at, std::min<std::size_t>(4000, end - at)), regex)) return true;
    begin = end + 1;
  }
  return false;
}

std::string evaluate(Engine& engine, const std::shared_ptr<const RuleSet>& rules, const WafRequest& request) {
  Evaluation evaluation(engine, rules);
  const RequestViews views(request);
  std::string log;
  const auto note = [&](const Result<Verdict>& verdict) {
    log += verdict ? log_lines(*verdict) : std::string("the evaluation failed\n");
  };
  note(evaluate_request(evaluation, views.input()));
  ResponseInput response;
  response.protocol = "HTTP/1.1";
  note(evaluation.response_head(response));
  note(evaluation.response_body({}));
  note(evaluation.finish());
  return log;
}

bool is_met(const WafRequest& request, const std::string& log) {
  if (request.log_contains && !found_in(*request.log_contains, log)) return false;
  return !request.no_log_contains || !found_in(*request.no_log_contains, log);
}

std::set<std::string> read_names(const char* path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error(std::string("cannot read ") + path);
  std::set<std::string> names;
  for (std::string line; std::getline(file, line);)
    if (!line.empty() && line.front() != '#') names.insert(line);
  return names;
}

int replay(int count, char** arguments) {
  RuleSetCache cache;
  const auto rules = cache.compile({{{{RuleFile{arguments[1], {"command line", 0}}}}}});
  Engine engine;
  const auto requests = read_requests(arguments[2]);
  std::set<std::string> failed;
  for (const WafRequest& request : requests)
    if (!is_met(request, evaluate(engine, rules, request))) failed.insert(request.name);
  const std::set<std::string> known = count > 3 ? read_names(arguments[3]) : std::set<std::string>{};
  for (const std::string& name : failed) std::cout << (known.contains(name) ? "known   " : "FAILED  ") << name << "\n";
  for (const std::string& name : known)
    if (!failed.contains(name)) std::cout << "PASSED  " << name << " (listed as a known failure)\n";
  std::cout << requests.size() - failed.size() << " of " << requests.size() << " as expected\n";
  return failed == known && !requests.empty() ? 0 : 1;
}

}  // namespace
}  // namespace gatehouse::waf::test

int main(int count, char** arguments) {
  if (count < 3) {
    std::cerr << "usage: waf_replay RULES REQUESTS [KNOWN_FAILURES]\n";
    return 2;
  }
  try {
    return gatehouse::waf::test::replay(count, arguments);
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 2;
  }
}
