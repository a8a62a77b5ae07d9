#include "proxy/config/reporter.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include <fmt/format.h>

namespace gatehouse::config {
namespace {

// The text of line `number`, cut to what fits a terminal around `column`; tabs become spaces so that the caret stands
// right.
struct Shown {
  std::string line;
  std::size_t caret;
};

Shown shown_line(std::string_view text, std::uint32_t number, std::uint32_t column) {
  for (std::uint32_t i = 1; i < number; ++i) {
    const auto end = text.find('\n');
    if (end == std::string_view::npos) return {};
    text.remove_prefix(end + 1);
  }
  text = text.substr(0, text.find('\n'));
  if (text.ends_with('\r')) text.remove_suffix(1);
  std::size_t caret = column > 0 ? column - 1 : 0;
  constexpr std::size_t kWidth = 120;
  if (caret > kWidth - 20) {
    const auto cut = std::min(caret - 40, text.size());
    text.remove_prefix(cut);
    caret -= cut;
  }
  std::string line(text.substr(0, kWidth));
  // A configuration may hold anything; a message about it must not drive the terminal.
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return {std::move(line), std::min<std::size_t>(caret, kWidth)};
}

}  // namespace

void Reporter::add(LogLevel level, const Place& place, std::string_view text, std::string_view hint) {
  if (level >= LogLevel::error && ++errors_ > kMaxErrors) return;
  Diagnostic diagnostic{level, std::string(text), {}};
  for (char& c : diagnostic.text) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  if (place.file != nullptr) {
    if (place.line > 0) diagnostic.text += fmt::format(" in {}:{}", place.file->path, place.line);
    if (place.shown_line > 0) {
      const auto shown = shown_line(place.file->text, place.shown_line, place.column);
      diagnostic.excerpt = fmt::format("  at {}:{}:{}\n{:5} | {}\n      | {:>{}}", place.file->path, place.shown_line,
                                       place.column, place.shown_line, shown.line, "^", shown.caret + 1);
    }
  }
  if (!hint.empty()) {
    diagnostic.excerpt += diagnostic.excerpt.empty() ? "" : " ";
    diagnostic.excerpt += hint;
  }
  entries_.push_back({place.order, entries_.size(), std::move(diagnostic)});
}

std::vector<Diagnostic> Reporter::take() {
  std::ranges::sort(entries_, {}, [](const Entry& entry) { return std::pair(entry.order, entry.number); });
  std::vector<Diagnostic> result;
  result.reserve(entries_.size() + 1);
  for (auto& entry : entries_) result.push_back(std::move(entry.diagnostic));
  if (errors_ > kMaxErrors) {
    result.push_back({LogLevel::emerg, fmt::format("{} more errors are not shown", errors_ - kMaxErrors), {}});
  }
  entries_.clear();
  errors_ = 0;
  return result;
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates) {
  if (word.size() > 64) return {};
  std::size_t best = std::max<std::size_t>(1, word.size() / 3) + 1;
  std::string_view found;
  std::vector<std::size_t> above2, above, row;
  for (const auto candidate : candidates) {
    const auto gap = candidate.size() > word.size() ? candidate.size() - word.size() : word.size() - candidate.size();
    if (gap >= best) continue;
    // Edit distance where swapping two neighbours counts as one edit (optimal string alignment).
    above.resize(candidate.size() + 1);
    std::iota(above.begin(), above.end(), std::size_t{0});
    above2 = row = above;
    for (std::size_t i = 1; i <= word.size(); ++i) {
      row[0] = i;
      for (std::size_t j = 1; j <= candidate.size(); ++j) {
        const std::size_t cost = word[i - 1] == candidate[j - 1] ? 0 : 1;
        row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + cost});
        if (i > 1 && j > 1 && word[i - 1] == candidate[j - 2] && word[i - 2] == candidate[j - 1]) {
          row[j] = std::min(row[j], above2[j - 2] + 1);
        }
      }
      above2 = above;
      above = row;
    }
    if (above.back() < best) {
      best = above.back();
      found = candidate;
    }
  }
  return found;
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates) {
  const auto found = nearest(word, candidates);
  return found.empty() ? std::string{} : fmt::format("did you mean \"{}\"?", found);
}

}  // namespace gatehouse::config
