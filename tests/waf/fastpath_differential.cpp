// The fast path against libmodsecurity: whatever it calls clean, the library must find nothing in.
//
// usage: waf_fastpath RULES REQUESTS.jsonl|- MUTATIONS SEED [CLEAN]: runs the requests of the file (- for none), CLEAN
// synthetic clean requests (default 5000), and MUTATIONS mutations of both. Prints counts; exit status 1 on any unsound
// skip, 2 when the rules have no fast path.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <fstream>
#include <iostream>
#include <map>
#include <random>
#include <sstream>
#include <stdexcept>

#include "../support/clean_traffic.hpp"
#include "../support/waf_oracle.hpp"
#include "waf/narrowed_rules.hpp"

namespace {

using namespace gatehouse;
using namespace gatehouse::waf;
using test::WafRequest;

struct Tally {
  std::size_t requests = 0;
  std::size_t flagged = 0;       // by the library
  std::size_t skipped = 0;       // by the fast path
  std::size_t false_alarms = 0;  // neither skipped nor flagged
  std::size_t unsound = 0;
  std::size_t narrowed = 0;  // evaluated with fewer rules, and compared
  std::size_t narrowed_otherwise = 0;
  std::chrono::nanoseconds with_all{};  // the library's time for these
  std::chrono::nanoseconds with_few{};
  std::map<std::string, std::size_t> reasons;  // of false alarms
};

class Differential {
 public:
  Differential(test::Oracle& oracle, test::LoadedPair& pair)
      : oracle_(oracle), pair_(pair), worker_(pair.built.fast_path, 1), narrowed_(pair.rules, *pair.built.plan) {}

  void run(const WafRequest& request, Tally& tally) {
    const test::RequestViews views(request);
    const auto outcome = worker_.check_request(views.input());
    if (const auto* candidates = worker_.candidates()) compare_narrowed(request, views.input(), *candidates, tally);
    const bool clean = outcome.clean() && worker_.check_response(views.input(), response_).clean();
    const auto findings = oracle_.run(*pair_.rules, views.input(), &response_);
    ++tally.requests;
    if (!findings.none()) ++tally.flagged;
    if (clean) ++tally.skipped;
    if (clean && !findings.none()) {
      ++tally.unsound;
      std::cout << "UNSOUND" << findings.what << ": " << dump(request) << "\n";
    }
    if (!clean && findings.none()) {
      ++tally.false_alarms;
      ++tally.reasons[std::string(fastpath::label(outcome.reason)) + " " + std::to_string(outcome.rule_id)];
    }
  }

  /// The rules that may match, alone, against all of them.
  void compare_narrowed(const WafRequest& request, const RequestInput& input, const fastpath::Candidates& candidates,
                        Tally& tally) {
    ++tally.narrowed;
    const auto began = std::chrono::steady_clock::now();
    const auto few = narrowed_.narrow(candidates);
    const auto of_few = oracle_.trace(*few, input, &response_);
    const auto between = std::chrono::steady_clock::now();
    const auto of_all = oracle_.trace(*pair_.rules, input, &response_);
    tally.with_few += between - began;
    tally.with_all += std::chrono::steady_clock::now() - between;
    if (of_few == of_all) return;
    ++tally.narrowed_otherwise;
    std::cout << "NARROWED OTHERWISE: " << dump(request) << "\nall:\n" << of_all << "few:\n" << of_few;
  }

  static std::string dump(const WafRequest& request) {
    std::string text = request.method + " " + request.uri + " HTTP/" + request.version;
    for (const auto& [name, value] : request.headers) text += " | " + name + ": " + value;
    return escaped(text + " || " + request.body);
  }

 private:
  static std::string escaped(const std::string& text) {
    std::string result;
    for (const char c : text) {
      if (c >= ' ' && c <= '~' && c != '\\') {
        result += c;
      } else {
        static constexpr std::string_view hex = "0123456789abcdef";
        result += "\\x";
        result += hex[static_cast<unsigned char>(c) >> 4U];
        result += hex[static_cast<unsigned char>(c) & 15U];
      }
    }
    return result;
  }

  test::Oracle& oracle_;
  test::LoadedPair& pair_;
  fastpath::FastPath::Worker worker_;
  NarrowedRules narrowed_;
  std::vector<HeaderView> response_headers_{{"Content-Type", "text/html; charset=utf-8"}};
  std::string_view response_body_ =
      "<html><head><title>Shop</title></head><body><p>Welcome back, your order is on its way.</p></body></html>";
  ResponseInput response_{200, "HTTP/1.1", response_headers_, {{&response_body_, 1}, {}, false}};
};

/// Small changes that parsers and rules are known to disagree about.
class Mutator {
 public:
  explicit Mutator(std::uint32_t seed) : random_(seed) {}

  WafRequest mutate(WafRequest request) {
    const auto steps = 1 + below(3);
    for (std::uint32_t i = 0; i < steps; ++i) step(request);
    return request;
  }

 private:
  std::uint32_t below(std::size_t limit) {
    return static_cast<std::uint32_t>(random_() % std::max<std::size_t>(1, limit));
  }

  void splice(std::string& text) {
    static const std::vector<std::string> fragments{std::string(1, '\x0b'),
                                                    "\xa0",
                                                    "%00",
                                                    std::string("\x85", 1),
                                                    "%u0027",
                                                    "%c0%af",
                                                    "%2527",
                                                    "%",
                                                    "\n",
                                                    "\r\n",
                                                    ";",
                                                    "'",
                                                    "\"",
                                                    "<",
                                                    ">",
                                                    "(",
                                                    ")",
                                                    "--",
                                                    "/*",
                                                    "*/",
                                                    "%0a",
                                                    "%0d%0a",
                                                    "..",
                                                    "/../",
                                                    "\\",
                                                    "\\u0041",
                                                    "&amp;",
                                                    "&#x41;",
                                                    "+",
                                                    "%20",
                                                    "union select",
                                                    "<script",
                                                    "onload=",
                                                    "; ls",
                                                    "|cat",
                                                    "${",
                                                    "{{",
                                                    "eval(",
                                                    "=",
                                                    "&",
                                                    "&&",
                                                    "1 or 1=1",
                                                    "%e2%80%99",
                                                    "\xc3\xa9",
                                                    "base64_decode",
                                                    "php://",
                                                    "http://",
                                                    "file",
                                                    ".php",
                                                    "sleep(1)",
                                                    " ",
                                                    "  ",
                                                    "\t",
                                                    "a",
                                                    "Z",
                                                    "0",
                                                    "%25",
                                                    "$(",
                                                    "`",
                                                    "@",
                                                    "#"};
    const auto& fragment = fragments[below(fragments.size())];
    const auto at = below(text.size() + 1);
    switch (below(5)) {
      case 0: text.insert(at, fragment); break;
      case 1: text.insert(at, fragment + fragments[below(fragments.size())]); break;
      case 2:
        if (!text.empty()) text.erase(below(text.size()), 1 + below(4));
        break;
      case 3:
        if (!text.empty()) text[below(text.size())] = static_cast<char>(random_() % 256);
        break;
      default: text += fragment;
    }
  }

  static void clean_target(std::string& uri) {
    std::erase_if(uri, [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == 0x7f || c == '#'; });
    if (uri.empty() || uri.front() != '/') uri.insert(0, "/");
  }

  void step(WafRequest& request) {
    switch (below(10)) {
      case 0:
      case 1:
      case 2:
        splice(request.uri);
        clean_target(request.uri);
        break;
      case 3:
      case 4: splice(request.body); break;
      case 5:
      case 6:
        if (!request.headers.empty()) {
          auto& value = request.headers[below(request.headers.size())].second;
          splice(value);
          std::erase_if(value, [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
        }
        break;
      case 7:
        if (!request.headers.empty()) request.headers.push_back(request.headers[below(request.headers.size())]);
        break;
      case 8:
        if (!request.headers.empty()) request.headers.erase(request.headers.begin() + below(request.headers.size()));
        break;
      default: {
        static const std::vector<std::pair<std::string, std::string>> extra{
            {"Content-Type", "application/json"},
            {"Content-Type", "text/xml"},
            {"Content-Type", "application/x-www-form-urlencoded"},
            {"Content-Type", "multipart/form-data; boundary=x"},
            {"Range", "bytes=5-1"},
            {"Transfer-Encoding", "chunked"},
            {"X-Forwarded-For", "127.0.0.1"},
            {"Content-Encoding", "gzip"},
            {"Accept", ""},
            {"Cookie", "a=b;;c; =d"},
            {"Cookie", "$Version=1; x=\"y\""},
            {"Content-Length", "0"},
            {"Proxy", "x"},
            {"X-Filename", "a.php"}};
        request.headers.push_back(extra[below(extra.size())]);
      }
    }
  }

  std::mt19937 random_;
};

void report(const char* name, const Tally& tally) {
  std::cout << name << ": " << tally.requests << " requests, library flags " << tally.flagged << ", skipped "
            << tally.skipped << ", false alarms " << tally.false_alarms << ", unsound " << tally.unsound
            << ", with fewer rules " << tally.narrowed << " (otherwise " << tally.narrowed_otherwise << ")";
  if (tally.narrowed > 0) {
    const auto each = [&](std::chrono::nanoseconds time) {
      return time / std::chrono::microseconds(1) / static_cast<std::int64_t>(tally.narrowed);
    };
    std::cout << ", " << each(tally.with_few) << " us instead of " << each(tally.with_all) << " us each";
  }
  std::cout << "\n";
  for (const auto& [reason, count] : tally.reasons) std::cout << "    " << count << " " << reason << "\n";
}

int run(const std::vector<std::string>& arguments) {
  const auto number = [](const std::string& text) {
    std::size_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
  };
  test::Oracle oracle;
  auto pair = test::load_pair(oracle, "Include " + arguments[0] + "\n", "./differential.conf");
  if (!pair.built.fast_path) {
    std::cout << "no fast path: " << pair.built.refusal << "\n";
    return 2;
  }
  Differential differential(oracle, pair);
  std::vector<WafRequest> requests;
  if (arguments[1] != "-") requests = test::read_requests(arguments[1]);
  Tally tests;
  for (const auto& request : requests) differential.run(request, tests);
  report("regression tests", tests);

  const auto seed = static_cast<std::uint32_t>(number(arguments[3]));
  test::CleanTraffic traffic(seed);
  Tally clean;
  const auto clean_count = arguments.size() > 4 ? number(arguments[4]) : 5000;
  for (std::size_t i = 0; i < clean_count; ++i) {
    requests.push_back(traffic.next());
    differential.run(requests.back(), clean);
  }
  report("clean traffic", clean);

  Tally mutated;
  Mutator mutator(seed);
  std::mt19937 choose(seed);
  const auto mutations = number(arguments[2]);
  for (std::size_t i = 0; i < mutations && !requests.empty(); ++i) {
    differential.run(mutator.mutate(requests[choose() % requests.size()]), mutated);
  }
  mutated.reasons.clear();
  report("mutations", mutated);
  const auto wrong = [](const Tally& tally) { return tally.unsound + tally.narrowed_otherwise; };
  return wrong(tests) + wrong(clean) + wrong(mutated) == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    if (arguments.size() < 4) {
      std::cerr << "usage: waf_fastpath RULES REQUESTS.jsonl|- MUTATIONS SEED [CLEAN]\n";
      return 2;
    }
    return run(arguments);
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 2;
  }
}
