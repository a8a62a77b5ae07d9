// Formatting of instants for header fields and logs: plain arithmetic, no locale, no time zone database.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>

namespace gatehouse::http {

inline constexpr std::size_t kImfDateSize = 29;
inline constexpr std::size_t kClfTimeSize = 26;
inline constexpr std::size_t kIso8601Size = 25;

using ImfDate = std::array<char, kImfDateSize>;
using ClfTime = std::array<char, kClfTimeSize>;
using Iso8601Time = std::array<char, kIso8601Size>;

// All take seconds since 1970-01-01T00:00:00Z, for the years 0 to 9999. `offset` is the local zone's, east positive.

/// "Fri, 20 Nov 2026 11:00:00 GMT", RFC 9110 section 5.6.7.
[[nodiscard]] ImfDate format_imf_date(std::time_t seconds) noexcept;

/// What `expires=max` of a cookie says: 31 December 2037, as nginx.
inline constexpr std::time_t kLastCookieDate = 2145916555;

/// "Fri, 20-Nov-26 11:00:00 GMT", as nginx writes the dates of cookies (RFC 850's form); years after 2037 have four digits.
[[nodiscard]] std::string format_cookie_date(std::time_t seconds);

/// "20/Nov/2026:11:00:00 +0000", nginx's $time_local.
[[nodiscard]] ClfTime format_clf_time(std::time_t seconds, std::chrono::minutes offset = {}) noexcept;

/// "2026-11-20T11:00:00+00:00", nginx's $time_iso8601.
[[nodiscard]] Iso8601Time format_iso8601(std::time_t seconds, std::chrono::minutes offset = {}) noexcept;

/// The instant of an HTTP-date in any of its three forms (RFC 9110 section 5.6.7); nothing if it is none.
[[nodiscard]] std::optional<std::time_t> parse_http_date(std::string_view text) noexcept;

template <std::size_t N>
[[nodiscard]] constexpr std::string_view view(const std::array<char, N>& text) noexcept {
  return {text.data(), N};
}

/// The Date field's value, formatted once a second. One per event thread; not thread-safe.
class DateCache {
 public:
  /// Valid until the next call with another second.
  [[nodiscard]] std::string_view imf(std::time_t seconds) noexcept {
    if (seconds != seconds_) {
      text_ = format_imf_date(seconds);
      seconds_ = seconds;
    }
    return view(text_);
  }

 private:
  std::time_t seconds_ = -1;
  ImfDate text_{};
};

}  // namespace gatehouse::http
