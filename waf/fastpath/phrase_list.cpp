#include "waf/fastpath/phrase_list.hpp"

#include <algorithm>

#include <re2/re2.h>

#include "proxy/base/ascii.hpp"
#include "waf/fastpath/pattern_translation.hpp"

namespace gatehouse::waf::fastpath {
namespace {

/// Below, looking for each phrase in turn costs less than RE2's start.
constexpr std::size_t shortest_long_text = 256;

std::unique_ptr<const re2::RE2> automaton(const std::vector<std::string>& phrases) {
  std::string any;
  for (const std::string& phrase : phrases) {
    if (!any.empty()) any += '|';
    any += phrase_pattern(phrase, true);
  }
  re2::RE2::Options options;
  options.set_encoding(re2::RE2::Options::EncodingLatin1);
  options.set_log_errors(false);
  options.set_never_capture(true);
  auto compiled = std::make_unique<const re2::RE2>(any, options);
  return compiled->ok() ? std::move(compiled) : nullptr;
}

}  // namespace

PhraseList::PhraseList() = default;
PhraseList::PhraseList(PhraseList&&) noexcept = default;
PhraseList& PhraseList::operator=(PhraseList&&) noexcept = default;
PhraseList::~PhraseList() = default;

PhraseList::PhraseList(const std::vector<std::string>& phrases, bool long_texts) {
  for (const std::string& phrase : phrases) phrases_.push_back(lower_case(phrase));
  const bool none_empty = std::ranges::none_of(phrases_, [](const std::string& phrase) { return phrase.empty(); });
  if (long_texts && none_empty && !phrases_.empty()) automaton_ = automaton(phrases_);
}

bool PhraseList::occurs_in(std::string_view text, std::string& lowered) const {
  // Out of memory for its states, RE2 goes on with a slower search: the answer is exact.
  if (automaton_ && text.size() >= shortest_long_text) {
    return re2::RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), *automaton_);
  }
  lowered.resize(text.size());
  std::ranges::transform(text, lowered.begin(), to_lower);
  return std::ranges::any_of(phrases_,
                             [&](const std::string& phrase) { return lowered.find(phrase) != std::string::npos; });
}

}  // namespace gatehouse::waf::fastpath
