// Which rules can be left out of an evaluation because the message alone says that they fail, whatever other rules did.
#pragma once

#include "waf/fastpath/ir.hpp"
#include "waf/fastpath/plan.hpp"

namespace gatehouse::waf::fastpath {

/// Marks the rules of `plan` that are separable or steer others (LiveRule), and says in Plan::not_narrowable why none may be
/// left out. Loading time.
///
/// The proof of a clean message assumes that no rule with an effect has matched so far. To leave a rule out of an evaluation in which
/// others do match, its failure must not depend on them, and failing must do nothing. What a match can change for a later condition
/// is TX, the other collections, the MATCHED_ variables, HIGHEST_SEVERITY, and, by ctl, which parser the body gets and which rules
/// run. So a separable rule is one whose first condition looks at nothing but the message; when that
/// one fails, the rest of a chain is not asked. It fails for the values that the library sees, unless some ctl changes these,
/// and that only a rule whose own condition looks at nothing but the message may do.
void find_separable(const RuleList& rules, Plan& plan);

}  // namespace gatehouse::waf::fastpath
