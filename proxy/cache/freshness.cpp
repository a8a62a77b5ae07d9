#include "proxy/cache/freshness.hpp"

#include <algorithm>
#include <limits>
#include <optional>

#include "proxy/http/chars.hpp"
#include "proxy/http/date.hpp"

namespace gatehouse::cache {
namespace {

// More than any clock will reach, and far from an overflow when it is added to one.
constexpr Seconds kMostSeconds = std::numeric_limits<std::int64_t>::max() / 4;

// nginx looks for directives anywhere in the value, not only at their beginning.
std::size_t find_word(std::string_view text, std::string_view word) noexcept {
  for (std::size_t at = 0; at + word.size() <= text.size(); ++at) {
    if (http::iequals(text.substr(at, word.size()), word)) return at;
  }
  return std::string_view::npos;
}

struct Number {
  bool found = false;
  bool valid = true;
  Seconds value = 0;
};

// The digits behind `name`, up to a comma, a semicolon or a blank.
Number number_behind(std::string_view text, std::string_view name) noexcept {
  Number number;
  const std::size_t at = find_word(text, name);
  if (at == std::string_view::npos) return number;
  number.found = true;
  for (const char c : text.substr(at + name.size())) {
    if (c == ',' || c == ';' || c == ' ') break;
    if (c < '0' || c > '9') {
      number.valid = false;
      break;
    }
    number.value = std::min(number.value * 10 + (c - '0'), kMostSeconds / 16);
  }
  return number;
}

std::optional<Seconds> parse_seconds(std::string_view text) noexcept {
  if (text.empty()) return std::nullopt;
  Seconds value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9' || value > kMostSeconds / 16) return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

}  // namespace

void judge_cache_control(std::string_view value, Seconds now, Freshness& result, bool& refused) {
  for (const std::string_view word : {"no-cache", "no-store", "private"}) {
    if (find_word(value, word) != std::string_view::npos) {
      refused = true;
      return;
    }
  }
  Number age = number_behind(value, "s-maxage=");
  if (!age.found) age = number_behind(value, "max-age=");
  if (age.found) {
    if (!age.valid) {
      result.storable = false;
      return;
    }
    if (age.value == 0) {
      refused = true;
      return;
    }
    result.valid_until = now + age.value;
  }
  if (const Number updating = number_behind(value, "stale-while-revalidate="); updating.found) {
    if (!updating.valid) {
      result.storable = false;
      return;
    }
    result.stale_while_updating = result.stale_if_error = updating.value;
  }
  if (const Number error = number_behind(value, "stale-if-error="); error.found) {
    if (!error.valid) {
      result.storable = false;
      return;
    }
    result.stale_if_error = error.value;
  }
}

Freshness judge(const http::Fields& response, IgnoredFields ignored, Seconds now) {
  Freshness result;
  bool refused = false;  // by a field that X-Accel-Expires would have overruled
  bool decided = false;
  if (const auto expires = response.value(http::FieldId::x_accel_expires); expires && !ignored.accel_expires) {
    if (expires->starts_with('@')) {
      if (const auto instant = parse_seconds(expires->substr(1))) {
        result.valid_until = *instant;
        decided = true;
      }
    } else if (const auto seconds = parse_seconds(*expires)) {
      if (*seconds == 0) {
        result.storable = false;
      } else {
        result.valid_until = now + *seconds;
        decided = true;
      }
    }
  }
  if (!decided && !ignored.cache_control && response.contains(http::FieldId::cache_control)) {
    for (const auto& field : response) {
      if (field.id == http::FieldId::cache_control) judge_cache_control(field.value, now, result, refused);
    }
  }
  if (result.valid_until == 0 && !ignored.expires) {
    if (const auto expires = response.value(http::FieldId::expires)) {
      const auto instant = http::parse_http_date(*expires);
      if (!instant || *instant < now) {
        refused = true;
      } else {
        result.valid_until = *instant;
      }
    }
  }
  if (refused) result.storable = false;
  if (!ignored.set_cookie && response.contains(http::FieldId::set_cookie)) result.storable = false;
  if (const std::string vary = vary_of(response, ignored); vary.size() > kLongestVary) {
    result.storable = false;
  } else if (!http::for_each_element(vary, [](std::string_view member) { return member != "*"; })) {
    result.storable = false;
  }
  return result;
}

std::string vary_of(const http::Fields& response, IgnoredFields ignored) {
  std::string vary;
  if (ignored.vary || !response.contains(http::FieldId::vary)) return vary;
  for (const auto& field : response) {
    if (field.id != http::FieldId::vary || field.value.empty()) continue;
    if (!vary.empty()) vary += ", ";
    vary += field.value;
  }
  return vary;
}

Seconds valid_seconds(std::span<const ValidRule> rules, int status) noexcept {
  const auto found = std::find_if(rules.begin(), rules.end(),
                                  [&](const ValidRule& rule) { return rule.status == 0 || rule.status == status; });
  return found == rules.end() ? 0 : found->seconds;
}

}  // namespace gatehouse::cache
