// Rows of the WAF: ModSecurity-nginx's directives and Gatehouse's own.
#include <array>

#include "proxy/config/setters.hpp"
#include "proxy/config/tables.hpp"

namespace gatehouse::config {
namespace {

using L = LocationSettings;
constexpr std::uint32_t kHsl = kHttpServerLocation;

constexpr std::array<Choice<L::WafOnError>, 2> kOnError{
    {{"reject", L::WafOnError::reject}, {"pass", L::WafOnError::pass}}};

// Unlike other lists, a level's rules are added in front of its parent's.
void add_piece(const Use& use, WafRulesPiece::Kind kind, std::string value) {
  auto& rules = use.level.settings->waf_rules;
  bool first = use.first;
  for (const auto* name : {"modsecurity_rules", "modsecurity_rules_file", "modsecurity_rules_remote"}) {
    if (use.row.name != name && use.level.find(name) != nullptr) first = false;
  }
  if (first) {
    auto level = std::make_shared<WafRulesLevel>();
    level->parent = rules;
    rules = std::move(level);
  }
  const_cast<WafRulesLevel&>(*rules).pieces.push_back(  // this level's own, made above as a non-const object
      {kind, std::move(value), use.statement.place(1).position()});
}
void add_file(const Use& use) {
  add_piece(use, WafRulesPiece::Kind::file, use.level.binder->configuration_path(use[1]));
}
void add_text(const Use& use) { add_piece(use, WafRulesPiece::Kind::text, use[1]); }
void add_remote(const Use& use) { add_piece(use, WafRulesPiece::Kind::remote, use[1] + " " + use[2]); }

std::string show_rules(const Level& level, WafRulesPiece::Kind kind) {
  std::string text;
  if (level.settings == nullptr) return text;
  for (const auto* rules = level.settings->waf_rules.get(); rules != nullptr; rules = rules->parent.get()) {
    for (const auto& piece : rules->pieces) {
      if (piece.kind == kind) text += (text.empty() ? "" : "; ") + piece.value;
    }
  }
  return text;
}
std::string show_files(const Level& level) { return show_rules(level, WafRulesPiece::Kind::file); }
std::string show_texts(const Level& level) { return show_rules(level, WafRulesPiece::Kind::text); }
std::string show_remotes(const Level& level) { return show_rules(level, WafRulesPiece::Kind::remote); }

const Directive kRows[] = {
    {"modsecurity", kHsl, kOne, flag<&L::modsecurity>(), "Whether requests are inspected."},
    {"modsecurity_rules_file",
     kHsl,
     kOne,
     {add_file, show_files, "FILE"},
     "SecLang rules from a file; a level's rules run before its parent's, which stay in force."},
    {"modsecurity_rules", kHsl, kOne, {add_text, show_texts, "'RULES'"}, "SecLang rules, as modsecurity_rules_file."},
    {"modsecurity_rules_remote",
     kHsl,
     kTwo,
     {add_remote, show_remotes, "KEY URL"},
     "SecLang rules fetched when the configuration loads."},
    {"modsecurity_transaction_id", kHsl, kOne, value<&L::modsecurity_transaction_id>(),
     "Unique id of a transaction in the logs."},
    {"modsecurity_use_error_log", kHsl, kOne, flag<&L::modsecurity_use_error_log>(),
     "Whether matches go to the error log."},
    {"waf_timeout", kHsl, kOne, time<&L::waf_timeout>(), "Longest wait for a verdict (Gatehouse's own)."},
    {"waf_on_error", kHsl, kOne, choice<&L::waf_on_error, kOnError>("reject | pass"),
     "What becomes of a request that the WAF could not evaluate (Gatehouse's own)."},
};

}  // namespace

std::span<const Directive> waf_directives() { return kRows; }

}  // namespace gatehouse::config
