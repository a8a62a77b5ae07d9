#include "proxy/http/date.hpp"

#include "proxy/http/chars.hpp"

namespace gatehouse::http {
namespace {

constexpr std::array<std::string_view, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<std::string_view, 7> kLongDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                       "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::int64_t kDaySeconds = 86400;
constexpr std::int64_t kFirstSecond = -62167219200;  // 0000-01-01T00:00:00Z
constexpr std::int64_t kLastSecond = 253402300799;   // 9999-12-31T23:59:59Z

struct Civil {
  int year = 0;
  unsigned month = 1;  // 1..12
  unsigned day = 1;
  unsigned weekday = 0;  // 0: Sunday
  unsigned hour = 0;
  unsigned minute = 0;
  unsigned second = 0;
};

Civil civil_of(std::int64_t seconds) noexcept {
  if (seconds < kFirstSecond) seconds = kFirstSecond;
  if (seconds > kLastSecond) seconds = kLastSecond;
  const auto instant = std::chrono::sys_seconds(std::chrono::seconds(seconds));
  const auto midnight = std::chrono::floor<std::chrono::days>(instant);
  const std::chrono::year_month_day date(midnight);
  const auto in_day = static_cast<unsigned>((instant - midnight).count());
  Civil civil;
  civil.year = static_cast<int>(date.year());
  civil.month = static_cast<unsigned>(date.month());
  civil.day = static_cast<unsigned>(date.day());
  civil.weekday = std::chrono::weekday(midnight).c_encoding();
  civil.hour = in_day / 3600;
  civil.minute = in_day / 60 % 60;
  civil.second = in_day % 60;
  return civil;
}

// Writes into one of the fixed buffers.
struct Writer {
  char* p;

  void put(char c) noexcept { *p++ = c; }
  void put(std::string_view text) noexcept {
    for (const char c : text) *p++ = c;
  }
  void two(unsigned n) noexcept {
    put(static_cast<char>('0' + n / 10 % 10));
    put(static_cast<char>('0' + n % 10));
  }
  void four(int n) noexcept {
    two(static_cast<unsigned>(n) / 100);
    two(static_cast<unsigned>(n) % 100);
  }
  void time(const Civil& t) noexcept {
    two(t.hour);
    put(':');
    two(t.minute);
    put(':');
    two(t.second);
  }
  void zone(std::chrono::minutes offset, std::string_view separator) noexcept {
    put(offset.count() < 0 ? '-' : '+');
    const auto minutes = static_cast<unsigned>(offset.count() < 0 ? -offset.count() : offset.count());
    two(minutes / 60);
    put(separator);
    two(minutes % 60);
  }
};

// Reads an HTTP-date from the left; every method is false if the text does not go on as asked.
struct Reader {
  std::string_view text;

  bool literal(std::string_view wanted) noexcept {
    if (!text.starts_with(wanted)) return false;
    text.remove_prefix(wanted.size());
    return true;
  }
  bool number(std::size_t digits, unsigned& out) noexcept {
    if (text.size() < digits) return false;
    out = 0;
    for (std::size_t i = 0; i < digits; ++i) {
      if (!is_digit(text[i])) return false;
      out = out * 10 + static_cast<unsigned>(text[i] - '0');
    }
    text.remove_prefix(digits);
    return true;
  }
  template <std::size_t N>
  bool one_of(const std::array<std::string_view, N>& words, unsigned& index) noexcept {
    for (index = 0; index < N; ++index) {
      if (literal(words[index])) return true;
    }
    return false;
  }
  bool time(Civil& t) noexcept {
    return number(2, t.hour) && literal(":") && number(2, t.minute) && literal(":") && number(2, t.second);
  }
};

// "Sun, 06 Nov 1994 08:49:37 GMT"
bool read_imf(Reader in, Civil& t) noexcept {
  unsigned month = 0;
  unsigned year = 0;
  if (!in.one_of(kDays, t.weekday) || !in.literal(", ") || !in.number(2, t.day) || !in.literal(" ")) return false;
  if (!in.one_of(kMonths, month) || !in.literal(" ") || !in.number(4, year) || !in.literal(" ")) return false;
  t.month = month + 1;
  t.year = static_cast<int>(year);
  return in.time(t) && in.text == " GMT";
}

// "Sunday, 06-Nov-94 08:49:37 GMT"; two-digit years below 70 are of this century, as in nginx.
bool read_rfc850(Reader in, Civil& t) noexcept {
  unsigned month = 0;
  unsigned year = 0;
  if (!in.one_of(kLongDays, t.weekday) || !in.literal(", ") || !in.number(2, t.day) || !in.literal("-")) return false;
  if (!in.one_of(kMonths, month) || !in.literal("-") || !in.number(2, year) || !in.literal(" ")) return false;
  t.month = month + 1;
  t.year = static_cast<int>(year + (year < 70 ? 2000 : 1900));
  return in.time(t) && in.text == " GMT";
}

// "Sun Nov  6 08:49:37 1994"
bool read_asctime(Reader in, Civil& t) noexcept {
  unsigned month = 0;
  unsigned year = 0;
  if (!in.one_of(kDays, t.weekday) || !in.literal(" ") || !in.one_of(kMonths, month) || !in.literal(" ")) return false;
  if (!(in.literal(" ") ? in.number(1, t.day) : in.number(2, t.day)) || !in.literal(" ")) return false;
  if (!in.time(t) || !in.literal(" ") || !in.number(4, year)) return false;
  t.month = month + 1;
  t.year = static_cast<int>(year);
  return in.text.empty();
}

}  // namespace

ImfDate format_imf_date(std::time_t seconds) noexcept {
  const Civil t = civil_of(seconds);
  ImfDate text{};
  Writer out{text.data()};
  out.put(kDays[t.weekday]);
  out.put(", ");
  out.two(t.day);
  out.put(' ');
  out.put(kMonths[t.month - 1]);
  out.put(' ');
  out.four(t.year);
  out.put(' ');
  out.time(t);
  out.put(" GMT");
  return text;
}

std::string format_cookie_date(std::time_t seconds) {
  constexpr std::time_t kEndOf2037 = 2145916800;
  const ImfDate date = format_imf_date(seconds);
  std::string text(view(date));
  text[7] = text[11] = '-';
  if (seconds < kEndOf2037) text.erase(12, 2);
  return text;
}

ClfTime format_clf_time(std::time_t seconds, std::chrono::minutes offset) noexcept {
  const Civil t = civil_of(seconds + std::chrono::seconds(offset).count());
  ClfTime text{};
  Writer out{text.data()};
  out.two(t.day);
  out.put('/');
  out.put(kMonths[t.month - 1]);
  out.put('/');
  out.four(t.year);
  out.put(':');
  out.time(t);
  out.put(' ');
  out.zone(offset, "");
  return text;
}

Iso8601Time format_iso8601(std::time_t seconds, std::chrono::minutes offset) noexcept {
  const Civil t = civil_of(seconds + std::chrono::seconds(offset).count());
  Iso8601Time text{};
  Writer out{text.data()};
  out.four(t.year);
  out.put('-');
  out.two(t.month);
  out.put('-');
  out.two(t.day);
  out.put('T');
  out.time(t);
  out.zone(offset, ":");
  return text;
}

std::optional<std::time_t> parse_http_date(std::string_view text) noexcept {
  Civil t;
  if (!read_imf({text}, t) && !read_rfc850({text}, t) && !read_asctime({text}, t)) return std::nullopt;
  const std::chrono::year_month_day date(std::chrono::year(t.year), std::chrono::month(t.month),
                                         std::chrono::day(t.day));
  if (!date.ok() || t.hour > 23 || t.minute > 59 || t.second > 60) return std::nullopt;  // 60: a leap second
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return static_cast<std::time_t>(days * kDaySeconds + std::int64_t{t.hour} * 3600 + std::int64_t{t.minute} * 60 +
                                  t.second);
}

}  // namespace gatehouse::http
