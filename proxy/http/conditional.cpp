#include "proxy/http/conditional.hpp"

#include <algorithm>
#include <limits>

#include "proxy/http/date.hpp"

namespace gatehouse::http {
namespace {

std::string_view strong_part(std::string_view tag) noexcept { return tag.starts_with("W/") ? tag.substr(2) : tag; }

bool is_modified(const Fields& request, const Validators& validators, IfModifiedSince rule) noexcept {
  if (!validators.last_modified || rule == IfModifiedSince::off) return true;
  const auto since = parse_http_date(request.value(FieldId::if_modified_since).value_or(std::string_view{}));
  if (since && *since == *validators.last_modified) return false;
  return rule == IfModifiedSince::exact || !since || *since < *validators.last_modified;
}

void skip_spaces(std::string_view& text) noexcept {
  while (text.starts_with(' ')) text.remove_prefix(1);
}

// A number at the front; nothing if there is none or it is too large to be an offset.
std::optional<std::uint64_t> take_number(std::string_view& text) noexcept {
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  std::uint64_t value = 0;
  std::size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') {
    const auto digit = static_cast<std::uint64_t>(text[digits] - '0');
    if (value > (kMost - digit) / 10) return std::nullopt;
    value = value * 10 + digit;
    ++digits;
  }
  if (digits == 0) return std::nullopt;
  text.remove_prefix(digits);
  return value;
}

}  // namespace

bool tag_is_listed(std::string_view list, std::string_view etag, bool weak) noexcept {
  if (list == "*") return true;
  if (etag.empty()) return false;
  if (weak) etag = strong_part(etag);
  while (!list.empty()) {
    std::string_view candidate = list;
    if (weak) candidate = strong_part(candidate);
    if (candidate.starts_with(etag)) {
      candidate.remove_prefix(etag.size());
      while (!candidate.empty() && (candidate.front() == ' ' || candidate.front() == '\t')) candidate.remove_prefix(1);
      if (candidate.empty() || candidate.front() == ',') return true;
    }
    const std::size_t comma = list.find(',');
    if (comma == std::string_view::npos) break;
    list.remove_prefix(comma + 1);
    while (!list.empty() && (list.front() == ' ' || list.front() == '\t' || list.front() == ',')) list.remove_prefix(1);
  }
  return false;
}

Precondition check_preconditions(const Fields& request, const Validators& validators, IfModifiedSince rule) noexcept {
  if (const auto unmodified = request.value(FieldId::if_unmodified_since)) {
    const auto since = parse_http_date(*unmodified);
    if (!validators.last_modified || !since || *since < *validators.last_modified) return Precondition::failed;
  }
  if (const auto match = request.value(FieldId::if_match); match && !tag_is_listed(*match, validators.etag, false)) {
    return Precondition::failed;
  }
  const bool has_since = request.contains(FieldId::if_modified_since);
  const auto none_match = request.value(FieldId::if_none_match);
  if (!has_since && !none_match) return Precondition::proceed;
  if (has_since && is_modified(request, validators, rule)) return Precondition::proceed;
  if (none_match && !tag_is_listed(*none_match, validators.etag, true)) return Precondition::proceed;
  return Precondition::not_modified;
}

bool if_range_holds(const Fields& request, const Validators& validators) noexcept {
  const auto condition = request.value(FieldId::if_range);
  if (!condition) return true;
  if (condition->size() >= 2 && condition->ends_with('"')) return *condition == validators.etag;
  if (!validators.last_modified) return false;
  const auto since = parse_http_date(*condition);
  return since && *since == *validators.last_modified;
}

std::optional<ContentRange> parse_content_range(std::string_view value) noexcept {
  constexpr std::string_view kUnit = "bytes ";
  if (!value.starts_with(kUnit)) return std::nullopt;
  value.remove_prefix(kUnit.size());
  const auto take = [&value](char mark) {
    skip_spaces(value);
    if (!value.starts_with(mark)) return false;
    value.remove_prefix(1);
    skip_spaces(value);
    return true;
  };
  skip_spaces(value);
  const auto first = take_number(value);
  if (!first || !take('-')) return std::nullopt;
  const auto last = take_number(value);
  if (!last || *last < *first || !take('/')) return std::nullopt;
  ContentRange range{{*first, *last + 1}, std::nullopt};
  if (!take('*')) {
    range.total = take_number(value);
    if (!range.total) return std::nullopt;
  }
  skip_spaces(value);
  if (!value.empty()) return std::nullopt;
  return range;
}

RangePlan plan_ranges(std::string_view value, std::uint64_t size, std::uint64_t most) {
  RangePlan plan;
  constexpr std::string_view kUnit = "bytes=";
  const bool is_bytes = value.size() > kUnit.size() && std::equal(kUnit.begin(), kUnit.end(), value.begin(),
                                                                  [](char a, char b) { return a == (b | 0x20); });
  if (!is_bytes || most == 0) return plan;
  value.remove_prefix(kUnit.size());
  const RangePlan whole;
  const RangePlan unsatisfiable{RangePlan::Kind::unsatisfiable, {}};
  std::uint64_t total = 0;
  for (;;) {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    skip_spaces(value);
    if (!value.starts_with('-')) {
      const auto number = take_number(value);
      if (!number) return unsatisfiable;
      first = *number;
      skip_spaces(value);
      if (!value.starts_with('-')) return unsatisfiable;
      value.remove_prefix(1);
      skip_spaces(value);
      if (value.empty() || value.front() == ',') {
        last = size;
      } else {
        const auto end = take_number(value);
        if (!end) return unsatisfiable;
        last = std::min(*end, size == 0 ? 0 : size - 1) + 1;
        if (size == 0) last = 0;
      }
    } else {
      value.remove_prefix(1);
      const auto count = take_number(value);
      if (!count) return unsatisfiable;
      first = *count < size ? size - *count : 0;
      last = *count == 0 ? first : size;
    }
    skip_spaces(value);
    if (!value.empty() && value.front() != ',') return unsatisfiable;
    last = std::min(last, size);
    if (first < last) {
      if (plan.ranges.size() == most) return whole;
      plan.ranges.push_back({first, last});
      total += last - first;
    } else if (first == 0) {
      return whole;
    }
    if (value.empty()) break;
    value.remove_prefix(1);
  }
  if (plan.ranges.empty()) return unsatisfiable;
  if (total > size) return whole;
  plan.kind = RangePlan::Kind::partial;
  return plan;
}

}  // namespace gatehouse::http
