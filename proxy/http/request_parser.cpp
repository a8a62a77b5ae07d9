#include "proxy/http/request_parser.hpp"

#include <cstring>

#include "proxy/http/chars.hpp"
#include "proxy/http/field_line.hpp"

namespace gatehouse::http {
namespace {

constexpr unsigned char kTlsHandshakeRecord = 0x16;

// Reads "HTTP/1.1" and its relatives.
Reason parse_version(std::string_view text, Version& version) noexcept {
  if (text == "HTTP/1.1") {
    version = Version::http11;
    return Reason::none;
  }
  if (text.size() != 8 || !text.starts_with("HTTP/") || !is_digit(text[5]) || text[6] != '.' || !is_digit(text[7])) {
    return Reason::bad_version;
  }
  if (text[5] == '0') return Reason::bad_version;
  if (text[5] != '1') return Reason::unsupported_version;
  version = text[7] == '0' ? Version::http10 : Version::http11;
  return Reason::none;
}

}  // namespace

void RequestParser::reset() noexcept {
  head_.fields.clear();
  head_.dropped = 0;
  head_.dropped_name = {};
  head_.size = 0;
  base_ = nullptr;
  line_start_ = 0;
  scanned_ = 0;
  stage_ = Stage::start;
  reason_ = Reason::none;
}

ParseStatus RequestParser::fail(Reason reason) noexcept {
  reason_ = reason;
  return ParseStatus::failed;
}

// Judges the first bytes: skips one CRLF, which some clients send after a body (RFC 9112 section 2.2), and refuses what
// can't become a request without waiting for a line end that may never come.
ParseStatus RequestParser::begin(std::string_view buffered) {
  if (buffered.empty()) return ParseStatus::incomplete;
  if (buffered[0] == '\r') {
    if (buffered.size() == 1) return ParseStatus::incomplete;
    if (buffered[1] != '\n') return fail(Reason::bad_request_line);
    line_start_ = 2;
    if (buffered.size() == 2) return ParseStatus::incomplete;
  }
  const char first = buffered[line_start_];
  if (static_cast<unsigned char>(first) == kTlsHandshakeRecord) return fail(Reason::tls_on_plain_port);
  if (!is(first, kToken)) return fail(Reason::bad_request_line);
  scanned_ = line_start_;
  stage_ = Stage::request_line;
  return ParseStatus::complete;
}

// Checks the limits against a line (complete or not) that has `line_bytes` so far.
ParseStatus RequestParser::too_long(std::size_t line_bytes, std::size_t head_bytes) {
  if (stage_ == Stage::request_line) {
    if (line_bytes > limits_.request_line) return fail(Reason::target_too_long);
  } else if (line_bytes > limits_.field_line) {
    return fail(Reason::fields_too_large);
  }
  return head_bytes > limits_.head ? fail(Reason::fields_too_large) : ParseStatus::complete;
}

Reason RequestParser::take_request_line(std::string_view line) {
  const std::size_t method_end = line.find(' ');
  if (method_end == line.npos || method_end == 0) return Reason::bad_request_line;
  head_.line = line;
  head_.method_text = line.substr(0, method_end);
  if (!all_are(head_.method_text, kMethod)) return Reason::bad_method;

  const std::string_view rest = line.substr(method_end + 1);
  const std::size_t target_end = rest.find(' ');
  if (target_end == rest.npos || target_end == 0) return Reason::bad_request_line;
  head_.target = rest.substr(0, target_end);
  if (!is_target_text(head_.target)) return Reason::bad_target;

  const Reason version = parse_version(rest.substr(target_end + 1), head_.version);
  // The HTTP/2 preface is not a request of an unsupported version but the wrong protocol (RFC 9113 section 3.4).
  if (version == Reason::unsupported_version && head_.method_text == "PRI") return Reason::bad_request_line;
  if (version == Reason::none) head_.method = method_of(head_.method_text);
  return version;
}

Reason RequestParser::take_field_line(std::string_view line) {
  detail::FieldLine field;
  if (!detail::split_field_line(line, field)) return Reason::bad_field;
  if (head_.fields.size() + head_.dropped == limits_.fields) return Reason::fields_too_large;
  if (!field.plain_name && limits_.names != NamePolicy::keep) {
    bool unusual = limits_.underscores == Underscores::unusual;
    for (const char c : field.name) unusual = unusual || (c != '_' && !is(c, kPlainName));
    if (unusual) {
      if (limits_.names == NamePolicy::refuse) return Reason::bad_field;
      if (head_.dropped++ == 0) head_.dropped_name = field.name;
      return Reason::none;
    }
  }
  head_.fields.add(field.name, field.value, field.id);
  return Reason::none;
}

ParseStatus RequestParser::parse(std::string_view buffered) {
  if (stage_ == Stage::done) return ParseStatus::complete;
  if (reason_ != Reason::none) return ParseStatus::failed;
  if (stage_ == Stage::start) {
    const ParseStatus status = begin(buffered);
    if (status != ParseStatus::complete) return status;
  }
  const char* const base = buffered.data();
  if (base_ != nullptr && base_ != base) {
    head_.line = rebased(head_.line, base_, base);
    head_.method_text = rebased(head_.method_text, base_, base);
    head_.target = rebased(head_.target, base_, base);
    if (head_.dropped != 0) head_.dropped_name = rebased(head_.dropped_name, base_, base);
    head_.fields.rebase(base_, base);
    base_ = base;
  }

  for (;;) {
    const auto* const feed = static_cast<const char*>(std::memchr(base + scanned_, '\n', buffered.size() - scanned_));
    const std::size_t line_end = feed == nullptr ? buffered.size() : static_cast<std::size_t>(feed - base) + 1;
    if (too_long(line_end - line_start_, line_end) == ParseStatus::failed) return ParseStatus::failed;
    scanned_ = line_end;
    if (feed == nullptr) return ParseStatus::incomplete;

    const bool request_line = stage_ == Stage::request_line;
    if (line_end - line_start_ < 2 || feed[-1] != '\r') {
      return fail(request_line ? Reason::bad_request_line : Reason::bad_field);
    }
    const std::string_view line(base + line_start_, line_end - line_start_ - 2);
    line_start_ = line_end;
    if (line.empty() && !request_line) break;
    const Reason reason = request_line ? take_request_line(line) : take_field_line(line);
    if (reason != Reason::none) return fail(reason);
    stage_ = Stage::fields;
    base_ = base;
  }
  head_.size = line_start_;
  stage_ = Stage::done;
  return ParseStatus::complete;
}

}  // namespace gatehouse::http
