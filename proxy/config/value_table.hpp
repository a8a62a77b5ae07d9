// A variable whose value is looked up by another string: what map, geo and split_clients have in common.
#pragma once

#include <string_view>

#include "proxy/config/regex.hpp"
#include "proxy/config/value.hpp"

namespace gatehouse::config {

class GeoTable;

/// Immutable once loaded; find() may be called from any thread. The variable is evaluated when an exchange first uses it, and kept
/// unless the table is volatile.
class ValueTable {
 public:
  virtual ~ValueTable() = default;

  ComplexValue source;
  bool volatile_value = false;  ///< evaluated at each use

  /// What the string `key` stands for; null: nothing, the value is "". A matching expression fills `captures` and sets `regex`.
  [[nodiscard]] virtual const ComplexValue* find(std::string_view key, Regex::Captures& captures,
                                                 const Regex*& regex) const = 0;
  /// This table when its key is an address (geo), which may come from a proxy's field.
  [[nodiscard]] virtual const GeoTable* as_geo() const noexcept { return nullptr; }
  /// "map", "geo" or "split_clients", with what a dump tells of it.
  [[nodiscard]] virtual std::string_view kind() const noexcept = 0;
  [[nodiscard]] virtual std::size_t size() const noexcept = 0;
};

}  // namespace gatehouse::config
