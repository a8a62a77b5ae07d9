// What libmodsecurity says of a rule that matched, in its own words. Included by waf's .cpp files only.
#pragma once

#include <string>

#include <modsecurity/rule_message.h>
#include <modsecurity/transaction.h>

namespace gatehouse::waf {

/// The text of RuleMessage::log(&message, 0, status), to the byte, at a twentieth of its cost: the library puts each character into a
/// stream by itself, twice. `status`: what an access denied line says; -1: "%d".
[[nodiscard]] std::string rule_message_text(const modsecurity::RuleMessage& message, int status);

/// The record that transaction.toOldAuditLogFormat(parts, trailer) makes, with section H written by rule_message_text(). `trailer` must
/// not occur in what the transaction holds.
[[nodiscard]] std::string native_audit_record(modsecurity::Transaction& transaction, int parts,
                                              const std::string& trailer);

}  // namespace gatehouse::waf
