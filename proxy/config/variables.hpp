// Strings with variables -> ComplexValue; the slots of the variables that a configuration defines.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/config/model.hpp"
#include "proxy/config/reporter.hpp"

namespace gatehouse::config {

/// A directive's arguments that mean nothing: the message, the word it is about and a hint. Caught where statements are
/// bound.
struct Invalid {
  std::string text;
  std::size_t word = 1;
  std::string hint = {};
};

/// Names of variables while one configuration loads. Not thread-safe.
class VariableTable {
 public:
  /// `catalog` may be null: then every name is taken for a builtin variable (index 0, the name as argument), for tests.
  explicit VariableTable(const VariableCatalog* catalog) : catalog_(catalog) {}

  /// Says that the configuration defines `name` somewhere (`set`, `map` ...): it goes before a builtin family such as
  /// $arg_.
  void declare(std::string_view name);
  /// Whether it does.
  [[nodiscard]] bool declared(std::string_view name) const;
  /// The slot that a definition of `name` fills. Throws Invalid when it is a builtin variable, which can't be
  /// redefined.
  [[nodiscard]] std::uint16_t define(std::string_view name, std::size_t word);
  /// The builtin variable that `set` may change ($args, $limit_rate); nothing for any other name.
  [[nodiscard]] std::optional<VariableRef> settable_builtin(std::string_view name) const;
  /// Compiles `text`; throws Invalid on a bad reference. `place` is for the message if the name never gets defined.
  [[nodiscard]] ComplexValue compile(std::string_view text, const Place& place, std::size_t word = 1);
  /// Reports every name that is used and defined nowhere.
  void report_unknown(Reporter& reporter) const;
  [[nodiscard]] std::vector<std::string> slot_names() const;

 private:
  struct Slot {
    std::uint16_t index;
    bool defined = false;
    std::optional<Place> used;
  };
  VariableRef reference(std::string_view name, const Place& place);
  Slot& slot(std::string_view name);

  const VariableCatalog* catalog_;
  std::map<std::string, Slot, std::less<>> slots_;
};

/// Whether `text` holds a variable at all.
[[nodiscard]] inline bool has_variable(std::string_view text) { return text.find('$') != std::string_view::npos; }

}  // namespace gatehouse::config
