#include "waf/fastpath/ir.hpp"

namespace gatehouse::waf::fastpath {
namespace {

#define GATEHOUSE_WAF_SECOND(enumerator, text, ...) std::string_view(text),
constexpr std::array variable_names{GATEHOUSE_WAF_VARIABLES(GATEHOUSE_WAF_SECOND)};
constexpr std::array transformation_names{GATEHOUSE_WAF_TRANSFORMATIONS(GATEHOUSE_WAF_SECOND)};
constexpr std::array operator_names{GATEHOUSE_WAF_OPERATORS(GATEHOUSE_WAF_SECOND)};
constexpr std::array action_names{GATEHOUSE_WAF_ACTIONS(GATEHOUSE_WAF_SECOND)};
#undef GATEHOUSE_WAF_SECOND

#define GATEHOUSE_WAF_SHAPE(enumerator, text, shape) VariableShape::shape,
constexpr std::array variable_shapes{GATEHOUSE_WAF_VARIABLES(GATEHOUSE_WAF_SHAPE)};
#undef GATEHOUSE_WAF_SHAPE

#define GATEHOUSE_WAF_THIRD(enumerator, text, library) std::string_view(library),
constexpr std::array operator_library_names{GATEHOUSE_WAF_OPERATORS(GATEHOUSE_WAF_THIRD)};
#undef GATEHOUSE_WAF_THIRD

}  // namespace

std::string_view name(VariableKind kind) noexcept { return variable_names.at(static_cast<std::size_t>(kind)); }
std::string_view name(Transformation transformation) noexcept {
  return transformation_names.at(static_cast<std::size_t>(transformation));
}
std::string_view name(OperatorKind kind) noexcept { return operator_names.at(static_cast<std::size_t>(kind)); }
std::string_view name(ActionKind kind) noexcept { return action_names.at(static_cast<std::size_t>(kind)); }
VariableShape shape(VariableKind kind) noexcept { return variable_shapes.at(static_cast<std::size_t>(kind)); }
std::string_view library_name(OperatorKind kind) noexcept {
  return operator_library_names.at(static_cast<std::size_t>(kind));
}

}  // namespace gatehouse::waf::fastpath
