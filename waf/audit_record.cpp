#include "waf/audit_record.hpp"

#include <algorithm>
#include <array>
#include <ctime>
#include <random>
#include <string>
#include <string_view>
#include <utility>

#include <modsecurity/rule_message.h>

#include "waf/digest.hpp"
#include "waf/rule_message_text.hpp"

namespace gatehouse::waf {
namespace {

using modsecurity::audit_log::AuditLog;

AuditSettings::When effective_engine(const modsecurity::Transaction& transaction, const AuditSettings& settings) {
  switch (transaction.m_ctlAuditEngine) {
    case AuditLog::NotSetLogStatus: return settings.when;
    case AuditLog::OnAuditLogStatus: return AuditSettings::When::on;
    case AuditLog::OffAuditLogStatus: return AuditSettings::When::off;
    case AuditLog::RelevantOnlyAuditLogStatus: return AuditSettings::When::relevant_only;
  }
  return settings.when;
}

bool is_due(const modsecurity::Transaction& transaction, const AuditSettings& settings) {
  const AuditSettings::When when = effective_engine(transaction, settings);
  if (when == AuditSettings::When::off) return false;
  if (when == AuditSettings::When::on) return true;
  const int status = transaction.m_httpCodeReturned;
  if (status >= 0 && static_cast<std::size_t>(status) < settings.relevant.size() &&
      settings.relevant.test(static_cast<std::size_t>(status)))
    return true;
  return std::any_of(transaction.m_rulesMessages.begin(), transaction.m_rulesMessages.end(),
                     [](const modsecurity::RuleMessage& message) { return !message.m_noAuditLog; });
}

int effective_parts(const modsecurity::Transaction& transaction, int parts) {
  for (const auto& [remove, names] : transaction.m_auditLogModifier)
    parts = remove == 0 ? AuditLog::addParts(parts, names) : AuditLog::removeParts(parts, names);
  return parts;
}

// Separates the sections of one native record; random, so that a body can't forge a section.
std::string boundary() {
  constexpr std::string_view kAlphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  thread_local std::mt19937_64 random{std::random_device{}()};
  std::uniform_int_distribution<std::size_t> pick(0, kAlphabet.size() - 1);
  std::string text;
  for (int i = 0; i < 8; ++i) text.push_back(kAlphabet[pick(random)]);
  return text;
}

// "/20261120/20261120-1105/20261120-110501-ID", as the library names concurrent records. The id may be the client's own
// text.
std::string record_name(const modsecurity::Transaction& transaction) {
  std::tm local{};
  ::localtime_r(&transaction.m_timeStamp, &local);
  std::array<char, 80> name{};
  const std::size_t size = std::strftime(name.data(), name.size(), "/%Y%m%d/%Y%m%d-%H%M/%Y%m%d-%H%M%S-", &local);
  std::string id = *transaction.m_id;
  std::replace_if(id.begin(), id.end(), [](char c) { return c == '/' || c == '\0'; }, '_');
  return std::string(name.data(), size) + id;
}

}  // namespace

std::optional<AuditRecord> make_audit_record(modsecurity::Transaction& transaction, const AuditSettings& settings) {
  if (!is_due(transaction, settings)) return std::nullopt;
  const int parts = effective_parts(transaction, settings.parts);
  AuditRecord record;
  record.record = settings.format == AuditSettings::Format::json
                      ? transaction.toJSON(parts)
                      : native_audit_record(transaction, parts, "-" + boundary() + "--");
  record.file_mode = settings.file_mode;
  record.directory_mode = settings.directory_mode;
  record.log_path = settings.path;
  if (settings.type == AuditSettings::Type::serial) {
    if (settings.path.empty()) return std::nullopt;
    return record;
  }
  if (settings.storage_directory.empty()) return std::nullopt;
  record.storage_directory = settings.storage_directory;
  record.record_path = settings.storage_directory + record_name(transaction);
  if (!settings.second_path.empty()) record.log_path = settings.second_path;
  if (!record.log_path.empty())
    record.index = transaction.toOldAuditLogFormatIndex(record.record_path, static_cast<double>(record.record.size()),
                                                        md5_hex(record.record));
  return record;
}

}  // namespace gatehouse::waf
