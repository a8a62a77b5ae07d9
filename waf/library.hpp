// libmodsecurity behind our types. Included by waf's .cpp files only: nothing else sees the library's headers.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <modsecurity/audit_log.h>
#include <modsecurity/modsecurity.h>
#include <modsecurity/rules_set.h>

#include "waf/rule_set.hpp"

namespace gatehouse::waf {

/// The library's side of a RuleSet. Two sets of libmodsecurity share the rules themselves: `active` evaluates;
/// `mergeable` keeps limits and audit settings as written, for levels that inherit from it. Neither changes after
/// loading.
struct RuleSet::Compiled {
  std::unique_ptr<modsecurity::RulesSet> active;
  std::unique_ptr<modsecurity::RulesSet> mergeable;
  /// Substrings of a denial's log line that name a rule whose disruptive action is `drop`: libmodsecurity 3.0.9
  /// executes it as deny and does not tell.
  std::vector<std::string> drop_marks;
  /// The set of the level around this one, kept so that its other children find it compiled.
  std::shared_ptr<const RuleSet> outer;
};

/// The engine's parts that an evaluation uses.
class AuditWriter;
class PersistentCollections;

/// The status, the type and the pattern of relevant statuses of an audit log, which the library keeps private without
/// accessors.
struct AuditDirectives {
  modsecurity::audit_log::AuditLog::AuditLogStatus status;
  modsecurity::audit_log::AuditLog::AuditLogType type;
  std::string relevant;
  bool by_ctl = false;  ///< some rule has ctl:auditEngine=On or RelevantOnly
};

[[nodiscard]] AuditDirectives audit_directives(const modsecurity::audit_log::AuditLog& log);

/// Takes the log's writer away, so that the library writes nothing itself, and lets go of the files it opened for it.
void silence_audit_log(modsecurity::audit_log::AuditLog& log);

/// Sets the status back to what audit_directives() read, so that a merge copies it.
void restore_audit_status(modsecurity::audit_log::AuditLog& log, const AuditDirectives& directives);

/// Takes the set's body limits away: bodies are cut to size before the library sees them, as a route's overlay says.
void unlimit_bodies(modsecurity::RulesSet& rules);

/// The name of the rule's disruptive action ("deny", "drop", "block" ...), empty if it has none.
[[nodiscard]] std::string disruptive_action(const modsecurity::RuleWithActions& rule);

}  // namespace gatehouse::waf
