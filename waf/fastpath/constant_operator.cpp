#include "waf/fastpath/constant_operator.hpp"

#include <cstdlib>
#include <stdexcept>

#include "waf/fastpath/exact_pattern.hpp"
#include "waf/fastpath/scratch.hpp"
#include "waf/fastpath/transformations.hpp"

namespace gatehouse::waf::fastpath {
namespace {

/// @eq reads int and takes 0 for what is none or too large.
[[nodiscard]] int eq_number(const std::string& text) {
  try {
    return std::stoi(text);
  } catch (const std::logic_error&) {
    return 0;
  }
}

}  // namespace

std::optional<bool> constant_match(OperatorKind kind, const std::string& parameter, std::string_view value) {
  const std::string text(value);
  switch (kind) {
    case OperatorKind::eq: return eq_number(parameter) == eq_number(text);
    case OperatorKind::ge: return std::atoll(text.c_str()) >= std::atoll(parameter.c_str());
    case OperatorKind::gt: return std::atoll(text.c_str()) > std::atoll(parameter.c_str());
    case OperatorKind::le: return std::atoll(text.c_str()) <= std::atoll(parameter.c_str());
    case OperatorKind::lt: return std::atoll(text.c_str()) < std::atoll(parameter.c_str());
    case OperatorKind::str_eq: return text == parameter;
    case OperatorKind::contains: return text.find(parameter) != std::string::npos;
    case OperatorKind::begins_with: return text.starts_with(parameter);
    case OperatorKind::ends_with: return text.ends_with(parameter);
    case OperatorKind::within: return text.empty() || parameter.find(text) != std::string::npos;
    case OperatorKind::unconditional_match: return true;
    case OperatorKind::rx: {
      ExactScratch scratch;
      return ExactPattern(parameter).matches(text, scratch);
    }
    default: return std::nullopt;
  }
}

std::optional<std::string> constant_transform(const std::vector<Transformation>& chain, const std::string& value) {
  Scratch scratch;
  std::string_view text = value;
  for (const auto step : chain) {
    if (!is_supported(step)) return std::nullopt;
    text = apply(step, text, {}, scratch);
  }
  return std::string(text);
}

}  // namespace gatehouse::waf::fastpath
