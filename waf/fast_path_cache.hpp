// Fast paths of the loaded rule sets: built once for each set and fold of overlays, shared by all routes and by reloads.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "waf/fastpath/fast_path.hpp"
#include "waf/narrowed_rules.hpp"
#include "waf/overlay.hpp"
#include "waf/rule_set.hpp"

namespace gatehouse::waf {

/// The fast path of one rule set under one fold of overlays, with a worker for each event thread; or why there is none.
///
/// Immutable but for the workers and for the distrust that a disagreement brings, which all folds of a rule set share.
class SharedFastPath {
 public:
  struct Parts;  ///< complete in fast_path_cache.cpp

  explicit SharedFastPath(std::unique_ptr<Parts> parts);
  ~SharedFastPath();
  SharedFastPath(const SharedFastPath&) = delete;
  SharedFastPath& operator=(const SharedFastPath&) = delete;

  /// Not empty: there is no fast path, and every request takes the full one.
  [[nodiscard]] const std::string& refusal() const noexcept;
  /// The worker of event thread `thread`, for that thread alone; null where there is no fast path.
  [[nodiscard]] fastpath::FastPath::Worker* worker(std::size_t thread) const noexcept;
  /// For requests that a worker did not prove clean but said something of; null where no rule may be left out of any request.
  [[nodiscard]] const std::shared_ptr<const NarrowedRules>& narrowed() const noexcept;
  /// False once the library saw something in a message that was proven clean. Any thread.
  [[nodiscard]] bool trusted() const noexcept;
  /// Switches the rule set's fast paths off; true for the first who does. Any thread.
  bool distrust() const noexcept;
  /// The rule set's hash, shortened: the metrics' and the log's name for it.
  [[nodiscard]] const std::string& rule_set() const noexcept;
  /// The plan in words, for `gatehouse -t --explain-waf`.
  [[nodiscard]] std::string explain() const;

 private:
  std::unique_ptr<Parts> parts_;
};

/// Makes fast paths. What was made lives as long as somebody holds it: a reload with unchanged rules compiles nothing. For
/// the thread that loads; takes 0.1 to 1 s for a rule set that is new.
class FastPathCache {
 public:
  FastPathCache();
  ~FastPathCache();
  FastPathCache(const FastPathCache&) = delete;
  FastPathCache& operator=(const FastPathCache&) = delete;

  /// How many workers each fast path gets; before the first get().
  void set_threads(std::size_t threads) noexcept;
  /// Never null; where there is no fast path it says why. `overlay` may be null.
  [[nodiscard]] std::shared_ptr<const SharedFastPath> get(const std::shared_ptr<const RuleSet>& rules,
                                                          const Overlay* overlay);
  /// Whether the fast path was compared with the version of libmodsecurity that is linked at run time.
  [[nodiscard]] bool knows_library();
  /// How many were compiled since construction; for tests and the load metric. Any thread.
  [[nodiscard]] std::size_t compilations() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace gatehouse::waf
