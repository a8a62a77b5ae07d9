#include "waf/fastpath/build.hpp"

#include <algorithm>
#include <clocale>
#include <cstring>
#include <list>
#include <set>
#include <utility>

#include <modsecurity/audit_log.h>
#include <modsecurity/modsecurity.h>
#include <modsecurity/rules_set.h>

#include "waf/fastpath/pattern_translation.hpp"
#include "waf/fastpath/seclang_lexer.hpp"
#include "waf/library.hpp"

namespace gatehouse::waf::fastpath {
namespace {

/// Rules that SecRuleRemoveById, ByTag and ByMsg take out for every request. One whose tag or message holds a macro
/// stays in: then it is checked, though the library may not run it.
[[nodiscard]] std::function<bool(const Rule&)> removals(const RuleList& rules, modsecurity::RulesSet& loaded) {
  auto& exceptions = loaded.m_exceptions;
  const auto named = [](const Rule& rule, ActionKind kind, const std::list<std::string>& texts) {
    return std::ranges::any_of(rule.actions, [&](const Action& action) {
      return action.kind == kind && std::ranges::find(texts, action.argument) != texts.end();
    });
  };
  std::set<std::int64_t> ids;
  for (const auto& rule : rules.rules) {
    if (rule.kind == RuleKind::marker) continue;
    if (exceptions.contains(static_cast<int>(rule.id)) ||
        named(rule, ActionKind::tag, exceptions.m_remove_rule_by_tag) ||
        named(rule, ActionKind::msg, exceptions.m_remove_rule_by_msg)) {
      ids.insert(rule.id);
    }
  }
  return [ids = std::move(ids)](const Rule& rule) { return ids.contains(rule.id); };
}

/// Whether a removal by tag or message may take out a rule that others depend on, without our knowing.
[[nodiscard]] bool macro_in_removed_text(const RuleList& rules, const modsecurity::RulesSet& loaded) {
  const bool by_tag = !loaded.m_exceptions.m_remove_rule_by_tag.empty();
  const bool by_message = !loaded.m_exceptions.m_remove_rule_by_msg.empty();
  return std::ranges::any_of(rules.rules, [&](const Rule& rule) {
    const bool steers = std::ranges::any_of(rule.actions, [](const Action& action) {
      return action.kind == ActionKind::setvar || action.kind == ActionKind::skip_after;
    });
    const bool macro = std::ranges::any_of(rule.actions, [&](const Action& action) {
      return holds_macro(action.argument) &&
             ((by_tag && action.kind == ActionKind::tag) || (by_message && action.kind == ActionKind::msg));
    });
    return steers && macro;
  });
}

/// What an overlay does to a rule, by its id or a tag.
enum class Fate : std::uint8_t { runs, perhaps, removed };

[[nodiscard]] Fate fate_of(const Overlay& overlay, const Rule& rule) {
  const auto tagged = [&rule](const std::string& tag, bool by_macro) {
    return std::ranges::any_of(rule.actions, [&](const Action& action) {
      return action.kind == ActionKind::tag && (action.argument == tag || (by_macro && holds_macro(action.argument)));
    });
  };
  const bool by_id = std::ranges::any_of(
      overlay.removed_rules, [&](const RuleIdRange& range) { return range.first <= rule.id && rule.id <= range.last; });
  // By id only rules with a condition are not run, by tag every rule.
  if (by_id && rule.kind == RuleKind::rule) return Fate::removed;
  const auto& tags = overlay.removed_tags;
  if (std::ranges::any_of(tags, [&](const std::string& tag) { return tagged(tag, false); })) return Fate::removed;
  const bool perhaps = std::ranges::any_of(tags, [&](const std::string& tag) { return tagged(tag, true); }) ||
                       std::ranges::any_of(overlay.removed_targets, [&](const RemovedTarget& removed) {
                         return removed.rule_or_tag == std::to_string(rule.id) || tagged(removed.rule_or_tag, true);
                       });
  return perhaps ? Fate::perhaps : Fate::runs;
}

/// What is not in the rules themselves but would make the library do more than the plan knows.
[[nodiscard]] std::string refused_property(const modsecurity::RulesSet& loaded) {
  if (!models_linked_pcre2()) return "PCRE2 is not the version whose syntax is modelled";
  const char* locale = std::setlocale(LC_ALL, nullptr);
  if (locale == nullptr || std::strcmp(locale, "C") != 0) return "the locale is not C";
  if (loaded.m_secRequestBodyAccess != modsecurity::RulesSetProperties::TrueConfigBoolean) {
    return "SecRequestBodyAccess is not On";
  }
  if (loaded.m_debugLog != nullptr && loaded.m_debugLog->m_debugLevel > 0 && loaded.m_debugLog->isLogFileSet()) {
    return "the debug log is on";
  }
  if (!loaded.m_exceptions.m_action_pre_update_target_by_id.empty() ||
      !loaded.m_exceptions.m_action_pos_update_target_by_id.empty()) {
    return "SecRuleUpdateActionById";
  }
  return {};
}

[[nodiscard]] FastPathSettings settings_of(const modsecurity::RulesSet& loaded) {
  FastPathSettings settings;
  if (loaded.m_secArgumentSeparator.m_set && !loaded.m_secArgumentSeparator.m_value.empty()) {
    settings.parser.argument_separator = loaded.m_secArgumentSeparator.m_value.front();
  }
  if (loaded.m_argumentsLimit.m_set) {
    settings.parser.arguments_limit = static_cast<std::size_t>(std::max(0.0, loaded.m_argumentsLimit.m_value));
  }
  if (loaded.m_requestBodyNoFilesLimit.m_set) {
    settings.parser.body_no_files_limit =
        static_cast<ByteCount>(std::max(0.0, loaded.m_requestBodyNoFilesLimit.m_value));
  }
  if (loaded.m_requestBodyJsonDepthLimit.m_set) {
    settings.parser.json_depth_limit =
        static_cast<std::size_t>(std::max(0.0, loaded.m_requestBodyJsonDepthLimit.m_value));
  }
  constexpr auto yes = modsecurity::RulesSetProperties::TrueConfigBoolean;
  if (loaded.m_uploadKeepFiles != yes && loaded.m_tmpSaveUploadedFiles != yes) {
    settings.parser.uploads = Uploads::discarded;
  }
  settings.request_body_limit = static_cast<ByteCount>(std::max(0.0, loaded.m_requestBodyLimit.m_value));
  const auto& map = loaded.m_unicodeMapTable;
  if (map.m_set && map.m_unicodeMapTable) {
    constexpr std::size_t entries = 65536;
    settings.unicode_map.resize(entries);
    for (std::size_t i = 0; i < entries; ++i) settings.unicode_map[i] = map.m_unicodeMapTable->at(static_cast<int>(i));
  }
  return settings;
}

}  // namespace

UnderstoodRules understand(std::span<const RuleSource> sources, modsecurity::RulesSet& loaded,
                           modsecurity::ModSecurity& engine) {
  UnderstoodRules result;
  result.refusal = refused_property(loaded);
  if (!result.refusal.empty()) return result;
  auto read = read_rules(sources);
  const auto words = [](const Misread& misread) {
    return misread.where.file + ":" + std::to_string(misread.where.line) + ": " + misread.what;
  };
  if (read.misread) {
    result.refusal = "not understood: " + words(*read.misread);
    return result;
  }
  result.rules = std::move(read.rules);
  if (result.rules.audits_everything) {
    result.refusal = "SecAuditEngine On writes a record of every request";
    return result;
  }
  if (macro_in_removed_text(result.rules, loaded)) {
    result.refusal = "SecRuleRemoveByTag or ByMsg, and a rule whose tag or message holds a macro decides what runs";
    return result;
  }
  result.check = cross_check(result.rules, loaded, engine);
  if (result.check.mismatch) {
    result.refusal = "read differently from the library: " + words(*result.check.mismatch);
    return result;
  }
  result.settings = settings_of(loaded);
  result.removed = removals(result.rules, loaded);
  return result;
}

UnderstoodRules understand(const waf::RuleSet& set, modsecurity::ModSecurity& engine) {
  std::vector<RuleSource> sources;
  for (const auto& text : set.texts()) {
    // Included files are read where their Include stands.
    if (!text.included) sources.push_back({text.name, text.text});
  }
  // The one that keeps the limits as written: nobody evaluates with it.
  auto result = understand(sources, *set.compiled().mergeable, engine);
  // The engine enforces the limit before the library sees the body, and keeps it out of the library's own properties.
  result.settings.request_body_limit = set.facts().request_body.bytes;
  if (set.facts().audit.when == AuditSettings::When::on && result.refusal.empty()) {
    result.refusal = "SecAuditEngine On writes a record of every request";
  }
  return result;
}

OverlayFold fold_of(const UnderstoodRules& understood, const Overlay* overlay, Removals removals) {
  OverlayFold result;
  if (overlay == nullptr) return result;
  const auto pin = [&result](std::initializer_list<const char*> names, const std::optional<int>& value) {
    if (!value) return;
    for (const char* name : names) result.pinned.emplace_back(name, std::to_string(*value));
  };
  // CRS 3 and CRS 4 name them differently.
  pin({"paranoia_level", "executing_paranoia_level", "blocking_paranoia_level", "detection_paranoia_level"},
      overlay->paranoia_level);
  pin({"inbound_anomaly_score_threshold"}, overlay->inbound_anomaly_threshold);
  pin({"outbound_anomaly_score_threshold"}, overlay->outbound_anomaly_threshold);
  result.request_body_limit = overlay->request_body_limit;
  if (overlay->removed_rules.empty() && overlay->removed_tags.empty() && overlay->removed_targets.empty())
    return result;
  for (const auto& removed : overlay->removed_targets) {
    // Constants are TX members: one that a rule no longer looks at would not be constant to it.
    if (equal_ignoring_case(std::string_view(removed.target).substr(0, 2), "TX")) {
      result.refusal = "waf_remove_target of a TX variable";
    }
  }
  for (const auto& rule : understood.rules.rules) {
    const Fate fate = fate_of(*overlay, rule);
    if (fate == Fate::runs || (removals == Removals::shared && !steers(rule, understood.rules))) continue;
    (fate == Fate::removed ? result.removed : result.possible).insert(rule.id);
  }
  result.any_content = removals == Removals::shared;
  return result;
}

BuiltFastPath build(const UnderstoodRules& understood, const OverlayFold& overlay) {
  BuiltFastPath result;
  result.refusal = understood.refusal.empty() ? overlay.refusal : understood.refusal;
  if (!result.refusal.empty()) return result;
  FoldOptions options;
  options.pinned = overlay.pinned;
  options.removed = [&](const Rule& rule) { return overlay.removed.contains(rule.id) || understood.removed(rule); };
  options.possibly_removed = [&](const Rule& rule) {
    return overlay.possible.contains(rule.id) || (overlay.any_content && !steers(rule, understood.rules));
  };
  auto settings = understood.settings;
  if (const auto& limit = overlay.request_body_limit; limit && *limit != 0) {
    settings.request_body_limit =
        std::min(*limit, settings.request_body_limit == 0 ? *limit : settings.request_body_limit);
  }
  auto plan = std::make_shared<const Plan>(fold(understood.rules, options));
  result.plan = plan;
  result.refusal = plan->refusal;
  if (!result.refusal.empty()) return result;
  auto fast_path = std::make_shared<const FastPath>(std::move(plan), std::move(settings));
  result.refusal = fast_path->refusal();
  if (result.refusal.empty()) result.fast_path = std::move(fast_path);
  return result;
}

BuiltFastPath build(const UnderstoodRules& understood, const Overlay* overlay) {
  return build(understood, fold_of(understood, overlay));
}

}  // namespace gatehouse::waf::fastpath
