// The phrases of one @pm or @pmFromFile, and whether a text has one of them.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace re2 {
class RE2;
}

namespace gatehouse::waf::fastpath {

/// Searches without regard to case, as the library's automaton does. Immutable, shared by threads.
class PhraseList {
 public:
  PhraseList();
  PhraseList(PhraseList&&) noexcept;
  PhraseList& operator=(PhraseList&&) noexcept;
  ~PhraseList();

  /// `long_texts`: bodies are searched, so that one automaton for all phrases pays; it takes some 100 KB and a lock.
  explicit PhraseList(const std::vector<std::string>& phrases, bool long_texts = false);

  /// Whether one of the phrases occurs. `lowered` is room for the text in lower case.
  [[nodiscard]] bool occurs_in(std::string_view text, std::string& lowered) const;

  /// In lower case.
  [[nodiscard]] const std::vector<std::string>& phrases() const noexcept { return phrases_; }

 private:
  std::vector<std::string> phrases_;
  std::unique_ptr<const re2::RE2> automaton_;
};

}  // namespace gatehouse::waf::fastpath
