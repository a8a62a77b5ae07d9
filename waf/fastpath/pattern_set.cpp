#include "waf/fastpath/pattern_set.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <re2/re2.h>
#include <re2/set.h>

#include "waf/fastpath/pattern_translation.hpp"

namespace gatehouse::waf::fastpath {
namespace {

using enum ByteClasses;

// A value belongs to the first tier that allows all its bytes; the last one allows everything.
constexpr std::array<ByteClasses, PatternSet::tier_count - 1> tiers{
    lower | upper | digit | underscore | dash | dot,
    lower | upper | digit | underscore | dash | dot | slash | space | tab_or_line,
};
constexpr ByteClasses single_bytes = static_cast<ByteClasses>((1u << 23) - 1) & static_cast<ByteClasses>(~1u);
static_assert(other < edge_blank && static_cast<std::uint32_t>(edge_blank) == 1u << 23);

pcre::ByteSet alphabet_of(ByteClasses classes) {
  pcre::ByteSet bytes;
  for (unsigned c = 0; c < 256; ++c) bytes.set(c, intersects(byte_class(static_cast<unsigned char>(c)), classes));
  return bytes;
}

std::size_t tier_of(ByteClasses classes) noexcept {
  const ByteClasses bytes = classes & single_bytes;
  std::size_t tier = 0;
  while (tier < tiers.size() && !contains(tiers[tier], bytes)) ++tier;
  return tier;
}

re2::RE2::Options options(std::size_t memory) {
  re2::RE2::Options options;
  options.set_encoding(re2::RE2::Options::EncodingLatin1);
  options.set_log_errors(false);
  options.set_max_mem(static_cast<std::int64_t>(memory));
  return options;
}

re2::StringPiece piece(std::string_view text) {
  return text.data() == nullptr ? re2::StringPiece("", 0) : re2::StringPiece(text.data(), text.size());
}

}  // namespace

void PatternSet::add(CheckId check, std::string re2, const pcre::Node* tree) {
  Entry entry{check, {}};
  for (std::size_t tier = 0; tier < tiers.size(); ++tier) {
    entry.by_tier[tier] = tree == nullptr ? std::optional(re2) : restricted_pattern(*tree, alphabet_of(tiers[tier]));
  }
  entry.by_tier.back() = std::move(re2);
  entries_.push_back(std::move(entry));
}

ScanResult scan_result(bool found, bool failed) noexcept {
  if (found) return ScanResult::found;
  return failed ? ScanResult::unknown : ScanResult::clean;
}

struct Scanner::Automaton {
  explicit Automaton(std::size_t memory) : set(options(memory), re2::RE2::UNANCHORED) {}
  re2::RE2::Set set;
  std::vector<CheckId> checks;  ///< by RE2's index of the pattern
  bool usable = true;

  /// RE2 answers "no match" when it runs out of memory, and says so only in the error.
  [[nodiscard]] ScanResult run(std::string_view value, std::vector<int>* indices) const {
    if (!usable) return ScanResult::unknown;
    re2::RE2::Set::ErrorInfo error{re2::RE2::Set::kNoError};
    const bool found = set.Match(piece(value), indices, &error);
    return scan_result(found, error.kind != re2::RE2::Set::kNoError);
  }
};

Scanner::Scanner(const PatternSet& set) {
  for (std::size_t tier = 0; tier < PatternSet::tier_count; ++tier) {
    const bool everything = tier + 1 == PatternSet::tier_count;
    auto automaton = std::make_unique<Automaton>(set.memory() / (everything ? 2 : 4));
    for (const PatternSet::Entry& entry : set.entries()) {
      if (!entry.by_tier[tier]) continue;
      automaton->usable = automaton->usable && automaton->set.Add(*entry.by_tier[tier], nullptr) >= 0;
      automaton->checks.push_back(entry.check);
    }
    if (automaton->checks.empty()) continue;
    automaton->usable = automaton->usable && automaton->set.Compile();
    by_tier_[tier] = automaton.get();
    owned_.push_back(std::move(automaton));
  }
}

Scanner::~Scanner() = default;
Scanner::Scanner(Scanner&&) noexcept = default;
Scanner& Scanner::operator=(Scanner&&) noexcept = default;

const Scanner::Automaton* Scanner::automaton_for(ByteClasses classes) const noexcept {
  return by_tier_[tier_of(classes)];
}

bool Scanner::may_match(std::string_view value, ByteClasses classes) const {
  const Automaton* automaton = automaton_for(classes);
  return automaton != nullptr && automaton->run(value, nullptr) != ScanResult::clean;
}

ScanResult Scanner::scan(std::string_view value, ByteClasses classes, std::vector<CheckId>& checks) const {
  checks.clear();
  const Automaton* automaton = automaton_for(classes);
  if (automaton == nullptr) return ScanResult::clean;
  // The first pass stops at the first match and builds far fewer states than the one that must find them all.
  const ScanResult first = automaton->run(value, nullptr);
  if (first != ScanResult::found) return first;
  std::vector<int> indices;
  if (automaton->run(value, &indices) != ScanResult::found) return ScanResult::unknown;
  for (const int index : indices) checks.push_back(automaton->checks[static_cast<std::size_t>(index)]);
  std::ranges::sort(checks);
  checks.erase(std::unique(checks.begin(), checks.end()), checks.end());
  return ScanResult::found;
}

void Scanner::warm_up(std::span<const std::string_view> texts) const {
  for (const std::string_view text : texts) {
    for (const auto& automaton : owned_) static_cast<void>(automaton->run(text, nullptr));
  }
}

bool Scanner::usable() const noexcept {
  return std::ranges::all_of(owned_, [](const auto& automaton) { return automaton->usable; });
}

std::size_t Scanner::patterns_for(ByteClasses classes) const noexcept {
  const Automaton* automaton = automaton_for(classes);
  return automaton == nullptr ? 0 : automaton->checks.size();
}

}  // namespace gatehouse::waf::fastpath
