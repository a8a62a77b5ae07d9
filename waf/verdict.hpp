// What the WAF says about a phase: the rules that matched, and whether the exchange has to be ended.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::waf {

/// ModSecurity's phases; the numbers are those of its rules and log lines.
enum class Phase : std::uint8_t {
  request_head = 1,
  request_body = 2,
  response_head = 3,
  response_body = 4,
  logging = 5
};

/// What a disruptive action asks for.
enum class Answer : std::uint8_t {
  deny,  ///< a local reply with `status`, whatever it is: `deny,status:200` replies 200 and does not reach the origin
  redirect,  ///< a local reply with `status` (a 3xx) and `url` as Location
  drop,      ///< close the connection without an answer
};

/// The engine's order to end the exchange.
struct Intervention {
  Answer answer = Answer::deny;
  int status = 403;
  std::string
      url;  ///< Location of a redirect, as the rule wrote it after macro expansion; may hold any byte, check before use
  Phase phase = Phase::request_head;
  /// The line for the server's error log at level error:
  /// `[client 192.0.2.1] ModSecurity: Access denied with code 403 (phase 2). Matched ... [id "949110"] ...`
  std::string log;
};

/// One rule that matched and is to be logged (rules with `nolog` do not appear).
struct RuleMatch {
  std::int64_t rule_id = 0;
  Phase phase = Phase::request_head;
  int severity = 0;  ///< syslog scale as in SecLang: 2 CRITICAL, 3 ERROR, 4 WARNING, 5 NOTICE; 0 if the rule has none
  bool denied = false;  ///< this match is the Intervention: log Intervention::log at error, not `text` again
  bool audited = true;  ///< false: the rule says noauditlog
  /// ModSecurity's own error log line without time and client: `ModSecurity: Warning. Matched "Operator ..." [file
  /// "..."] [line "..."] [id "942100"] ... [hostname "..."] [uri "..."] [unique_id "..."] [ref "..."]`. Control
  /// characters are escaped.
  std::string text;
  std::string message;  ///< the rule's msg, expanded
  std::string data;     ///< the rule's logdata, expanded; client bytes, unescaped
  std::vector<std::string> tags;
};

/// The outcome of one phase. No intervention and no matches: clean.
struct Verdict {
  std::optional<Intervention> intervention;
  std::vector<RuleMatch> matches;  ///< in evaluation order
};

}  // namespace gatehouse::waf
