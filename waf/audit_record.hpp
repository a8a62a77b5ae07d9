// Whether a transaction is to be recorded in the audit log, and its record. Included by waf's .cpp files only.
#pragma once

#include <optional>

#include <modsecurity/transaction.h>

#include "waf/audit_writer.hpp"
#include "waf/rule_set.hpp"

namespace gatehouse::waf {

/// The record of a transaction whose logging phase is over; none if it is not to be recorded. Decides as
/// modsecurity::AuditLog::saveIfRelevant of 3.0.9 does, whose writers block under a lock of the whole machine.
[[nodiscard]] std::optional<AuditRecord> make_audit_record(modsecurity::Transaction& transaction,
                                                           const AuditSettings& settings);

}  // namespace gatehouse::waf
