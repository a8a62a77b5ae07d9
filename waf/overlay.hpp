// A route's differences from the shared rule set, applied to one transaction. No rule is copied for it.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proxy/base/units.hpp"

namespace gatehouse::waf {

/// What matches lead to. `inherit` keeps the rule set's own SecRuleEngine.
enum class Mode : std::uint8_t { inherit, off, detect, block };

/// What happens to a body longer than the inspection limit.
enum class BodyLimitPolicy : std::uint8_t {
  reject,          ///< refused without inspection
  inspect_prefix,  ///< inspect as far as the limit, pass the rest
  pass,            ///< do not inspect the body, pass it
};

/// What happens when the engine fails or its queue is full.
enum class OnError : std::uint8_t { reject, pass };

/// A variable that some rules no longer look at: ("942100", "ARGS:comment") or ("attack-sqli", "ARGS:comment").
struct RemovedTarget {
  std::string rule_or_tag;
  std::string target;

  friend auto operator<=>(const RemovedTarget&, const RemovedTarget&) = default;
};

/// A range of rule ids, both ends included.
struct RuleIdRange {
  std::int64_t first = 0;
  std::int64_t last = 0;

  friend auto operator<=>(const RuleIdRange&, const RuleIdRange&) = default;
};

/// One route's overlay. Immutable once built; shared by the transactions that use it.
struct Overlay {
  Mode mode = Mode::inherit;
  OnError on_error = OnError::reject;
  std::vector<RuleIdRange> removed_rules;
  std::vector<std::string> removed_tags;
  std::vector<RemovedTarget> removed_targets;
  std::optional<int> paranoia_level;                 ///< 1..4, CRS
  std::optional<int> inbound_anomaly_threshold;      ///< CRS
  std::optional<int> outbound_anomaly_threshold;     ///< CRS
  std::optional<ByteCount> request_body_limit;       ///< replaces SecRequestBodyLimit where it is lower or higher
  std::optional<BodyLimitPolicy> body_limit_policy;  ///< replaces SecRequestBodyLimitAction

  friend auto operator<=>(const Overlay&, const Overlay&) = default;
};

}  // namespace gatehouse::waf
