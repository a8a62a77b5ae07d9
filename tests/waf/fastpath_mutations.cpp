// Very many mutated requests through the fast path and libmodsecurity, on several threads.
//
// usage: waf_mutations RULES REQUESTS.jsonl|- COUNT [SEED [THREADS [FIRST]]]: mutates clean traffic and the requests of the file
// (- for none). Prints its progress and the totals; exit status 1 on anything wrong, 2 when the rules have no fast path. Mutation
// FIRST + n depends on SEED and its number alone, so what is found can be had again by itself: the command is printed with it.
#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <iostream>
#include <mutex>
#include <random>
#include <stdexcept>
#include <thread>

#include <fmt/format.h>

#include "../support/clean_traffic.hpp"
#include "../support/waf_differential.hpp"
#include "../support/waf_mutator.hpp"

namespace {

using namespace gatehouse::waf;
using test::Tally;
using test::WafRequest;

constexpr std::chrono::seconds kBetweenReports{30};

struct Arguments {
  std::string rules;
  std::string requests;
  std::size_t count = 0;
  std::uint32_t seed = 1;
  std::size_t threads = 1;
  std::size_t first = 0;
};

/// The mutation of that number: clean traffic twice as often as one of `tests`, since what is skipped is in question.
WafRequest mutation(const std::vector<WafRequest>& tests, std::uint32_t seed, std::size_t number) {
  std::seed_seq seeds{seed, static_cast<std::uint32_t>(number)};
  std::mt19937 random(seeds);
  const bool clean = tests.empty() || random() % 3 != 0;
  WafRequest request =
      clean ? test::CleanTraffic(static_cast<std::uint32_t>(random())).next() : tests[random() % tests.size()];
  return test::Mutator(static_cast<std::uint32_t>(random())).mutate(std::move(request));
}

/// What one thread has of its own.
struct Lane {
  explicit Lane(const std::string& rules)
      : pair(test::load_pair(oracle, "Include " + rules + "\n", "./mutations.conf")) {}
  test::Oracle oracle;
  test::LoadedPair pair;
};

class Run {
 public:
  explicit Run(Arguments arguments) : arguments_(std::move(arguments)) {
    if (arguments_.requests != "-") tests_ = test::read_requests(arguments_.requests);
    for (std::size_t i = 0; i < arguments_.threads; ++i) lanes_.emplace_back(arguments_.rules);
  }

  int operator()() {
    if (!lanes_.front().pair.built.fast_path) {
      std::cout << "no fast path: " << lanes_.front().pair.built.refusal << "\n";
      return 2;
    }
    {
      std::vector<std::jthread> threads;
      for (Lane& lane : lanes_) threads.emplace_back([this, &lane] { serve(lane); });
      report_until_done();
    }
    report();
    for (const auto& [reason, count] : total_.reasons) {
      if (count * 1000 > total_.requests) std::cout << "    false alarms: " << count << " " << reason << "\n";
    }
    return total_.wrong() == 0 && total_.requests == arguments_.count ? 0 : 1;
  }

 private:
  void serve(Lane& lane) {
    test::Differential differential(lane.oracle, lane.pair);
    for (std::size_t i = next_++; i < arguments_.count; i = next_++) {
      const std::size_t number = arguments_.first + i;
      Tally tally;
      const std::string wrong = differential.run(mutation(tests_, arguments_.seed, number), tally);
      const std::lock_guard lock(mutex_);
      total_ += tally;
      if (!wrong.empty()) {
        std::cout << wrong << "    again: waf_mutations " << arguments_.rules << " " << arguments_.requests << " 1 "
                  << arguments_.seed << " 1 " << number << std::endl;
      }
    }
    const std::lock_guard lock(mutex_);
    if (++ended_ == lanes_.size()) over_.notify_all();
  }

  void report_until_done() {
    std::unique_lock lock(mutex_);
    while (!over_.wait_for(lock, kBetweenReports, [this] { return ended_ == lanes_.size(); })) report();
  }

  void report() const {
    const auto share = [this](std::size_t count) {
      return 100.0 * static_cast<double>(count) / static_cast<double>(std::max<std::size_t>(1, total_.requests));
    };
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - began_;
    std::cout
        << fmt::format(
               "{} of {} mutated requests in {:.0f} s: proven clean {} ({:.1f} %), full {}, of these false alarms {} "
               "({:.1f} %); unsound {}; evaluated with fewer rules {}, with another result {}",
               total_.requests, arguments_.count, seconds.count(), total_.skipped, share(total_.skipped),
               total_.requests - total_.skipped, total_.false_alarms, share(total_.false_alarms), total_.unsound,
               total_.narrowed, total_.narrowed_otherwise)
        << std::endl;
  }

  const Arguments arguments_;
  std::vector<WafRequest> tests_;
  std::deque<Lane> lanes_;
  std::atomic<std::size_t> next_ = 0;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::mutex mutex_;  // guards what follows, and the output
  Tally total_;
  std::size_t ended_ = 0;
  std::condition_variable over_;
};

template <class Number>
void read(const std::vector<std::string>& words, std::size_t index, Number& into) {
  if (index >= words.size()) return;
  const std::string& word = words[index];
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), into);
  if (error != std::errc{} || end != word.data() + word.size()) throw std::runtime_error("not a number: " + word);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::vector<std::string> words(argv + 1, argv + argc);
    if (words.size() < 3) {
      std::cerr << "usage: waf_mutations RULES REQUESTS.jsonl|- COUNT [SEED [THREADS [FIRST]]]\n";
      return 2;
    }
    Arguments arguments{words[0], words[1]};
    read(words, 2, arguments.count);
    read(words, 3, arguments.seed);
    read(words, 4, arguments.threads);
    read(words, 5, arguments.first);
    if (arguments.threads == 0) throw std::runtime_error("no threads");
    Run run(std::move(arguments));
    return run();
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 2;
  }
}
