// Compares our reading of the rules with what libmodsecurity made of them, through its public interface only.
#pragma once

#include <cstddef>
#include <optional>

#include "waf/fastpath/ir.hpp"
#include "waf/fastpath/seclang_reader.hpp"

namespace modsecurity {
class ModSecurity;
class RulesSet;
}  // namespace modsecurity

namespace gatehouse::waf::fastpath {

/// What could be compared.
struct CrossCheck {
  std::size_t compared = 0;         ///< rules whose condition and targets were read back
  std::size_t without_values = 0;   ///< of these: no target had a value, so the transformations were not seen
  std::size_t not_run = 0;          ///< rules with an effect outside the transaction (exec, setenv, name look-ups)
  std::optional<Misread> mismatch;  ///< the first difference; the fast path must be refused for the set
};

/// Walks the loaded phases and compares id, file, chain length and flags; then lets every rule look at one probe
/// transaction and reads operator, parameter, targets and transformation steps from its debug messages.
///
/// `loaded` must not be in use by another thread: its debug log is replaced during the call. `engine` must have a log
/// callback that accepts a null pointer as data; its persistent collections are not touched.
[[nodiscard]] CrossCheck cross_check(const RuleList& rules, modsecurity::RulesSet& loaded,
                                     modsecurity::ModSecurity& engine);

}  // namespace gatehouse::waf::fastpath
