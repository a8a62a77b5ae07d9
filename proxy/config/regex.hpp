// PCRE2 regular expressions as nginx uses them: unanchored, 8-bit, optionally caseless, JIT-compiled.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gatehouse::config {

/// A compiled expression. Immutable; match() may be called from any thread at once.
class Regex {
 public:
  /// Throws std::invalid_argument with PCRE2's message and the rest of the text when `pattern` does not compile.
  Regex(std::string pattern, bool caseless);
  ~Regex();
  Regex(const Regex&) = delete;
  Regex& operator=(const Regex&) = delete;

  /// Groups of a match: byte offsets into the subject, pairs (start, end); unset groups are (npos, npos).
  struct Captures {
    std::vector<std::size_t> offsets;
  };

  /// Whether `subject` holds a match. Runs under a match limit; a subject that exceeds it does not match.
  [[nodiscard]] bool matches(std::string_view subject) const;
  /// As matches(), and fills `captures`.
  [[nodiscard]] bool match(std::string_view subject, Captures& captures) const;
  /// Named groups with their numbers.
  [[nodiscard]] const std::vector<std::pair<std::string, std::uint32_t>>& names() const noexcept { return names_; }
  /// For each entry of names(), the slot of the variable that the group fills (Config::user_variables).
  [[nodiscard]] const std::vector<std::uint16_t>& slots() const noexcept { return slots_; }
  /// Set once, by the loader, before the expression is shared.
  void set_slots(std::vector<std::uint16_t> slots) { slots_ = std::move(slots); }
  [[nodiscard]] std::uint32_t group_count() const noexcept { return groups_; }
  [[nodiscard]] const std::string& pattern() const noexcept { return pattern_; }

 private:
  struct Code;
  std::string pattern_;
  std::unique_ptr<Code> code_;
  std::uint32_t groups_ = 0;
  std::vector<std::pair<std::string, std::uint32_t>> names_;
  std::vector<std::uint16_t> slots_;
};

}  // namespace gatehouse::config
