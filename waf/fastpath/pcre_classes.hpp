// The byte classes of PCRE2's built-in tables (locale "C").
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "waf/fastpath/pcre_syntax.hpp"

namespace gatehouse::waf::fastpath::pcre {

enum class ClassName : std::uint8_t { digit, word, space, horizontal, vertical };

/// \d \w \s \h \v.
[[nodiscard]] ByteSet named_class(ClassName name);

/// The class an escape letter stands for: d D w W s S h H v V; nothing for others.
[[nodiscard]] std::optional<ByteSet> escaped_class(unsigned char letter);

/// "alpha" of [:alpha:]; under caselessness upper and lower mean alpha. Nothing for an unknown name.
[[nodiscard]] std::optional<ByteSet> posix_class(std::string_view name, bool caseless);

/// Adds the other case of every ASCII letter.
[[nodiscard]] ByteSet fold_case(const ByteSet& bytes);

/// Value of a hexadecimal digit, -1 for anything else.
[[nodiscard]] int hex_value(unsigned char c) noexcept;

}  // namespace gatehouse::waf::fastpath::pcre
