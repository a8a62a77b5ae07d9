// Collects what is wrong with a configuration and renders it: nginx's line, the source line, a caret, a hint.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/config/loader.hpp"

namespace gatehouse::config {

/// Where a message belongs. `line` is the line that nginx would name; `shown_line` and `column` are the word's own.
struct Place {
  const SourceFile* file = nullptr;
  std::uint32_t line = 0;
  std::uint32_t shown_line = 0;
  std::uint32_t column = 0;
  std::uint32_t order = 0;  ///< messages are sorted by it

  [[nodiscard]] Position position() const {
    return {file != nullptr ? std::string_view(file->path) : std::string_view{}, shown_line, column};
  }
};

/// The messages about one configuration. Not thread-safe.
class Reporter {
 public:
  /// More errors than this tell nobody anything; the rest are only counted.
  static constexpr std::size_t kMaxErrors = 200;

  void error(const Place& place, std::string_view text, std::string_view hint = {}) {
    add(LogLevel::emerg, place, text, hint);
  }
  void warning(const Place& place, std::string_view text, std::string_view hint = {}) {
    add(LogLevel::warn, place, text, hint);
  }
  void notice(const Place& place, std::string_view text, std::string_view hint = {}) {
    add(LogLevel::notice, place, text, hint);
  }
  [[nodiscard]] std::size_t error_count() const noexcept { return errors_; }
  /// All messages in the order of the text. Leaves the reporter empty.
  [[nodiscard]] std::vector<Diagnostic> take();

 private:
  struct Entry {
    std::uint32_t order;
    std::size_t number;  ///< of arrival, for messages about the same statement
    Diagnostic diagnostic;
  };
  void add(LogLevel level, const Place& place, std::string_view text, std::string_view hint);

  std::vector<Entry> entries_;
  std::size_t errors_ = 0;
};

/// The candidate that a misspelt word most likely means, or "" when none is close.
[[nodiscard]] std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

/// `did you mean "x"?`, or "" when nothing is near.
[[nodiscard]] std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace gatehouse::config
