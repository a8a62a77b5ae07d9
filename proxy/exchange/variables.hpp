// Variables: one row each (name, getter, meaning), and the evaluation of configured strings that use them.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "proxy/config/value.hpp"
#include "proxy/http/fields.hpp"

namespace gatehouse::exchange {

struct Exchange;

/// A variable of the configuration language. `name` ends in '_' for a family ($http_NAME), whose getter is given NAME in lower case.
struct VariableRow {
  std::string_view name;
  /// The value, borrowed from the exchange (its arena, its heads) until its end; nothing where nginx says "not found".
  std::optional<std::string_view> (*get)(Exchange& exchange, std::string_view argument);
  std::string_view meaning;  ///< one sentence for the reference page
};

/// The rows by subject; a variable stands in exactly one.
[[nodiscard]] std::span<const VariableRow> request_variables() noexcept;
[[nodiscard]] std::span<const VariableRow> response_variables() noexcept;
[[nodiscard]] std::span<const VariableRow> upstream_variables() noexcept;
[[nodiscard]] std::span<const VariableRow> connection_variables() noexcept;

/// All rows in the order of VariableRef::index.
[[nodiscard]] std::span<const VariableRow> all_variables();

/// The catalog that the configuration loader asks. Stateless; lives as long as the program.
[[nodiscard]] const config::VariableCatalog& variable_catalog();

/// The value of one variable; nothing where it is not found.
[[nodiscard]] std::optional<std::string_view> evaluate(const config::VariableRef& variable, Exchange& exchange);

/// The value of a configured string; not found counts as "". Borrowed from the configuration or the exchange's arena.
[[nodiscard]] std::string_view evaluate(const config::ComplexValue& value, Exchange& exchange);

/// User and password of Basic credentials, "user:password" (RFC 7617 section 2); nothing if there are none. Borrowed from the arena.
[[nodiscard]] std::optional<std::string_view> basic_credentials(Exchange& exchange);

/// The fields that NAME of a family means, case and '-' for '_' aside, joined by `separator`; nothing without one.
[[nodiscard]] std::optional<std::string_view> joined_fields(Exchange& exchange, const http::Fields& fields,
                                                            std::string_view name, std::string_view separator);

/// True unless the value is "" or "0", as nginx's conditions.
[[nodiscard]] bool is_true(const config::ComplexValue& value, Exchange& exchange);
/// Evaluated in order, as far as needed. Of no values: any is false, all is true.
[[nodiscard]] bool any_is_true(std::span<const config::ComplexValue> values, Exchange& exchange);
[[nodiscard]] bool all_are_true(std::span<const config::ComplexValue> values, Exchange& exchange);

}  // namespace gatehouse::exchange
