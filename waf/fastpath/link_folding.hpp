// One condition of a rule -> what of it depends on the request.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "waf/fastpath/plan.hpp"
#include "waf/fastpath/tx_state.hpp"

namespace gatehouse::waf::fastpath {

/// How a condition came out.
enum class Truth : std::uint8_t { never, always, at_run_time };

struct FoldedLink {
  Link link;
  Truth truth = Truth::at_run_time;
  std::size_t matching_constants = 0;  ///< how many constant values match: the library runs setvar once for each
};

/// A setvar, taken apart.
struct SetVar {
  enum class Operation : std::uint8_t { set, sum, subtract, unset };
  VariableKind collection = VariableKind::tx;
  Operation operation = Operation::set;
  TextTemplate name;
  TextTemplate value;
};

/// "tx.a_%{tx.0}=+1" -> parts; nullopt when the text is not understood.
[[nodiscard]] std::optional<SetVar> parse_setvar(std::string_view argument);

/// Whether a TX target chooses the member of this name.
[[nodiscard]] bool chooses_member(const Variable& target, const std::string& member);

/// Folds the condition of `rule` (one link). `run_time` names the TX members that earlier links of the same chain
/// write.
[[nodiscard]] FoldedLink fold_link(const Rule& rule, const TxState& state, const std::vector<std::string>& run_time);

/// TX members that this link writes when it holds, as fold_link() wants them.
[[nodiscard]] std::vector<std::string> written_names(const Link& link);

}  // namespace gatehouse::waf::fastpath
