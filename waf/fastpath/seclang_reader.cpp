#include "waf/fastpath/seclang_reader.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <sstream>

#include <glob.h>

#include "waf/fastpath/seclang_lexer.hpp"

namespace gatehouse::waf::fastpath {
namespace {

constexpr int include_depth_limit = 32;

/// Directives that the library's own properties show us, or that it ignores; one line each.
constexpr std::array configuration_directives{"SecArgumentSeparator",
                                              "SecArgumentsLimit",
                                              "SecAuditEngine",
                                              "SecAuditLog",
                                              "SecAuditLog2",
                                              "SecAuditLogDirMode",
                                              "SecAuditLogFileMode",
                                              "SecAuditLogFormat",
                                              "SecAuditLogParts",
                                              "SecAuditLogRelevantStatus",
                                              "SecAuditLogStorageDir",
                                              "SecAuditLogType",
                                              "SecCollectionTimeout",
                                              "SecComponentSignature",
                                              "SecConnEngine",
                                              "SecContentInjection",
                                              "SecCookieFormat",
                                              "SecDataDir",
                                              "SecDebugLog",
                                              "SecDebugLogLevel",
                                              "SecDisableBackendCompression",
                                              "SecGeoLookupDb",
                                              "SecHashEngine",
                                              "SecHttpBlKey",
                                              "SecInterceptOnError",
                                              "SecPcreMatchLimit",
                                              "SecPcreMatchLimitRecursion",
                                              "SecRequestBodyAccess",
                                              "SecRequestBodyJsonDepthLimit",
                                              "SecRequestBodyLimit",
                                              "SecRequestBodyLimitAction",
                                              "SecRequestBodyNoFilesLimit",
                                              "SecResponseBodyAccess",
                                              "SecResponseBodyLimit",
                                              "SecResponseBodyLimitAction",
                                              "SecResponseBodyMimeType",
                                              "SecResponseBodyMimeTypesClear",
                                              "SecRuleEngine",
                                              "SecRuleInheritance",
                                              "SecRuleRemoveById",
                                              "SecRuleRemoveByMsg",
                                              "SecRuleRemoveByTag",
                                              "SecStatusEngine",
                                              "SecTmpDir",
                                              "SecTmpSaveUploadedFiles",
                                              "SecUnicodeMapFile",
                                              "SecUploadDir",
                                              "SecUploadFileLimit",
                                              "SecUploadFileMode",
                                              "SecUploadKeepFiles",
                                              "SecWebAppId",
                                              "SecXmlExternalEntity"};

[[nodiscard]] std::optional<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

[[nodiscard]] std::vector<std::string> expand(const std::string& pattern) {
  std::vector<std::string> paths;
  glob_t found{};
  if (::glob(pattern.c_str(), 0, nullptr, &found) == 0) {
    for (std::size_t i = 0; i < found.gl_pathc; ++i) paths.emplace_back(found.gl_pathv[i]);
  }
  ::globfree(&found);
  std::erase_if(paths, [](const std::string& path) { return !std::ifstream(path); });
  return paths;
}

[[nodiscard]] std::vector<std::string> find_included(const std::string& pattern, const std::string& including_file) {
  if (auto paths = expand(pattern); !paths.empty()) return paths;
  const auto slash = including_file.find_last_of("/\\");
  return expand((slash == std::string::npos ? including_file : including_file.substr(0, slash)) + "/" + pattern);
}

class Reader {
 public:
  explicit Reader(RuleList& rules) : rules_(rules) {}

  void source(const RuleSource& source) {
    head_ = nullptr;
    open_ = false;
    text(source.text, source.name, 0);
    if (open_) throw NotUnderstood{head_->origin, "a chain without its last rule"};
  }

 private:
  void file(const std::string& path, int depth) {
    const auto content = read_file(path);
    if (!content) throw NotUnderstood{{path, 0}, "the file cannot be read"};
    text(*content, path, depth);
  }

  void text(const std::string& content, const std::string& name, int depth) {
    if (content.find('\0') != std::string::npos) throw NotUnderstood{{name, 0}, "a NUL byte"};
    SeclangLexer lexer(content, name);
    for (lexer.skip_to_directive(); !lexer.at_end(); lexer.skip_to_directive()) directive(lexer, name, depth);
  }

  void directive(SeclangLexer& lexer, const std::string& file_name, int depth) {
    const auto where = lexer.origin();
    const std::string word(lexer.word());
    if (equal_ignoring_case(word, "SecRule")) return rule(lexer, where);
    if (equal_ignoring_case(word, "SecAction")) return sec_action(lexer, where);
    if (equal_ignoring_case(word, "SecDefaultAction")) return default_action(lexer);
    if (equal_ignoring_case(word, "SecMarker")) return marker(lexer, where);
    if (equal_ignoring_case(word, "Include")) return include(lexer, file_name, depth);
    if (equal_ignoring_case(word, "SecRuleUpdateTargetById")) return update(lexer, where, UpdateKey::id);
    if (equal_ignoring_case(word, "SecRuleUpdateTargetByTag")) return update(lexer, where, UpdateKey::tag);
    if (equal_ignoring_case(word, "SecRuleUpdateTargetByMsg")) return update(lexer, where, UpdateKey::message);
    if (equal_ignoring_case(word, "SecRuleUpdateActionById")) {
      rules_.action_updates.push_back(where);
      throw NotUnderstood{where, "SecRuleUpdateActionById"};
    }
    const bool known = std::ranges::any_of(configuration_directives,
                                           [&](std::string_view name) { return equal_ignoring_case(name, word); });
    if (!known) throw NotUnderstood{where, "unknown directive " + word};
    const auto line = lexer.rest_of_line();
    refuse_second_directive(line, where);
    if (equal_ignoring_case(word, "SecAuditEngine") && equal_ignoring_case(line, "On")) rules_.audits_everything = true;
  }

  // The scanner does not care for line ends: a second directive could follow on the same line.
  static void refuse_second_directive(std::string_view line, const Origin& where) {
    for (std::size_t at = line.find_first_of(" \t"); at != std::string_view::npos;
         at = line.find_first_of(" \t", at + 1)) {
      const auto rest = line.substr(at + 1);
      if (equal_ignoring_case(rest.substr(0, 3), "sec") || equal_ignoring_case(rest.substr(0, 8), "include ")) {
        throw NotUnderstood{where, "two directives on one line"};
      }
    }
  }

  static int phase_of(const std::string& text, const Origin& where) {
    if (text.size() == 1 && text[0] >= '0' && text[0] <= '5') return text[0] - '0';
    if (equal_ignoring_case(text, "request")) return 2;
    if (equal_ignoring_case(text, "response")) return 4;
    if (equal_ignoring_case(text, "logging")) return 5;
    throw NotUnderstood{where, "unknown phase " + text};
  }

  static void settle(Rule& rule) {
    for (const auto& action : rule.actions) {
      switch (action.kind) {
        case ActionKind::id: {
          const auto& text = action.argument;
          const auto end = text.data() + text.size();
          const auto parsed = std::from_chars(text.data(), end, rule.id);
          if (parsed.ec != std::errc{} || parsed.ptr != end) throw NotUnderstood{rule.origin, "id " + text};
          break;
        }
        case ActionKind::phase: rule.phase = phase_of(action.argument, rule.origin); break;
        case ActionKind::capture: rule.capture = true; break;
        case ActionKind::multi_match: rule.multi_match = true; break;
        case ActionKind::chain: rule.chained = true; break;
        default: break;
      }
    }
  }

  void rule(SeclangLexer& lexer, const Origin& where) {
    Rule rule;
    rule.origin = where;
    lexer.skip_blanks();
    rule.variables = lexer.targets();
    lexer.skip_blanks();
    rule.op = lexer.condition();
    if (!lexer.consume_line_end()) {
      lexer.skip_blanks();
      rule.actions = lexer.actions(rule.transformations);
      if (!lexer.consume_line_end()) lexer.fail("text after the actions");
    }
    settle(rule);
    add(std::move(rule));
  }

  void sec_action(SeclangLexer& lexer, const Origin& where) {
    Rule rule;
    rule.kind = RuleKind::action;
    rule.origin = where;
    lexer.skip_blanks();
    rule.actions = lexer.actions(rule.transformations);
    if (!lexer.consume_line_end()) lexer.fail("text after the actions");
    settle(rule);
    if (rule.chained) throw NotUnderstood{where, "SecAction with chain"};
    // A SecAction does not end a chain that is still open.
    if (open_) throw NotUnderstood{where, "SecAction inside a chain"};
    rules_.rules.push_back(std::move(rule));
  }

  void add(Rule rule) {
    const bool more = rule.chained;
    if (open_) {
      rule.phase = head_->phase;
      head_->chain.push_back(std::move(rule));
    } else {
      rules_.rules.push_back(std::move(rule));
      head_ = &rules_.rules.back();
    }
    open_ = more;
  }

  void default_action(SeclangLexer& lexer) {
    const auto where = lexer.origin();
    lexer.skip_blanks();
    std::vector<Transformation> transformations;
    const auto actions = lexer.actions(transformations);
    if (!lexer.consume_line_end()) lexer.fail("text after the actions");
    int phase = 1;
    for (const auto& action : actions) {
      if (action.kind == ActionKind::phase) phase = phase_of(action.argument, where);
    }
    auto& defaults = rules_.default_actions.at(static_cast<std::size_t>(phase));
    for (const auto& action : actions) {
      if (action.kind != ActionKind::phase) defaults.actions.push_back(action);
    }
    defaults.transformations.insert(defaults.transformations.end(), transformations.begin(), transformations.end());
  }

  void marker(SeclangLexer& lexer, const Origin& where) {
    if (open_) throw NotUnderstood{where, "SecMarker inside a chain"};
    auto name = lexer.rest_of_line();
    if (name.size() > 2 && name.front() == '"' && name.back() == '"') name = name.substr(1, name.size() - 2);
    if (name.empty() || name.find_first_of("\", \t") != std::string_view::npos)
      throw NotUnderstood{where, "SecMarker's name"};
    Rule rule;
    rule.kind = RuleKind::marker;
    rule.origin = where;
    rule.marker = name;
    rules_.rules.push_back(std::move(rule));
    head_ = nullptr;
  }

  void include(SeclangLexer& lexer, const std::string& file_name, int depth) {
    const auto where = lexer.origin();
    auto pattern = lexer.rest_of_line();
    if (pattern.size() > 2 && pattern.front() == '"' && pattern.back() == '"') {
      throw NotUnderstood{where, "Include with quotes"};
    }
    if (depth >= include_depth_limit) throw NotUnderstood{where, "Include nested too deeply"};
    const auto plain = [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
             std::string_view("_/.-*:").find(c) != std::string_view::npos;
    };
    if (pattern.empty() || !std::ranges::all_of(pattern, plain)) throw NotUnderstood{where, "Include's path"};
    const auto paths = find_included(std::string(pattern), file_name);
    if (paths.empty()) throw NotUnderstood{where, "Include finds no file"};
    for (const auto& path : paths) file(path, depth + 1);
  }

  void update(SeclangLexer& lexer, const Origin& where, UpdateKey key) {
    lexer.skip_blanks();
    TargetUpdate update{.key = key, .text = {}, .variables = {}, .origin = where};
    const auto line = lexer.rest_of_line();
    std::size_t end = 0;
    if (line.starts_with('"')) {
      end = line.find('"', 1);
      if (end == std::string_view::npos) throw NotUnderstood{where, "an open quote"};
      update.text = line.substr(1, end - 1);
      ++end;
    } else {
      end = std::min(line.find_first_of(" \t,"), line.size());
      update.text = line.substr(0, end);
    }
    auto targets = line.substr(end);
    const auto first = targets.find_first_not_of(" \t");
    if (first == std::string_view::npos || first == 0) throw NotUnderstood{where, "the targets of an update"};
    std::string text(targets.substr(first));
    std::ranges::replace(text, ',', '|');
    text += ' ';
    SeclangLexer inner(text, where.file);
    update.variables = inner.targets();
    if (!inner.consume_line_end()) throw NotUnderstood{where, "text after the targets of an update"};
    rules_.target_updates.push_back(std::move(update));
  }

  RuleList& rules_;
  Rule* head_ = nullptr;  // last rule outside a chain, owner of the open chain
  bool open_ = false;     // the last rule said `chain`
};

/// Own transformations -> effective ones: defaults count only where no t:none is said, and nothing before the last
/// t:none.
void resolve_transformations(Rule& rule, const RuleList& rules) {
  auto& own = rule.transformations;
  const auto last_none = std::find(own.rbegin(), own.rend(), Transformation::none);
  if (last_none != own.rend()) {
    own.erase(own.begin(), last_none.base());
  } else if (const auto& defaults = rules.default_actions.at(static_cast<std::size_t>(rule.phase)).transformations;
             !defaults.empty()) {
    own.insert(own.begin(), defaults.begin(), defaults.end());
  }
  for (auto& child : rule.chain) resolve_transformations(child, rules);
}

}  // namespace

ReadRules read_rules(std::span<const RuleSource> sources) {
  ReadRules result;
  try {
    Reader reader(result.rules);
    for (const auto& source : sources) reader.source(source);
    for (auto& rule : result.rules.rules) {
      if (rule.kind == RuleKind::rule) resolve_transformations(rule, result.rules);
    }
  } catch (const NotUnderstood& error) {
    result.rules = {};
    result.misread = Misread{error.where, error.what};
  }
  return result;
}

}  // namespace gatehouse::waf::fastpath
