// A regular expression exactly as libmodsecurity's @rx runs it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::waf::fastpath {

/// What one match needs besides the pattern; one per thread, reused.
class ExactScratch {
 public:
  ExactScratch();
  ~ExactScratch();
  ExactScratch(ExactScratch&&) noexcept;
  ExactScratch& operator=(ExactScratch&&) noexcept;

 private:
  friend class ExactPattern;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// PCRE2 code compiled with DOTALL | MULTILINE and JIT, run in the library's order: JIT first, the interpreter where
/// JIT has no code or no stack left, default match limits; an error is "no match". Immutable, shared by threads.
class ExactPattern {
 public:
  /// Never fails: of a pattern that PCRE2 refuses, valid() is false and nothing matches, as in the library.
  /// The text ends at its first NUL, as the library's does.
  explicit ExactPattern(const std::string& pattern);
  ~ExactPattern();
  ExactPattern(ExactPattern&&) noexcept;
  ExactPattern& operator=(ExactPattern&&) noexcept;

  [[nodiscard]] bool valid() const noexcept;

  /// The library's Rx::evaluate: an empty pattern matches everything.
  [[nodiscard]] bool matches(std::string_view subject, ExactScratch& scratch) const;

  /// What the library would put into TX:0, TX:1 ... on a match.
  struct Capture {
    std::uint32_t group = 0;
    std::string_view text;
  };
  /// As matches(); `captures` is overwritten with the groups that took part, in order. Borrows `subject`.
  [[nodiscard]] bool matches(std::string_view subject, ExactScratch& scratch, std::vector<Capture>& captures) const;

 private:
  [[nodiscard]] int run(std::string_view subject, ExactScratch& scratch) const;

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gatehouse::waf::fastpath
