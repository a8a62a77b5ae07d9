// The fast path against libmodsecurity: whatever it calls clean, the library must find nothing in.
//
// usage: waf_fastpath RULES REQUESTS.jsonl|- MUTATIONS SEED [CLEAN]: runs the requests of the file (- for none), CLEAN
// synthetic clean requests (default 5000), and MUTATIONS mutations of both. Prints counts; exit status 1 on any unsound
// skip, 2 when the rules have no fast path.
#include <charconv>
#include <chrono>
#include <iostream>
#include <random>
#include <stdexcept>

#include "../support/clean_traffic.hpp"
#include "../support/waf_differential.hpp"
#include "../support/waf_mutator.hpp"

namespace {

using namespace gatehouse::waf;
using test::Differential;
using test::Tally;
using test::WafRequest;

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
  for (const auto& request : requests) std::cout << differential.run(request, tests);
  report("regression tests", tests);

  const auto seed = static_cast<std::uint32_t>(number(arguments[3]));
  test::CleanTraffic traffic(seed);
  Tally clean;
  const auto clean_count = arguments.size() > 4 ? number(arguments[4]) : 5000;
  for (std::size_t i = 0; i < clean_count; ++i) {
    requests.push_back(traffic.next());
    std::cout << differential.run(requests.back(), clean);
  }
  report("clean traffic", clean);

  Tally mutated;
  test::Mutator mutator(seed);
  std::mt19937 choose(seed);
  const auto mutations = number(arguments[2]);
  for (std::size_t i = 0; i < mutations && !requests.empty(); ++i) {
    std::cout << differential.run(mutator.mutate(requests[choose() % requests.size()]), mutated);
  }
  mutated.reasons.clear();
  report("mutations", mutated);
  return tests.wrong() + clean.wrong() + mutated.wrong() == 0 ? 0 : 1;
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
