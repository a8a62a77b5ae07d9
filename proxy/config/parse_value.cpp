#include "proxy/config/parse_value.hpp"

#include <array>
#include <limits>

namespace gatehouse::config {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t milliseconds;
};
// Largest first: a time may name each unit once, in this order.
constexpr std::array<Unit, 8> kUnits{{{"y", 31536000000},
                                      {"M", 2592000000},
                                      {"w", 604800000},
                                      {"d", 86400000},
                                      {"h", 3600000},
                                      {"m", 60000},
                                      {"s", 1000},
                                      {"ms", 1}}};
constexpr std::uint64_t kMaxTime = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());

bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

std::optional<std::uint64_t> parse_number(std::string_view text) {
  if (text.empty()) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text) {
    if (!is_digit(c)) return std::nullopt;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (value > (kMaxTime - digit) / 10) return std::nullopt;
    value = value * 10 + digit;
  }
  return value;
}

std::optional<ByteCount> parse_size(std::string_view text, Gigabytes gigabytes) {
  if (text.empty()) return std::nullopt;
  ByteCount scale = 1;
  switch (text.back()) {
    case 'k':
    case 'K': scale = kKiB; break;
    case 'm':
    case 'M': scale = kMiB; break;
    case 'g':
    case 'G':
      if (gigabytes == Gigabytes::refused) return std::nullopt;
      scale = 1024 * kMiB;
      break;
    default: break;
  }
  if (scale > 1) text.remove_suffix(1);
  const auto number = parse_number(text);
  if (!number || *number > kMaxTime / scale) return std::nullopt;
  return *number * scale;
}

std::optional<Milliseconds> parse_time(std::string_view text, TimeUnit unit) {
  if (text.empty()) return std::nullopt;
  std::uint64_t total = 0;
  std::size_t next_unit = 0;
  while (!text.empty()) {
    std::size_t digits = 0;
    while (digits < text.size() && is_digit(text[digits])) ++digits;
    const auto number = parse_number(text.substr(0, digits));
    if (!number) return std::nullopt;
    text.remove_prefix(digits);
    std::uint64_t scale = 1000;
    if (text.empty() || text.front() == ' ') {
      if (next_unit > 7) return std::nullopt;
      next_unit = kUnits.size();
    } else {
      std::size_t i = next_unit;
      const bool ms = text.starts_with("ms");
      while (i < kUnits.size() && !(ms ? kUnits[i].name == "ms" : kUnits[i].name[0] == text.front())) ++i;
      if (i == kUnits.size() || (ms && unit == TimeUnit::seconds)) return std::nullopt;
      scale = kUnits[i].milliseconds;
      text.remove_prefix(kUnits[i].name.size());
      next_unit = i + 1;
    }
    if (*number > (kMaxTime - total) / scale) return std::nullopt;
    total += *number * scale;
    while (text.starts_with(' ')) text.remove_prefix(1);
  }
  return Milliseconds(static_cast<std::int64_t>(total));
}

std::optional<std::uint64_t> parse_request_rate(std::string_view text) {
  std::uint64_t scale = 1000;
  if (text.ends_with("r/m")) {
    scale = 60;
  } else if (!text.ends_with("r/s")) {
    return std::nullopt;
  }
  const auto number = parse_number(text.substr(0, text.size() - 3));
  if (!number || *number == 0 || *number > kMaxTime / 1000) return std::nullopt;
  return scale == 60 ? *number * 1000 / 60 : *number * 1000;
}

std::string format_time(Milliseconds value) {
  auto rest = static_cast<std::uint64_t>(value.count());
  if (rest == 0) return "0";
  std::string text;
  for (const auto& unit : kUnits) {
    if (unit.name == "y" || unit.name == "M" || unit.name == "w") continue;
    if (rest >= unit.milliseconds) {
      text += std::to_string(rest / unit.milliseconds);
      text += unit.name;
      rest %= unit.milliseconds;
    }
  }
  return text;
}

std::string format_size(ByteCount value) {
  if (value != 0 && value % kMiB == 0) return std::to_string(value / kMiB) + "m";
  if (value != 0 && value % kKiB == 0) return std::to_string(value / kKiB) + "k";
  return std::to_string(value);
}

}  // namespace gatehouse::config
