// Operators on values that are known while loading.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "waf/fastpath/ir.hpp"

namespace gatehouse::waf::fastpath {

/// What the operator (negation not applied) says of `value`; nullopt for an operator that is not modelled here.
/// libmodsecurity 3.0.9: src/operators/{eq,ge,gt,le,lt,str_eq,contains,begins_with,ends_with,within,rx}.cc.
[[nodiscard]] std::optional<bool> constant_match(OperatorKind kind, const std::string& parameter,
                                                 std::string_view value);

/// The value after the chain, or nullopt if a step has no native form.
[[nodiscard]] std::optional<std::string> constant_transform(const std::vector<Transformation>& chain,
                                                            const std::string& value);

}  // namespace gatehouse::waf::fastpath
