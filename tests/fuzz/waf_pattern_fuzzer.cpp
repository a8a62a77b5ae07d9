// Any text as a pattern and a subject: where PCRE2 takes and matches it, the translation must match too.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <re2/re2.h>

#include "waf/fastpath/exact_pattern.hpp"
#include "waf/fastpath/pattern_translation.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gatehouse::waf::fastpath;
  // The pattern ends at the first newline, as a rule's would; PCRE2's time grows with both.
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t line = text.find('\n');
  if (line == std::string_view::npos || line > 200 || size > 400) return 0;
  const std::string pattern(text.substr(0, line));
  if (pattern.find('\0') != std::string::npos) return 0;
  const std::string_view subject = text.substr(line + 1);
  const Translation translation = translate(pattern);
  const ExactPattern exact(pattern);
  if (!translation.tree || !exact.valid()) return 0;
  ExactScratch scratch;
  if (!exact.matches(subject, scratch)) return 0;
  re2::RE2::Options options;
  options.set_encoding(re2::RE2::Options::EncodingLatin1);
  options.set_log_errors(false);
  const re2::RE2 re2(translation.re2, options);
  if (!re2::RE2::PartialMatch(re2::StringPiece(subject.data(), subject.size()), re2)) std::abort();
  return 0;
}
