// Rows of the WAF: ModSecurity-nginx's directives and Gatehouse's own.
#include <algorithm>
#include <array>
#include <limits>
#include <string_view>

#include "proxy/config/setters.hpp"
#include "proxy/config/tables.hpp"

namespace gatehouse::config {
namespace {

using L = LocationSettings;
constexpr std::uint32_t kHsl = kHttpServerLocation;

constexpr std::array<Choice<L::WafOnError>, 2> kOnError{
    {{"reject", L::WafOnError::reject}, {"pass", L::WafOnError::pass}}};

// `inherit` has no word: it is what a place without the directive does.
constexpr std::array<Choice<L::WafMode>, 3> kModes{
    {{"off", L::WafMode::off}, {"detect", L::WafMode::detect}, {"block", L::WafMode::block}}};
constexpr std::array<Choice<L::WafFastPath>, 4> kFastPath{{{"on", L::WafFastPath::on},
                                                           {"off", L::WafFastPath::off},
                                                           {"shadow", L::WafFastPath::shadow},
                                                           {"force", L::WafFastPath::force}}};
constexpr std::array<Choice<L::WafBodyPolicy>, 3> kBodyPolicy{{{"reject", L::WafBodyPolicy::reject},
                                                               {"inspect_prefix", L::WafBodyPolicy::inspect_prefix},
                                                               {"pass", L::WafBodyPolicy::pass}}};

constexpr std::uint64_t kHighestRule = std::numeric_limits<std::int32_t>::max();  // libmodsecurity's ids are int

std::int64_t read_rule_id(const Use& use, std::size_t word, std::string_view digits) {
  const auto id = parse_number(digits);
  if (!id || *id < 1 || *id > kHighestRule) {
    refuse(use, word, fmt::format("invalid rule id \"{}\"", use[word]),
           "an id is such as 942100, a range 942100-942199");
  }
  return static_cast<std::int64_t>(*id);
}

void remove_rules(const Use& use) {
  bool first = use.first;
  for (std::size_t i = 1; i <= use.count(); ++i) {
    const std::string_view word = use[i];
    const std::size_t dash = word.find('-');
    WafRuleRange range;
    range.first = range.last = read_rule_id(use, i, word.substr(0, dash));
    if (dash != std::string_view::npos) range.last = read_rule_id(use, i, word.substr(dash + 1));
    if (range.last < range.first) refuse(use, i, fmt::format("range \"{}\" ends before it begins", use[i]));
    append<&L::waf_remove_rule>(Use{use.level, use.statement, use.row, first}, range);
    first = false;
  }
}

void remove_tags(const Use& use) {
  bool first = use.first;
  for (std::size_t i = 1; i <= use.count(); ++i) {
    if (use[i].empty()) refuse(use, i, "empty tag");
    append<&L::waf_remove_tag>(Use{use.level, use.statement, use.row, first}, use[i]);
    first = false;
  }
}

// What libmodsecurity compares with: a variable as its log names it, "ARGS:comment" or "REQUEST_BODY". A whole collection
// would be taken without a word and remove nothing.
bool is_target(std::string_view text) {
  constexpr std::array<std::string_view, 14> kCollections = {"ARGS",
                                                             "ARGS_GET",
                                                             "ARGS_POST",
                                                             "ARGS_NAMES",
                                                             "ARGS_GET_NAMES",
                                                             "ARGS_POST_NAMES",
                                                             "FILES",
                                                             "FILES_NAMES",
                                                             "REQUEST_COOKIES",
                                                             "REQUEST_HEADERS",
                                                             "REQUEST_COOKIES_NAMES",
                                                             "TX",
                                                             "RESPONSE_HEADERS",
                                                             "XML"};
  const std::string_view collection = text.substr(0, text.find(':'));
  if (collection.empty() || collection.size() + 1 == text.size()) return false;
  if (std::find(kCollections.begin(), kCollections.end(), text) != kCollections.end()) return false;
  return std::all_of(collection.begin(), collection.end(),
                     [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_'; });
}

void remove_target(const Use& use) {
  if (use[1].empty()) refuse(use, 1, "empty rule or tag");
  if (!is_target(use[2])) {
    refuse(use, 2, fmt::format("invalid variable \"{}\"", use[2]),
           "a variable is such as ARGS:comment, REQUEST_HEADERS:User-Agent or REQUEST_BODY");
  }
  append<&L::waf_remove_target>(use, WafRemovedTarget{use[1], use[2]});
}

void set_thresholds(const Use& use) {
  if (!use.first) refuse(use, 0, "is duplicate");
  auto& settings = *use.level.settings;
  settings.waf_inbound_anomaly_threshold = static_cast<int>(read_number(use, 1, 1, 1'000'000));
  if (use.count() > 1) settings.waf_outbound_anomaly_threshold = static_cast<int>(read_number(use, 2, 1, 1'000'000));
}

void set_body_limit(const Use& use) {
  if (!use.first) refuse(use, 0, "is duplicate");
  auto& settings = *use.level.settings;
  settings.waf_body_limit = read_size(use, 1, Gigabytes::accepted);
  if (*settings.waf_body_limit == 0) refuse(use, 1, "must not be 0");
  settings.waf_body_policy.reset();
  if (use.count() < 2) return;
  for (const auto& entry : kBodyPolicy) {
    if (use[2] == entry.name) settings.waf_body_policy = entry.value;
  }
  if (!settings.waf_body_policy)
    throw Invalid{fmt::format("invalid value \"{}\"", use[2]), 2, choice_names(kBodyPolicy)};
}

template <class List, class Text>
std::string joined(const std::shared_ptr<const List>& list, Text text) {
  std::string result;
  if (!list) return result;
  for (const auto& entry : *list) result += (result.empty() ? "" : " ") + text(entry);
  return result;
}
std::string show_removed_rules(const Level& level) {
  if (level.settings == nullptr) return {};
  return joined(level.settings->waf_remove_rule, [](const WafRuleRange& range) {
    return range.first == range.last ? fmt::to_string(range.first) : fmt::format("{}-{}", range.first, range.last);
  });
}
std::string show_removed_tags(const Level& level) {
  if (level.settings == nullptr) return {};
  return joined(level.settings->waf_remove_tag, [](const std::string& tag) { return tag; });
}
std::string show_removed_targets(const Level& level) {
  if (level.settings == nullptr) return {};
  return joined(level.settings->waf_remove_target,
                [](const WafRemovedTarget& removed) { return removed.rule_or_tag + " " + removed.target; });
}
std::string show_thresholds(const Level& level) {
  if (level.settings == nullptr || !level.settings->waf_inbound_anomaly_threshold) return {};
  const auto& outbound = level.settings->waf_outbound_anomaly_threshold;
  return fmt::to_string(*level.settings->waf_inbound_anomaly_threshold) +
         (outbound ? " " + fmt::to_string(*outbound) : std::string());
}
std::string show_body_limit(const Level& level) {
  if (level.settings == nullptr || !level.settings->waf_body_limit) return {};
  std::string text = format_size(*level.settings->waf_body_limit);
  for (const auto& entry : kBodyPolicy) {
    if (entry.value == level.settings->waf_body_policy) text += " " + std::string(entry.name);
  }
  return text;
}

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
    {"waf_timeout", kHsl, kOne, time<&L::waf_timeout>(),
     "Longest wait until an evaluation by libmodsecurity begins; beyond it waf_on_error decides (Gatehouse's own)."},
    {"waf_on_error", kHsl, kOne, choice<&L::waf_on_error, kOnError>("reject | pass"),
     "What becomes of a request that the WAF could not evaluate (Gatehouse's own)."},
    {"waf_mode", kHsl, kOne, choice<&L::waf_mode, kModes>("off | detect | block"),
     "What matches lead to here, whatever SecRuleEngine says (Gatehouse's own)."},
    {"waf_fast_path", kHsl, kOne, choice<&L::waf_fast_path, kFastPath>("on | off | shadow | force"),
     "Whether requests that are proven clean skip the rules; shadow: the rules decide, and the proof is compared with "
     "them; "
     "force: on even with a libmodsecurity that it was not compared with (Gatehouse's own)."},
    {"waf_shadow_sample", kHsl, kOne, number<&L::waf_shadow_sample>(),
     "The rules also look, afterwards, at one of so many requests that were proven clean; 0: at none (Gatehouse's "
     "own)."},
    {"waf_remove_rule",
     kHsl,
     kOneOrMore,
     {remove_rules, show_removed_rules, "ID | FIRST-LAST ..."},
     "Rules that do not run here (Gatehouse's own)."},
    {"waf_remove_tag",
     kHsl,
     kOneOrMore,
     {remove_tags, show_removed_tags, "TAG ..."},
     "Rules with one of these tags do not run here (Gatehouse's own)."},
    {"waf_remove_target",
     kHsl,
     kTwo,
     {remove_target, show_removed_targets, "ID | TAG VARIABLE"},
     "A variable that the rule of this id, or the rules with this tag, do not look at here (Gatehouse's own)."},
    {"waf_paranoia_level", kHsl, kOne, number<&L::waf_paranoia_level, 1, 4>(),
     "CRS paranoia level here (Gatehouse's own)."},
    {"waf_anomaly_threshold",
     kHsl,
     {1, 2},
     {set_thresholds, show_thresholds, "INBOUND [OUTBOUND]"},
     "CRS anomaly scores from which requests and responses are refused here (Gatehouse's own)."},
    {"waf_body_limit",
     kHsl,
     {1, 2},
     {set_body_limit, show_body_limit, "SIZE [reject | inspect_prefix | pass]"},
     "How much of a request body is inspected here, and what becomes of a longer one (Gatehouse's own)."},
};

}  // namespace

std::span<const Directive> waf_directives() { return kRows; }

}  // namespace gatehouse::config
