#include "proxy/http/response_parser.hpp"

#include <algorithm>
#include <cstring>

#include "proxy/http/chars.hpp"
#include "proxy/http/field_line.hpp"

namespace gatehouse::http {

void ResponseParser::reset() noexcept {
  head_.fields.clear();
  head_.size = 0;
  base_ = nullptr;
  line_start_ = 0;
  scanned_ = 0;
  stage_ = Stage::status_line;
  reason_ = Reason::none;
}

ParseStatus ResponseParser::fail(Reason reason) noexcept {
  reason_ = reason;
  return ParseStatus::failed;
}

// "HTTP/1.1 200 OK"; the reason phrase and the space before it may be missing.
bool ResponseParser::take_status_line(std::string_view line) {
  constexpr std::string_view kPrefix = "HTTP/1.";
  if (line.size() < 12 || !line.starts_with(kPrefix) || !is_digit(line[7]) || line[8] != ' ') return false;
  if (!is_digit(line[9]) || !is_digit(line[10]) || !is_digit(line[11])) return false;
  if (line.size() > 12 && line[12] != ' ') return false;
  head_.version = line[7] == '0' ? Version::http10 : Version::http11;
  head_.status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
  head_.reason = line.substr(std::min<std::size_t>(13, line.size()));
  return head_.status >= 100 && is_field_value(head_.reason);
}

ParseStatus ResponseParser::parse(std::string_view buffered) {
  if (stage_ == Stage::done) return ParseStatus::complete;
  if (reason_ != Reason::none) return ParseStatus::failed;
  if (buffered.empty()) return ParseStatus::incomplete;

  const char* const base = buffered.data();
  if (base_ != nullptr && base_ != base) {
    head_.reason = rebased(head_.reason, base_, base);
    head_.fields.rebase(base_, base);
    base_ = base;
  }
  // What is not HTTP at all is refused at its first wrong byte, not when its line ends.
  constexpr std::string_view kPrefix = "HTTP/1.";
  if (stage_ == Stage::status_line && !kPrefix.starts_with(buffered.substr(0, kPrefix.size()))) {
    return fail(Reason::upstream_invalid_head);
  }

  for (;;) {
    const auto* const feed = static_cast<const char*>(std::memchr(base + scanned_, '\n', buffered.size() - scanned_));
    const std::size_t line_end = feed == nullptr ? buffered.size() : static_cast<std::size_t>(feed - base) + 1;
    if (line_end > limits_.head) return fail(Reason::upstream_head_too_large);
    scanned_ = line_end;
    if (feed == nullptr) return ParseStatus::incomplete;

    std::string_view line(base + line_start_, line_end - line_start_ - 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    line_start_ = line_end;
    if (stage_ == Stage::status_line) {
      if (!take_status_line(line)) return fail(Reason::upstream_invalid_head);
      stage_ = Stage::fields;
      base_ = base;
      continue;
    }
    if (line.empty()) break;
    detail::FieldLine field;
    if (!detail::split_field_line(line, field)) return fail(Reason::upstream_invalid_head);
    if (head_.fields.size() == limits_.fields) return fail(Reason::upstream_head_too_large);
    head_.fields.add(field.name, field.value, field.id);
  }
  head_.size = line_start_;
  stage_ = Stage::done;
  return ParseStatus::complete;
}

}  // namespace gatehouse::http
