// The values a rule's targets choose from, by variable: what parsing a request or response natively yields.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "waf/fastpath/byte_classes.hpp"
#include "waf/fastpath/ir.hpp"

namespace gatehouse::waf::fastpath {

/// One member of a collection, or a scalar (then the key is empty).
struct NamedValue {
  std::string_view key;
  std::string_view value;
};

/// The values of one message at one phase. Reused from request to request: clear() keeps the memory. Borrows every
/// text.
class ValueTable {
 public:
  void clear() noexcept {
    for (auto& values : values_) values.clear();
    known_.reset();
  }

  /// Says that the variable's values are complete as added. A variable that is not known cannot be evaluated natively.
  void set_known(VariableKind kind) noexcept { known_.set(index(kind)); }
  [[nodiscard]] bool known(VariableKind kind) const noexcept { return known_.test(index(kind)); }

  /// Adds a member of a collection.
  void add(VariableKind kind, std::string_view key, std::string_view value) {
    values_[index(kind)].push_back({key, value});
  }
  /// Sets a scalar and makes it known; an unset scalar is the empty text for the library.
  void set(VariableKind kind, std::string_view value) {
    values_[index(kind)].assign(1, NamedValue{{}, value});
    set_known(kind);
  }
  [[nodiscard]] std::span<const NamedValue> of(VariableKind kind) const noexcept { return values_[index(kind)]; }

 private:
  [[nodiscard]] static std::size_t index(VariableKind kind) noexcept { return static_cast<std::size_t>(kind); }

  std::array<std::vector<NamedValue>, variable_kind_count> values_;
  std::bitset<variable_kind_count> known_;
};

}  // namespace gatehouse::waf::fastpath
