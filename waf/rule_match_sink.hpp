// Where libmodsecurity's messages about matched rules become RuleMatch values. Included by waf's .cpp files only.
#pragma once

#include <vector>

#include <modsecurity/rule_message.h>

#include "waf/verdict.hpp"

namespace gatehouse::waf {

/// Collects the matches of one transaction. Its address is the transaction's log callback data, so it does not move.
class RuleMatchSink {
 public:
  RuleMatchSink() = default;
  RuleMatchSink(const RuleMatchSink&) = delete;
  RuleMatchSink& operator=(const RuleMatchSink&) = delete;

  /// The engine's server log callback: `sink` is a RuleMatchSink, `message` a modsecurity::RuleMessage.
  static void receive(void* sink, const void* message);

  /// The matches since the last call, without the one that denied: the library does not report that here.
  [[nodiscard]] std::vector<RuleMatch> take();

 private:
  std::vector<RuleMatch> matches_;
};

/// `status` is what an access denied line says.
[[nodiscard]] RuleMatch make_rule_match(const modsecurity::RuleMessage& message, int status);

}  // namespace gatehouse::waf
