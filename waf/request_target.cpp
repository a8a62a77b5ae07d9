#include <algorithm>
#include <string>
#include <string_view>

#include "waf/transaction_input.hpp"

namespace gatehouse::waf {
namespace {

bool is_forbidden(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte <= 0x20 || byte == 0x7f || c == '#';
}

bool is_scheme_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
}

// The part of an absolute-form target from its path on; empty view with found = false for any other form.
struct AbsoluteForm {
  bool found = false;
  std::string_view rest;
};

AbsoluteForm split_absolute_form(std::string_view target) {
  const auto colon = target.find("://");
  if (colon == std::string_view::npos || colon == 0) return {};
  if (!std::all_of(target.begin(), target.begin() + static_cast<std::ptrdiff_t>(colon), is_scheme_char)) return {};
  const auto end_of_authority = target.find_first_of("/?", colon + 3);
  if (end_of_authority == std::string_view::npos) return {true, {}};
  return {true, target.substr(end_of_authority)};
}

}  // namespace

bool is_guarded_request_target(std::string_view target) noexcept {
  if (target.empty() || target.front() != '/') return false;
  bool in_path = true;
  for (std::size_t i = 0; i < target.size(); ++i) {
    if (is_forbidden(target[i])) return false;
    if (target[i] == '?') in_path = false;
    if (in_path && target[i] == '%' && i + 2 < target.size() && target[i + 1] == '3' &&
        (target[i + 2] == 'F' || target[i + 2] == 'f')) {
      return false;
    }
  }
  return true;
}

Result<std::string> guard_request_target(std::string_view target) {
  if (target.empty() || std::any_of(target.begin(), target.end(), is_forbidden)) return Error{Reason::bad_target};
  std::string guarded;
  if (target.front() != '/') {
    const AbsoluteForm absolute = split_absolute_form(target);
    if (absolute.found) {
      target = absolute.rest;
      if (target.empty() || target.front() == '?') guarded.push_back('/');
    }
  }
  const std::string_view path = target.substr(0, target.find('?'));
  guarded.reserve(target.size() + 8);
  for (std::size_t i = 0; i < path.size(); ++i) {
    guarded.push_back(path[i]);
    const bool hidden_question_mark =
        path[i] == '%' && i + 2 < path.size() && path[i + 1] == '3' && (path[i + 2] == 'F' || path[i + 2] == 'f');
    if (hidden_question_mark) guarded.append("25");
  }
  guarded.append(target.substr(path.size()));
  return guarded;
}

}  // namespace gatehouse::waf
