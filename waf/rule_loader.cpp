#include "waf/rule_loader.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include <modsecurity/actions/action.h>
#include <modsecurity/rule_with_actions.h>
#include <modsecurity/rules.h>
#include <unistd.h>

#include "waf/digest.hpp"
#include "waf/library.hpp"
#include "waf/rule_text.hpp"

namespace gatehouse::waf {
namespace {

using modsecurity::RulesSet;
using modsecurity::RuleWithActions;
using modsecurity::audit_log::AuditLog;

// SecRequestBodyLimit's documented default; libmodsecurity itself has none, and would let a body of any size into
// memory.
constexpr ByteCount kDefaultRequestBodyLimit = 128 * kMiB;
// SecResponseBodyLimit's documented default.
constexpr ByteCount kDefaultResponseBodyLimit = 512 * kKiB;

const SourceLocation& directive_of(const RulePiece& piece) {
  return std::visit([](const auto& p) -> const SourceLocation& { return p.directive; }, piece);
}

std::string trim(std::string text) {
  const auto last = text.find_last_not_of(" \n\r\t");
  text.erase(last == std::string::npos ? 0 : last + 1);
  return text;
}

// The text between `begin` and `end` in `text`; empty if there is none.
std::string_view between(std::string_view text, std::string_view begin, std::string_view end) {
  const auto from = text.find(begin);
  if (from == std::string_view::npos) return {};
  const auto start = from + begin.size();
  const auto to = text.find(end, start);
  return to == std::string_view::npos ? std::string_view() : text.substr(start, to - start);
}

// Calls f for every rule of the set that has an id: markers have none.
template <class F>
void for_each_rule(RulesSet& rules, F f) {
  for (int phase = 0; phase < modsecurity::Phases::NUMBER_OF_PHASES; ++phase)
    for (const auto& rule : rules.m_rulesSetPhases[phase]->m_rules)
      if (const auto* with_actions = dynamic_cast<const RuleWithActions*>(rule.get())) f(*with_actions, phase);
}

std::string where_is(RulesSet& rules, std::int64_t id) {
  std::string place;
  for_each_rule(rules, [&](const RuleWithActions& rule, int) {
    if (rule.m_ruleId == id && place.empty()) place = *rule.getFileName() + ":" + std::to_string(rule.getLineNumber());
  });
  return place;
}

// "Rules error. File: F. Line: L. Column: C. TEXT" -> F:L and TEXT; anything else keeps `fallback`.
RuleSetError parse_error(std::string text, const SourceLocation& fallback, RulesSet* loaded) {
  text = trim(std::move(text));
  SourceLocation location = fallback;
  std::string message = text.empty() ? "libmodsecurity refused the rules without saying why" : text;
  const std::string_view file = between(text, "File: ", ". Line: ");
  const std::string_view line = between(text, ". Line: ", ". Column: ");
  if (!file.empty() && !line.empty()) {
    location.file = file;
    std::from_chars(line.data(), line.data() + line.size(), location.line);
    const auto column = text.find(". Column: ");
    const auto rest = text.find(". ", column + 2);
    message = rest == std::string::npos ? message : text.substr(rest + 2);
  }
  std::string remedy = "compare the line with the SecLang reference of ModSecurity 3";
  if (text.find("is duplicated") != std::string::npos) {
    std::int64_t id = 0;
    const std::string_view number = between(text, "Rule id: ", " is duplicated");
    std::from_chars(number.data(), number.data() + number.size(), id);
    const std::string place = loaded == nullptr ? std::string() : where_is(*loaded, id);
    remedy = "give one of the two rules another id, or remove it" + (place.empty() ? "" : "; one is at " + place);
  } else if (text.find("Not able to open file") != std::string::npos) {
    remedy = "check the path: it is relative to the working directory or to the file that names it";
  } else if (text.find("ailed to open") != std::string::npos) {
    remedy = "check that the path exists and that this process may write there";
  }
  return {std::move(location), std::move(message), std::move(remedy)};
}

BodyLimit limit_of(const modsecurity::ConfigDouble& limit, RulesSet::BodyLimitAction action, BodyLimit fallback) {
  BodyLimit result = fallback;
  if (limit.m_set) result.bytes = limit.m_value > 0 ? static_cast<ByteCount>(limit.m_value) : 0;
  if (action == RulesSet::RejectBodyLimitAction) result.policy = BodyLimitPolicy::reject;
  if (action == RulesSet::ProcessPartialBodyLimitAction) result.policy = BodyLimitPolicy::inspect_prefix;
  return result;
}

AuditSettings audit_settings(AuditLog& log, const AuditDirectives& directives, const SourceLocation& where) {
  if (directives.type == AuditLog::HttpsAuditLogType)
    throw RuleSetError(where, "SecAuditLogType Https is not supported", "use Serial or Concurrent and ship the files");
  AuditSettings settings;
  if (directives.status == AuditLog::OnAuditLogStatus) settings.when = AuditSettings::When::on;
  if (directives.status == AuditLog::RelevantOnlyAuditLogStatus) settings.when = AuditSettings::When::relevant_only;
  if (directives.type == AuditLog::ParallelAuditLogType) settings.type = AuditSettings::Type::concurrent;
  if (log.m_format == AuditLog::JSONAuditLogFormat) settings.format = AuditSettings::Format::json;
  settings.path = log.m_path1;
  settings.second_path = log.m_path2;
  settings.storage_directory = log.m_storage_dir;
  settings.file_mode = static_cast<unsigned>(log.getFilePermission());
  settings.directory_mode = static_cast<unsigned>(log.getDirectoryPermission());
  settings.parts = log.getParts();
  // The library compiles its pattern anew for each transaction; the answer is one of 900 and does not change.
  if (!directives.relevant.empty())
    for (std::size_t status = 100; status < settings.relevant.size(); ++status)
      settings.relevant.set(status, log.isRelevant(static_cast<int>(status)));
  return settings;
}

// libmodsecurity says nothing about an audit log that it cannot write, and neither it nor its connector stops for that.
void warn_of_audit_log(const AuditSettings& settings, std::vector<std::string>& warnings) {
  if (settings.when == AuditSettings::When::off) return;
  const bool serial = settings.type == AuditSettings::Type::serial;
  if (serial && settings.path.empty())
    warnings.push_back("the audit log is on, but no SecAuditLog says where: nothing is recorded");
  if (!serial && settings.storage_directory.empty())
    warnings.push_back("the audit log is on, but no SecAuditLogStorageDir says where: nothing is recorded");
  for (const std::string& path : {settings.path, settings.second_path})
    if (!path.empty() && ::access(path.c_str(), W_OK) != 0)
      warnings.push_back("the audit log '" + path + "' cannot be written: " + std::strerror(errno));
}

RuleSetFacts facts_of(RulesSet& rules) {
  RuleSetFacts facts;
  switch (rules.m_secRuleEngine) {
    case RulesSet::EnabledRuleEngine: facts.engine = EngineState::on; break;
    case RulesSet::DisabledRuleEngine: facts.engine = EngineState::off; break;
    case RulesSet::DetectionOnlyRuleEngine:
    case RulesSet::PropertyNotSetRuleEngine:  // the library evaluates, and runs no disruptive action
      facts.engine = EngineState::detection_only;
      break;
  }
  facts.request_body_access = rules.m_secRequestBodyAccess != RulesSet::FalseConfigBoolean;
  facts.response_body_access = rules.m_secResponseBodyAccess == RulesSet::TrueConfigBoolean;
  facts.request_body = limit_of(rules.m_requestBodyLimit, rules.m_requestBodyLimitAction,
                                {kDefaultRequestBodyLimit, BodyLimitPolicy::reject});
  facts.response_body = limit_of(rules.m_responseBodyLimit, rules.m_responseBodyLimitAction,
                                 {kDefaultResponseBodyLimit, BodyLimitPolicy::inspect_prefix});
  if (rules.m_requestBodyNoFilesLimit.m_set)
    facts.request_body_no_files = static_cast<ByteCount>(std::max(0.0, rules.m_requestBodyNoFilesLimit.m_value));
  facts.all_response_types =
      !rules.m_responseBodyTypeToBeInspected.m_set && rules.m_responseBodyTypeToBeInspected.m_value.empty();
  facts.response_types.insert(rules.m_responseBodyTypeToBeInspected.m_value.begin(),
                              rules.m_responseBodyTypeToBeInspected.m_value.end());
  return facts;
}

// As RuleMessage::_details prints them.
std::vector<std::string> drop_marks(RulesSet& rules) {
  std::array<bool, modsecurity::Phases::NUMBER_OF_PHASES> default_drops{};
  for (std::size_t phase = 0; phase < default_drops.size(); ++phase)
    for (const auto& action : rules.m_defaultActions[phase])
      if (action->m_name != nullptr && *action->m_name == "drop") default_drops[phase] = true;
  std::vector<std::string> marks;
  for_each_rule(rules, [&](const RuleWithActions& rule, int phase) {
    const std::string action = disruptive_action(rule);
    const bool drops = action == "drop" || (rule.hasBlockAction() && default_drops[static_cast<std::size_t>(phase)]);
    if (drops)
      marks.push_back("[file \"" + *rule.getFileName() + "\"] [line \"" + std::to_string(rule.getLineNumber()) +
                      "\"] [id \"" + std::to_string(rule.m_ruleId) + "\"]");
  });
  return marks;
}

void merge(RulesSet& into, RulesSet& from, const SourceLocation& where) {
  if (into.merge(&from) < 0) throw parse_error(into.getParserError(), where, &from);
}

std::size_t load_piece(RulesSet& rules, const RulePiece& piece, const LoadedText& text) {
  // m_parserError accumulates over loads; a failed load ends this set, so that it holds at most the one message.
  const int loaded =
      std::holds_alternative<RemoteRules>(piece)
          ? rules.loadRemote(std::get<RemoteRules>(piece).key.c_str(), std::get<RemoteRules>(piece).url.c_str())
          : rules.load(text.text.c_str(), text.name);
  if (loaded >= 0) return static_cast<std::size_t>(loaded);
  std::string error = rules.getParserError();
  if (const auto* remote = std::get_if<RemoteRules>(&piece); remote != nullptr && error.empty())
    throw RuleSetError(remote->directive, "cannot fetch rules from '" + remote->url + "'",
                       "check that the server answers over https with a certificate this machine trusts");
  throw parse_error(std::move(error), directive_of(piece), &rules);
}

void count(RuleCounts& counts, const RulePiece& piece, std::size_t rules) {
  if (std::holds_alternative<RuleText>(piece)) counts.inline_text += rules;
  if (std::holds_alternative<RuleFile>(piece)) counts.local_files += rules;
  if (std::holds_alternative<RemoteRules>(piece)) counts.remote += rules;
}

std::shared_ptr<const RuleSet> seal(std::unique_ptr<RulesSet> mergeable, RuleSetFacts facts,
                                    std::vector<LoadedText> texts, std::string hash, const SourceLocation& where) {
  auto compiled = std::make_unique<RuleSet::Compiled>();
  compiled->active = std::make_unique<RulesSet>();
  merge(*compiled->active, *mergeable, where);
  silence_audit_log(*compiled->active->m_auditLog);
  unlimit_bodies(*compiled->active);
  compiled->drop_marks = drop_marks(*compiled->active);
  compiled->mergeable = std::move(mergeable);
  return std::make_shared<const RuleSet>(std::move(compiled), std::move(facts), std::move(texts), std::move(hash));
}

}  // namespace

PreparedLevel prepare_level(const RuleLevel& level, std::string_view outer_hash, std::size_t index, std::size_t fetch) {
  PreparedLevel prepared;
  prepared.level = &level;
  Digest digest;
  digest.add(outer_hash);
  for (const RulePiece& piece : level.pieces) {
    LoadedText text;
    text.level = index;
    if (const auto* file = std::get_if<RuleFile>(&piece)) {
      text.name = file->path;
      text.text = without_tabs(read_rule_file(file->path, file->directive));
    } else if (const auto* inline_text = std::get_if<RuleText>(&piece)) {
      text.name = inline_text->directive.file;
      // Line ends in front make the library count as the configuration file does.
      const unsigned line = std::max(1u, inline_text->directive.line);
      text.text = std::string(line - 1, '\n') + without_tabs(inline_text->text);
    } else if (const auto* remote = std::get_if<RemoteRules>(&piece)) {
      digest.add("remote").add(remote->key).add(remote->url).add(std::to_string(fetch));
    }
    std::vector<std::string> data;
    if (!std::holds_alternative<RemoteRules>(piece)) collect_texts(text, prepared.texts, data);
    prepared.pieces.push_back(std::move(text));
    for (const std::string& path : data) digest.add(path).add(read_rule_file(path, directive_of(piece)));
  }
  for (const LoadedText& text : prepared.texts) digest.add(text.name).add(text.text);
  prepared.hash = digest.hex();
  return prepared;
}

std::shared_ptr<const RuleSet> compile_level(PreparedLevel level, std::shared_ptr<const RuleSet> outer,
                                             const PieceObserver& observer) {
  auto rules = std::make_unique<RulesSet>();
  RuleCounts counts = outer == nullptr ? RuleCounts{} : outer->facts().counts;
  for (std::size_t i = 0; i < level.pieces.size(); ++i) {
    const RulePiece& piece = level.level->pieces[i];
    if (observer) observer(directive_of(piece));
    count(counts, piece, load_piece(*rules, piece, level.pieces[i]));
  }
  const SourceLocation where = level.pieces.empty() ? SourceLocation{} : directive_of(level.level->pieces.front());
  std::vector<LoadedText> texts = std::move(level.texts);
  if (outer != nullptr) {
    merge(*rules, *outer->compiled().mergeable, where);
    texts.insert(texts.end(), outer->texts().begin(), outer->texts().end());
  }
  const AuditDirectives directives = audit_directives(*rules->m_auditLog);
  RuleSetFacts facts = facts_of(*rules);
  facts.counts = counts;
  facts.audit = audit_settings(*rules->m_auditLog, directives, where);
  warn_of_audit_log(facts.audit, facts.warnings);
  silence_audit_log(*rules->m_auditLog);
  auto sealed = seal(std::move(rules), std::move(facts), std::move(texts), std::move(level.hash), where);
  sealed->compiled().outer = std::move(outer);
  restore_audit_status(*sealed->compiled().mergeable->m_auditLog, directives);
  return sealed;
}

std::shared_ptr<const RuleSet> empty_rule_set() { return compile_level(PreparedLevel{}, nullptr); }

}  // namespace gatehouse::waf
