// Many patterns searched for at once: one pass over a value proves that none of them matches.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "waf/fastpath/byte_classes.hpp"
#include "waf/fastpath/pcre_syntax.hpp"

namespace gatehouse::waf::fastpath {

/// The caller's name for one pattern of a set; several patterns may carry the same.
using CheckId = std::uint32_t;

/// What a scan proves. Everything but `clean` means that exact checks must follow.
enum class ScanResult : std::uint8_t {
  clean,    ///< no pattern of the set matches: a proof
  found,    ///< the named checks may match, no other does
  unknown,  ///< the automaton ran out of memory: any check may match
};

/// What an automaton's answer means: "no match" of one that failed (out of memory) means nothing.
[[nodiscard]] ScanResult scan_result(bool found, bool failed) noexcept;

/// The patterns, shared by all threads; each thread scans with its own Scanner.
class PatternSet {
 public:
  /// Bytes one scanner may hold at most, half of them for the last tier; RE2 drops and rebuilds its states beyond it,
  /// and gives up when that is not enough.
  static constexpr std::size_t default_memory = std::size_t{32} * 1024 * 1024;

  explicit PatternSet(std::size_t memory_per_scanner = default_memory) : memory_(memory_per_scanner) {}

  /// Adds a pattern in RE2's syntax, Latin-1, as translate() or phrase_pattern() write it. `tree`, if given, is the
  /// syntax tree the text came from: it proves for which values the pattern need not be looked for.
  void add(CheckId check, std::string re2, const pcre::Node* tree);

  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

  /// Values of some kinds of bytes are common, and little of most patterns can match inside them: words; words with
  /// blanks and slashes; everything.
  static constexpr std::size_t tier_count = 3;

  struct Entry {
    CheckId check = 0;
    /// By tier, RE2 text of what the pattern can match in a value of its bytes; nothing if it cannot.
    std::array<std::optional<std::string>, tier_count> by_tier;
  };
  [[nodiscard]] std::span<const Entry> entries() const noexcept { return entries_; }
  [[nodiscard]] std::size_t memory() const noexcept { return memory_; }

 private:
  std::vector<Entry> entries_;
  std::size_t memory_;
};

/// The automata of a set for one thread: RE2 builds its states while it scans, and takes a lock for it.
class Scanner {
 public:
  /// Compiles; takes milliseconds for hundreds of patterns. `set` is only read here.
  explicit Scanner(const PatternSet& set);
  ~Scanner();
  Scanner(Scanner&&) noexcept;
  Scanner& operator=(Scanner&&) noexcept;

  /// True unless it is proven that no pattern matches `value`. `classes` is classify(value).
  [[nodiscard]] bool may_match(std::string_view value, ByteClasses classes) const;

  /// As may_match(), and names the checks: `checks` is overwritten, sorted, without repetition.
  [[nodiscard]] ScanResult scan(std::string_view value, ByteClasses classes, std::vector<CheckId>& checks) const;

  /// Scans texts like those to come, so that the first requests do not pay for building states.
  void warm_up(std::span<const std::string_view> texts) const;

  /// False when RE2 could not compile the set in its memory: every scan is `unknown`.
  [[nodiscard]] bool usable() const noexcept;

  /// Patterns looked for in a value of `classes`; for explanations and tests.
  [[nodiscard]] std::size_t patterns_for(ByteClasses classes) const noexcept;

 private:
  struct Automaton;
  [[nodiscard]] const Automaton* automaton_for(ByteClasses classes) const noexcept;

  std::vector<std::unique_ptr<Automaton>> owned_;
  std::array<const Automaton*, PatternSet::tier_count> by_tier_{};
};

}  // namespace gatehouse::waf::fastpath
