#include "waf/rule_message_text.hpp"

#include <algorithm>
#include <string_view>

#include <modsecurity/audit_log.h>
#include <modsecurity/rule_with_actions.h>

namespace gatehouse::waf {
namespace {

using modsecurity::RuleMessage;
using modsecurity::audit_log::AuditLog;

[[nodiscard]] bool is_printable(char c) noexcept { return c >= 0x20 && c <= 0x7e; }
[[nodiscard]] bool may_be_quoted(char c) noexcept { return is_printable(c) && c != '"' && c != '\\'; }

// Bytes that aren't plain become \xhh.
template <class IsPlain>
void append_escaped(std::string& out, std::string_view text, IsPlain is_plain) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  while (!text.empty()) {
    const auto stop = std::find_if_not(text.begin(), text.end(), is_plain);
    const auto plain = static_cast<std::size_t>(stop - text.begin());
    out.append(text, 0, plain);
    if (stop == text.end()) return;
    const auto byte = static_cast<unsigned char>(*stop);
    out.append({'\\', 'x', kHex[byte >> 4], kHex[byte & 15]});
    text.remove_prefix(plain + 1);
  }
}

void append_limited(std::string& out, std::string_view text) {
  constexpr std::size_t kMost = 200;
  out.append(text, 0, kMost);
  if (text.size() > kMost) out.append(" (").append(std::to_string(text.size() - kMost)).append(" characters omitted)");
}

/// Fields of a line: ` [name "value"]`.
class Fields {
 public:
  explicit Fields(std::string& out) : out_(out) {}

  void add(std::string_view name, std::string_view value) {
    begin(name);
    out_.append(value).append("\"]");
  }
  void add(std::string_view name, int value) { add(name, std::to_string(value)); }
  void add_escaped(std::string_view name, std::string_view value) {
    begin(name);
    append_escaped(out_, value, may_be_quoted);
    out_.append("\"]");
  }
  void add_limited(std::string_view name, std::string_view value) {
    begin(name);
    append_limited(out_, value);
    out_.append("\"]");
  }

 private:
  void begin(std::string_view name) { out_.append(" [").append(name).append(" \""); }
  std::string& out_;
};

void append_line(std::string& out, const RuleMessage& message, int status) {
  std::string line;
  line.reserve(1024);
  if (message.m_isDisruptive) {
    line.append("ModSecurity: Access denied with code ").append(status == -1 ? "%d" : std::to_string(status));
    line.append(" (phase ").append(std::to_string(message.m_rule->getPhase() - 1)).append("). ");
  } else {
    line.append("ModSecurity: Warning. ");
  }
  line.append(message.m_match);
  Fields fields(line);
  fields.add("file", *message.m_ruleFile);
  fields.add("line", message.m_ruleLine);
  fields.add("id", message.m_ruleId);
  fields.add_escaped("rev", message.m_rev);
  fields.add("msg", message.m_message);  // the library leaves the quotes of this one as they are
  std::string data;
  append_limited(data, message.m_data);
  fields.add_escaped("data", data);
  fields.add("severity", message.m_severity);
  fields.add_escaped("ver", message.m_ver);
  fields.add("maturity", message.m_maturity);
  fields.add("accuracy", message.m_accuracy);
  for (const auto& tag : message.m_tags) fields.add_escaped("tag", tag);
  fields.add("hostname", *message.m_serverIpAddress);
  fields.add_limited("uri", *message.m_uriNoQueryStringDecoded);
  fields.add("unique_id", *message.m_id);
  fields.add_limited("ref", message.m_reference);
  append_escaped(out, line, is_printable);
}

}  // namespace

std::string rule_message_text(const RuleMessage& message, int status) {
  std::string text;
  text.reserve(1024);
  append_line(text, message, status);
  return text;
}

std::string native_audit_record(modsecurity::Transaction& transaction, int parts, const std::string& trailer) {
  if ((parts & AuditLog::HAuditLogPart) == 0) return transaction.toOldAuditLogFormat(parts, trailer);
  std::string record = transaction.toOldAuditLogFormat(parts & ~AuditLog::HAuditLogPart, trailer);
  const auto heading = [&](char section) { return "--" + trailer + "-" + section + "--\n"; };
  // In front of the first section that follows it; the last one is always there.
  std::size_t at = std::string::npos;
  for (const char later : {'I', 'J', 'K', 'Z'}) at = std::min(at, record.find(heading(later)));
  std::string section = heading('H');
  for (const auto& message : transaction.m_rulesMessages) {
    append_line(section, message, transaction.m_httpCodeReturned);
    section.push_back('\n');
  }
  section.push_back('\n');
  return record.insert(std::min(at, record.size()), section);
}

}  // namespace gatehouse::waf
