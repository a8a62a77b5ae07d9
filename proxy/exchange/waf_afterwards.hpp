// Evaluation after the exchange: audit records of messages that were proven clean, and comparisons of the proof.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "proxy/base/log.hpp"
#include "proxy/exchange/generation.hpp"
#include "proxy/exchange/waf_service.hpp"
#include "waf/recorded_transaction.hpp"
#include "waf/verdict.hpp"

namespace gatehouse::exchange {

/// Where what is found later is told: everything owned, for the exchange is gone by then.
struct WafTeller {
  std::shared_ptr<const ErrorLog> log;
  std::shared_ptr<const void> keeps;  ///< the generation that owns what `log` needs
  std::uint64_t connection = 0;
  std::string client;
  bool use_error_log = true;

  /// Matches at info, as nginx's connector logs them.
  void tell(const std::vector<waf::RuleMatch>& matches) const;
};

/// The library saw something in a message that was proven clean: logs at alert all that is needed to see it again, counts,
/// and switches the rule set's fast paths off. Any thread.
void report_disagreement(WafService& service, const waf::SharedFastPath& fast_path, const WafTeller& teller,
                         const waf::RecordedTransaction& recorded, const std::vector<std::int64_t>& rule_ids);

/// Whether a match may only mean that nobody claimed otherwise, or contradicts a proof.
enum class Claim : std::uint8_t { none, proven_clean };

/// One message to be evaluated in full after its exchange.
struct EvaluateAfterwards {
  std::shared_ptr<const waf::RuleSet> rules;
  std::shared_ptr<const waf::Overlay> overlay;
  std::shared_ptr<const waf::SharedFastPath> fast_path;
  std::shared_ptr<const waf::RecordedTransaction> recorded;
  WafTeller teller;
  int status = 0;  ///< that was sent
  Claim claim = Claim::none;
};

/// Hands it to the pool; false, and counted, when there is no room: what waits is bounded in number and bytes. Any thread.
[[nodiscard]] bool submit(WafService& service, EvaluateAfterwards job);

}  // namespace gatehouse::exchange
