#include "proxy/config/map.hpp"

#include <array>

#include "proxy/base/ascii.hpp"

namespace gatehouse::config {
bool VariableMap::add(std::string_view key, ComplexValue value) {
  if (hostnames && key.starts_with("*.")) return leading_.emplace(lower_case(key.substr(2)), std::move(value)).second;
  if (hostnames && key.ends_with(".*")) {
    return trailing_.emplace(lower_case(key.substr(0, key.size() - 2)), std::move(value)).second;
  }
  if (hostnames && key.size() > 1 && key.starts_with('.')) {
    return exact_.emplace(lower_case(key.substr(1)), value).second &&
           leading_.emplace(lower_case(key.substr(1)), std::move(value)).second;
  }
  return exact_.emplace(lower_case(key), std::move(value)).second;
}

bool VariableMap::set_default(ComplexValue value) {
  if (default_) return false;
  default_ = std::move(value);
  return true;
}

const ComplexValue* VariableMap::find(std::string_view key, Regex::Captures& captures, const Regex*& regex) const {
  if (hostnames && key.ends_with('.')) key.remove_suffix(1);
  // Typical keys (a host, a header, a status) fit on the stack.
  std::array<char, 256> buffer;
  std::string long_key;
  std::string_view text;
  if (key.size() <= buffer.size()) {
    std::ranges::transform(key, buffer.begin(), to_lower);
    text = {buffer.data(), key.size()};
  } else {
    long_key = lower_case(key);
    text = long_key;
  }
  if (const auto found = exact_.find(text); found != exact_.end()) return &found->second;
  if (!leading_.empty()) {
    for (auto dot = text.find('.', 1); dot != std::string_view::npos; dot = text.find('.', dot + 1)) {
      if (const auto found = leading_.find(text.substr(dot + 1)); found != leading_.end()) return &found->second;
    }
  }
  if (!trailing_.empty()) {
    for (auto dot = text.rfind('.'); dot != std::string_view::npos && dot > 0; dot = text.rfind('.', dot - 1)) {
      if (dot + 1 == text.size()) continue;
      if (const auto found = trailing_.find(text.substr(0, dot)); found != trailing_.end()) return &found->second;
    }
  }
  // nginx tries no expression on an empty string.
  if (!key.empty()) {
    for (const auto& [expression, value] : regexes_) {
      if (!expression->match(key, captures)) continue;
      regex = expression.get();
      return &value;
    }
  }
  return default_ ? &*default_ : nullptr;
}

}  // namespace gatehouse::config
