// The proof: for most requests, that libmodsecurity would find, log and change nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "proxy/base/units.hpp"
#include "waf/fastpath/full_path_reason.hpp"
#include "waf/fastpath/plan.hpp"
#include "waf/fastpath/request_values.hpp"
#include "waf/transaction_input.hpp"

namespace gatehouse::waf::fastpath {

/// What of the loaded rule set, besides its rules, decides what the library does.
struct FastPathSettings {
  ParserSettings parser;
  ByteCount request_body_limit = 0;  ///< SecRequestBodyLimit; 0: none
  std::vector<int> unicode_map;      ///< SecUnicodeMapFile's table or empty
};

/// What a check ended in. `reason` is none exactly for a message proven clean.
struct Outcome {
  FullPathReason reason = FullPathReason::none;
  std::int64_t rule_id = 0;  ///< the rule that could not be disproved

  [[nodiscard]] bool clean() const noexcept { return reason == FullPathReason::none; }
};

/// Which of Plan::rules an evaluation of a request by the library can't do without, by index.
using Candidates = std::vector<bool>;

/// Counts of one worker since it was made, for metrics; read by its own thread.
struct FastPathCounters {
  std::uint64_t values = 0;       ///< looked at
  std::uint64_t remembered = 0;   ///< of these: proven earlier, byte for byte
  std::uint64_t scans = 0;        ///< of pattern sets
  std::uint64_t near_misses = 0;  ///< rules that a scan named and the exact evaluation disproved
};

/// The checks of one rule set under one overlay. Immutable, shared by all threads; each thread has its own Worker.
class FastPath {
 public:
  class Worker;

  /// `plan` must have no refusal of its own. Loading time: compiles patterns.
  FastPath(std::shared_ptr<const Plan> plan, FastPathSettings settings);
  ~FastPath();
  FastPath(const FastPath&) = delete;
  FastPath& operator=(const FastPath&) = delete;

  /// Not empty: some rule cannot be disproved for any request; no Worker may be made then.
  [[nodiscard]] const std::string& refusal() const noexcept;
  [[nodiscard]] const Plan& plan() const noexcept;
  /// For explanations: why each rule that is looked at natively, is looked at one by one, or taken to hold.
  struct Shape {
    std::size_t scanned = 0;
    std::size_t direct = 0;
    std::size_t sets = 0;
    std::size_t patterns = 0;
    std::size_t chains = 0;
    std::vector<std::string> taken_to_hold;  ///< "920310: a negated @pm"
  };
  [[nodiscard]] Shape shape() const;

 private:
  friend class Worker;
  struct Compiled;
  std::unique_ptr<const Compiled> compiled_;
};

/// One thread's automata, memory and remembered values for one FastPath, which it keeps alive. Making one compiles the
/// sets again (tens of milliseconds): RE2 builds its states while scanning, and takes a lock for it.
class FastPath::Worker {
 public:
  /// `seed` makes the memory of proven values unpredictable to clients.
  Worker(std::shared_ptr<const FastPath> fast_path, std::uint64_t seed);
  ~Worker();
  Worker(Worker&&) noexcept;
  Worker& operator=(Worker&&) noexcept;

  /// Phases 1 and 2, and rules of later phases that look at nothing of the response. `input` is borrowed for the call. Does
  /// not throw on data; takes microseconds, in steady state without heap memory for ordinary requests.
  [[nodiscard]] Outcome check_request(const RequestInput& input);

  /// After check_request() ended in rule_may_match: the rules of phases 1 and 2 whose first condition may hold; null where the library must be asked
  /// about all of them (Plan::not_narrowable, or a candidate that steers others). Valid until the next check.
  [[nodiscard]] const Candidates* candidates() const noexcept;

  /// The rest of phases 3 to 5 of a request that check_request() found clean, however many others were checked since. `response.body` is
  /// what the library would be given; empty where the body is not inspected. `request` is taken apart again only if some
  /// rule of these phases looks at it.
  [[nodiscard]] Outcome check_response(const RequestInput& request, const ResponseInput& response);

  [[nodiscard]] const FastPathCounters& counters() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace gatehouse::waf::fastpath
