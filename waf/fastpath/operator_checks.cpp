#include "waf/fastpath/operator_checks.hpp"

#include <algorithm>
#include <array>
#include <climits>
#include <cstdint>
#include <cstring>

#include "waf/fastpath/operators.hpp"
#include "waf/fastpath/transformation_steps.hpp"

// Exported by libmodsecurity without a header: libinjection 3.9.2, stateless.
extern "C" {
int libinjection_sqli(const char* text, std::size_t length, char fingerprint[]);
int libinjection_xss(const char* text, std::size_t length);
}

namespace gatehouse::waf::fastpath {
namespace {

bool is_letter(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return steps::is_lower(byte) || steps::is_upper(byte);
}

/// An integer as strtoll(text, nullptr, 10) reads it; `digits` says whether there was one.
long long leading_number(std::string_view text, bool& digits, bool& overflow) {
  std::size_t i = 0;
  while (i < text.size() && steps::is_space(static_cast<unsigned char>(text[i]))) ++i;
  const bool negative = i < text.size() && text[i] == '-';
  if (i < text.size() && (text[i] == '-' || text[i] == '+')) ++i;
  const auto limit = static_cast<std::uint64_t>(LLONG_MAX) + (negative ? 1 : 0);
  std::uint64_t value = 0;
  digits = overflow = false;
  for (; i < text.size() && steps::is_digit(static_cast<unsigned char>(text[i])); ++i) {
    const auto digit = static_cast<std::uint64_t>(text[i] - '0');
    digits = true;
    overflow = overflow || value > (limit - digit) / 10;
    if (!overflow) value = value * 10 + digit;
  }
  if (overflow) return negative ? LLONG_MIN : LLONG_MAX;
  return negative ? static_cast<long long>(0 - value) : static_cast<long long>(value);
}

/// Calls `ask` with the text followed by a NUL, as the library's std::string has it: libinjection looks one byte ahead.
template <class Ask>
int with_terminator(std::string_view text, Ask ask) {
  std::array<char, 2048> buffer;
  if (text.size() >= buffer.size()) return ask(std::string(text).c_str());
  std::memcpy(buffer.data(), text.data(), text.size());
  buffer[text.size()] = '\0';
  return ask(buffer.data());
}

/// std::stoi: nothing where it throws.
std::optional<int> stoi(std::string_view text) {
  bool digits = false;
  bool overflow = false;
  const long long value = leading_number(text, digits, overflow);
  if (!digits || overflow || value < INT_MIN || value > INT_MAX) return std::nullopt;
  return static_cast<int>(value);
}

}  // namespace

int library_stoi(std::string_view text) noexcept { return stoi(text).value_or(0); }

long long library_atoll(std::string_view text) noexcept {
  bool digits = false;
  bool overflow = false;
  return leading_number(text, digits, overflow);
}

bool contains_word(std::string_view word, std::string_view text) {
  if (word.empty()) return true;
  if (text.empty()) return false;
  if (text == word) return true;
  // There must be a character, and it must not be a letter.
  const auto free_at = [&](std::size_t at) { return at < text.size() && !is_letter(text[at]); };
  for (std::size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
    const bool at_start = at == 0;
    const bool at_end = at + word.size() == text.size();
    const bool free_before = !at_start && free_at(at - 1);
    const bool free_after = free_at(at + word.size());
    if ((at_start && free_after) || (at_end && free_before) || (free_before && free_after)) return true;
  }
  return false;
}

bool invalid_url_encoding(std::string_view text) {
  const steps::Input in(text);
  for (std::size_t i = 0; i < in.size; ++i) {
    if (in.bytes[i] != '%') continue;
    if (i + 2 >= in.size || !steps::is_hex(in.bytes[i + 1]) || !steps::is_hex(in.bytes[i + 2])) return true;
    i += 2;
  }
  return false;
}

bool invalid_utf8(std::string_view text) {
  static constexpr std::array<std::uint32_t, 5> smallest{0, 0, 0x80, 0x800, 0x10000};
  const steps::Input in(text);
  for (std::size_t i = 0; i < in.size;) {
    const unsigned char c = in.bytes[i];
    if (c < 0x80) {
      ++i;
      continue;
    }
    if (c < 0xc0 || c >= 0xf5) return true;
    const std::size_t length = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    std::uint32_t code = c & (0x7fu >> length);
    for (std::size_t k = 1; k < length; ++k) {
      if (i + k >= in.size || (in.bytes[i + k] & 0xc0) != 0x80) return true;
      code = code << 6 | (in.bytes[i + k] & 0x3fu);
    }
    if ((code >= 0xd800 && code <= 0xdfff) || code < smallest[length]) return true;
    i += length;
  }
  return false;
}

std::optional<ByteRange> ByteRange::parse(const std::string& parameter) {
  ByteRange range;
  const std::string_view text = parameter;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t comma = std::min(text.find(',', begin), text.size());
    const std::string_view part = text.substr(begin, comma - begin);
    begin = comma + 1;
    const std::size_t dash = part.find('-');
    const std::optional<int> first = stoi(part.substr(0, dash));
    if (!first) continue;
    if (dash == std::string_view::npos) {
      if (*first < 0 || *first > 255) return std::nullopt;
      range.allowed_.set(static_cast<std::size_t>(*first));
      continue;
    }
    const std::optional<int> last = stoi(part.substr(dash + 1));
    if (!last || *first < 0 || *last > 255 || *first > *last) continue;
    for (int c = *first; c <= *last; ++c) range.allowed_.set(static_cast<std::size_t>(c));
  }
  return range;
}

bool ByteRange::violated_by(std::string_view text) const noexcept {
  return std::ranges::any_of(text, [&](char c) { return !allowed_.test(static_cast<unsigned char>(c)); });
}

bool proven_not_sqli(std::string_view value, ByteClasses classes) noexcept {
  using enum ByteClasses;
  if (value.empty()) return true;
  constexpr ByteClasses word = lower | upper | digit | underscore | non_empty | always;
  const bool starts_with_digit = steps::is_digit(static_cast<unsigned char>(value.front()));
  if (!starts_with_digit) return contains(word, classes);
  // Digits with at most one point are one number; 0x and 0b need a letter, exponents and suffixes too.
  constexpr ByteClasses number = digit | dot | dot_ends_segment | non_empty | always;
  return contains(number, classes) && value.find('.') == value.rfind('.');
}

bool proven_not_xss(std::string_view value, ByteClasses classes) noexcept {
  if (!intersects(classes, ByteClasses::other)) return true;
  return value.find('<') == std::string_view::npos && value.find('=') == std::string_view::npos;
}

bool detect_sqli(std::string_view value, ByteClasses classes) {
  if (proven_not_sqli(value, classes)) return false;
  std::array<char, 16> fingerprint{};
  return with_terminator(
             value, [&](const char* text) { return libinjection_sqli(text, value.size(), fingerprint.data()); }) != 0;
}

bool detect_xss(std::string_view value, ByteClasses classes) {
  if (proven_not_xss(value, classes)) return false;
  return with_terminator(value, [&](const char* text) { return libinjection_xss(text, value.size()); }) != 0;
}

}  // namespace gatehouse::waf::fastpath
