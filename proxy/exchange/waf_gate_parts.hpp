// What the two halves of WafGate share: waf_gate.cpp and waf_gate_full_path.cpp.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/exchange/exchange.hpp"
#include "proxy/exchange/waf_afterwards.hpp"
#include "proxy/exchange/waf_gate.hpp"

namespace gatehouse::exchange {

/// A longer body is not looked at on an event thread, where others wait meanwhile.
inline constexpr std::uint64_t kLongestCheckedBody = kMiB;

template <class Views>
void view(const http::Fields& fields, Views& views) {
  views.clear();
  for (const auto& field : fields) views.push_back({field.name, field.value});
}

inline WafTeller teller_of(const Exchange& exchange) {
  return {exchange.route->error_log, exchange.generation, exchange.connection.number, std::string(exchange.client_ip),
          exchange.settings().modsecurity_use_error_log};
}

/// What the phases share; phase 5 may run after the exchange is gone, so everything that it needs is owned here.
struct WafGate::Transaction {
  Transaction(waf::Engine& engine, std::shared_ptr<const waf::RuleSet> rules,
              std::shared_ptr<const waf::Overlay> overlay, std::optional<waf::Narrowing> narrowing)
      : evaluation(engine, std::move(rules), std::move(overlay), std::move(narrowing)) {}
  waf::Evaluation evaluation;
  std::string server_ip, unique_id, spill_path;
  std::vector<waf::HeaderView> headers;  ///< of the request; valid while the exchange lives
  std::string_view memory;               ///< the body, unless it was spilled
  std::vector<std::int64_t> rule_ids;    ///< that matched
};

}  // namespace gatehouse::exchange
