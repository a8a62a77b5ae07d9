// The TX collection while loading: which members have the same value for every request.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/ascii.hpp"
#include "waf/fastpath/plan.hpp"

namespace gatehouse::waf::fastpath {

/// What is known about one member at one point of the program.
struct TxValue {
  std::optional<std::string> constant;   ///< its value unless a producer wrote it; nullopt: it does not exist then
  std::vector<std::uint32_t> producers;  ///< rules that may have written it
  bool unknown = false;                  ///< anything

  [[nodiscard]] bool is_constant() const noexcept { return !unknown && producers.empty(); }
  friend bool operator==(const TxValue&, const TxValue&) = default;
};

/// TX at one point of the program. Names are compared without case, as the library does.
class TxState {
 public:
  [[nodiscard]] TxValue value(std::string_view name) const;
  void set(std::string_view name, TxValue value);
  /// A write by `producer` to a member whose name is known only so far as its beginning.
  void produce_with_prefix(std::string_view prefix, std::uint32_t producer);
  /// Whether no member whose name begins with `prefix` can exist.
  [[nodiscard]] bool untouched(std::string_view prefix) const;
  /// Forces a member: later writes do not change it (an overlay's paranoia level).
  void pin(std::string_view name, std::string text);
  /// Says that every write to the member, anywhere, is of an integer.
  void mark_number(std::string_view name) { numbers_.insert(lower_case(name)); }
  [[nodiscard]] bool is_number(std::string_view name) const { return numbers_.contains(lower_case(name)); }
  /// Groups of a regular expression may have been written.
  void forget_captures();

  /// Every member that may exist, apart from those under prefixes().
  [[nodiscard]] std::vector<std::pair<std::string, TxValue>> members() const;
  [[nodiscard]] const std::vector<std::pair<std::string, std::uint32_t>>& prefixes() const noexcept {
    return prefixes_;
  }

 private:
  std::map<std::string, TxValue, std::less<>> values_;  // lower case names
  std::map<std::string, std::string, std::less<>> pinned_;
  std::vector<std::pair<std::string, std::uint32_t>> prefixes_;
  std::set<std::string, std::less<>> numbers_;
};

/// "a%{tx.b}c" -> pieces. nullopt for a macro whose name is not a variable or that is not closed.
[[nodiscard]] std::optional<TextTemplate> parse_template(std::string_view text);

/// Puts constants in and joins literals; macros that stay are those not constant in `state`. Members listed in
/// `run_time` (lower case; a trailing `*` is a prefix) stay macros whatever `state` says.
[[nodiscard]] TextTemplate fold_template(const TextTemplate& text, const TxState& state,
                                         const std::vector<std::string>& run_time);

/// The whole text, if no macro is left.
[[nodiscard]] std::optional<std::string> constant_text(const TextTemplate& text);

/// True when `name` is one of `names`, where a name that ends in `*` stands for all with that beginning.
[[nodiscard]] bool named_by(std::string_view name, const std::vector<std::string>& names);

}  // namespace gatehouse::waf::fastpath
