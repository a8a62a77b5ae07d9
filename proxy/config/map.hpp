// `map`: a variable whose value depends on another string, looked up when it is first used.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "proxy/config/regex.hpp"
#include "proxy/config/value_table.hpp"

namespace gatehouse::config {

/// One `map SOURCE $NAME { ... }`. Immutable once loaded; find() may be called from any thread.
/// The variable is evaluated when it is first used in an exchange, and kept unless the map is volatile.
class VariableMap : public ValueTable {
 public:
  bool hostnames =
      false;  ///< keys may be *.example.com, .example.com and www.*, and a trailing dot of the string is cut

  /// What the string `key` maps to, by nginx's order: exact (in any case), longest *.x, longest x.*, first expression,
  /// default. Null when nothing matches: the value is "". A matching expression fills `captures` and sets `regex`.
  [[nodiscard]] const ComplexValue* find(std::string_view key, Regex::Captures& captures,
                                         const Regex*& regex) const override;
  [[nodiscard]] std::string_view kind() const noexcept override { return hostnames ? "map hostnames" : "map"; }

  /// Adds a key (exact, or a wildcard under `hostnames`); false when it is there already.
  [[nodiscard]] bool add(std::string_view key, ComplexValue value);
  void add_regex(std::shared_ptr<const Regex> regex, ComplexValue value) {
    regexes_.emplace_back(std::move(regex), std::move(value));
  }
  [[nodiscard]] bool set_default(ComplexValue value);
  [[nodiscard]] std::size_t size() const noexcept override {
    return exact_.size() + leading_.size() + trailing_.size() + regexes_.size() + (default_ ? 1 : 0);
  }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
  };
  using Table = std::unordered_map<std::string, ComplexValue, Hash, std::equal_to<>>;

  Table exact_;
  Table leading_;   ///< "example.com" of *.example.com
  Table trailing_;  ///< "www" of www.*
  std::vector<std::pair<std::shared_ptr<const Regex>, ComplexValue>> regexes_;
  std::optional<ComplexValue> default_;
};

}  // namespace gatehouse::config
