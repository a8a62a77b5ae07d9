// nginx's grammars of numbers, sizes and times. Pure; nothing throws.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/base/units.hpp"

namespace gatehouse::config {

/// Decimal digits only, no sign; nothing on overflow or other characters.
[[nodiscard]] std::optional<std::uint64_t> parse_number(std::string_view text);

/// Whether sizes may end in `g` (nginx: offsets, such as client_max_body_size) or only in `k` and `m` (buffer sizes).
enum class Gigabytes : std::uint8_t { refused, accepted };

/// `1024`, `8k`, `1M`, `2g`.
[[nodiscard]] std::optional<ByteCount> parse_size(std::string_view text, Gigabytes gigabytes = Gigabytes::refused);

/// The unit that a directive's times have: nginx refuses `ms` where it counts whole seconds.
enum class TimeUnit : std::uint8_t { milliseconds, seconds };

/// `30`, `1h30m`, `1d 12h`, `500ms`; a number without unit counts seconds. Units may only get smaller: y M w d h m s
/// ms.
[[nodiscard]] std::optional<Milliseconds> parse_time(std::string_view text, TimeUnit unit = TimeUnit::milliseconds);

/// `5r/s`, `30r/m` -> requests per 1000 seconds, nginx's unit of rates.
[[nodiscard]] std::optional<std::uint64_t> parse_request_rate(std::string_view text);

/// As the grammars above read it: `1h`, `500ms`, `8k`, `1m`.
[[nodiscard]] std::string format_time(Milliseconds value);
[[nodiscard]] std::string format_size(ByteCount value);

}  // namespace gatehouse::config
