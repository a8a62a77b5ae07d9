// The single checks behind operators.hpp: pure functions over a value.
#pragma once

#include <bitset>
#include <optional>
#include <string>
#include <string_view>

namespace gatehouse::waf::fastpath {

/// @containsWord as 3.0.9 has it: a word ends where no ASCII letter stands, and never at the text's very start or end
/// unless the other side is free.
[[nodiscard]] bool contains_word(std::string_view word, std::string_view text);

/// @validateUrlEncoding: a `%` without two hexadecimal digits.
[[nodiscard]] bool invalid_url_encoding(std::string_view text);

/// @validateUtf8Encoding: broken, overlong, surrogate or beyond U+10FFFF.
[[nodiscard]] bool invalid_utf8(std::string_view text);

/// The bytes @validateByteRange allows.
class ByteRange {
 public:
  /// Parses "1-255,9,32"; a part that is no range is skipped, as in the library. Nothing for a single number outside
  /// 0-255, with which the library writes outside of its table.
  [[nodiscard]] static std::optional<ByteRange> parse(const std::string& parameter);

  [[nodiscard]] bool violated_by(std::string_view text) const noexcept;

 private:
  std::bitset<256> allowed_;
};

}  // namespace gatehouse::waf::fastpath
