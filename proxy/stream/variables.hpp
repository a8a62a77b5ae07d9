// Variables of the stream block: one row each, and the evaluation of configured strings that use them.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "proxy/config/value.hpp"

namespace gatehouse::stream {

struct Session;

struct VariableRow {
  std::string_view name;
  /// The value, borrowed from the session until its end; nothing where nginx says "not found".
  std::optional<std::string_view> (*get)(Session& session);
  std::string_view meaning;  ///< for the reference page
  /// Of a family, whose name ends in an underscore: the value of what stands behind it. `get` is null then.
  std::optional<std::string_view> (*get_named)(Session& session, std::string_view name) = nullptr;
};

/// All rows in the order of VariableRef::index.
[[nodiscard]] std::span<const VariableRow> all_variables() noexcept;

/// The catalog that the configuration loader asks about the stream block. Lives as long as the program.
[[nodiscard]] const config::VariableCatalog& variable_catalog();

[[nodiscard]] std::optional<std::string_view> evaluate(const config::VariableRef& variable, Session& session);
/// Not found counts as "". Borrowed from the configuration or the session's arena.
[[nodiscard]] std::string_view evaluate(const config::ComplexValue& value, Session& session);
/// True unless the value is "" or "0".
[[nodiscard]] bool is_true(const config::ComplexValue& value, Session& session);

}  // namespace gatehouse::stream
