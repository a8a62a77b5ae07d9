// Rows of rewriting: map, set, if, rewrite, break, return, error_page.
#include <algorithm>
#include <array>

#include "proxy/config/blocks.hpp"
#include "proxy/config/setters.hpp"
#include "proxy/config/tables.hpp"

namespace gatehouse::config {
namespace {

using L = LocationSettings;
constexpr std::uint32_t kRewriteContexts = kServer | kLocation | kServerIf | kLocationIf;

Program& program(const Use& use) { return *use.level.program; }

bool is_absolute(std::string_view url) {
  return url.starts_with("http://") || url.starts_with("https://") || url.starts_with("$scheme");
}

// --- map
// -----------------------------------------------------------------------------------------------------------------

void add_map_entry(const Use& use, const Statement& entry, VariableMap& map) {
  auto& binder = *use.level.binder;
  const auto& key = entry.name();
  if (entry.argument_count() == 0 && key == "volatile") {
    map.volatile_value = true;
    return;
  }
  if (entry.argument_count() == 0 && key == "hostnames") {
    map.hostnames = true;
    return;
  }
  if (entry.has_block || entry.argument_count() != 1) throw Invalid{"invalid number of the map parameters", 0};
  auto value = binder.variables().compile(entry[1], entry.place(1), 1);
  if (key == "default") {
    if (!map.set_default(std::move(value))) throw Invalid{"duplicate default map parameter", 0};
    return;
  }
  if (key.starts_with('~')) {
    const bool caseless = key.starts_with("~*");
    map.add_regex(binder.compile_regex(key.substr(caseless ? 2 : 1), caseless, 0), std::move(value));
    return;
  }
  const auto text = key.starts_with('\\') ? key.substr(1) : key;
  if (!map.add(text, std::move(value))) throw Invalid{fmt::format("conflicting parameter \"{}\"", key), 0};
}

void set_map(const Use& use) {
  auto& binder = *use.level.binder;
  if (!use[2].starts_with('$') || use[2].size() < 2)
    throw Invalid{fmt::format("invalid variable name \"{}\"", use[2]), 2};
  const auto slot = binder.variables().define(std::string_view(use[2]).substr(1), 2);
  auto map = std::make_unique<VariableMap>();
  map->source = read_value(use);
  // "hostnames" holds for the entries behind it, so it is looked for in the order of the text as nginx does.
  for (const auto& entry : use.statement.block) {
    try {
      add_map_entry(use, entry, *map);
    } catch (const Invalid& invalid) {
      binder.reporter().error(entry.place(invalid.word), invalid.text, invalid.hint);
    }
  }
  binder.define_table(slot, std::move(map));
}

// --- set, rewrite, break, return
// -------------------------------------------------------------------------------------------

void set_set(const Use& use) {
  if (!use[1].starts_with('$') || use[1].size() < 2)
    throw Invalid{fmt::format("invalid variable name \"{}\"", use[1]), 1};
  const auto name = std::string_view(use[1]).substr(1);
  auto& variables = use.level.binder->variables();
  SetStep step;
  if (const auto builtin = variables.settable_builtin(name)) {
    step.target = *builtin;
  } else {
    step.target = {VariableRef::Kind::user, variables.define(name, 1), {}};
    use.level.binder->note_set(step.target.index);
  }
  step.value = read_value(use, 2);
  program(use).emplace_back(std::move(step));
}

void set_rewrite(const Use& use) {
  RewriteStep step;
  std::string replacement = use[2];
  if (is_absolute(replacement)) step.flag = RewriteStep::Flag::redirect;
  if (use.count() == 3) {
    constexpr std::array<Choice<RewriteStep::Flag>, 4> kFlags{{{"last", RewriteStep::Flag::last},
                                                               {"break", RewriteStep::Flag::stop},
                                                               {"redirect", RewriteStep::Flag::redirect},
                                                               {"permanent", RewriteStep::Flag::permanent}}};
    const auto found = std::ranges::find(kFlags, use[3], &Choice<RewriteStep::Flag>::name);
    if (found == kFlags.end()) throw Invalid{fmt::format("invalid parameter \"{}\"", use[3]), 3, choice_names(kFlags)};
    step.flag = found->value;
  }
  if (replacement.ends_with('?')) {
    step.append_arguments = false;
    replacement.pop_back();
  }
  step.sets_arguments = replacement.find('?') != std::string::npos;
  step.regex = use.level.binder->compile_regex(use[1], false, 1);
  step.replacement = read_value(use, 2, replacement);
  program(use).emplace_back(std::move(step));
}

void set_break(const Use& use) { program(use).emplace_back(BreakStep{}); }

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

void set_return(const Use& use) {
  ReturnAction action;
  const auto code = parse_number(use[1]);
  if (code && *code <= 999) {
    action.status = static_cast<int>(*code);
    if (use.count() > 1) action.text = read_value(use, 2);
    if (is_redirect(action.status) && !action.text) action.text = ComplexValue();
  } else {
    if (use.count() > 1 || !is_absolute(use[1])) {
      throw Invalid{fmt::format("invalid return code \"{}\"", use[1]), 1, "a code from 0 to 999, or a URL alone"};
    }
    action.status = 302;
    action.text = read_value(use, 1);
  }
  const bool alone = program(use).empty() && (use.level.context == kServer || use.level.context == kLocation);
  if (alone) use.level.location->return_action = action;
  program(use).emplace_back(std::move(action));
}
std::string show_return(const Level& level) {
  if (level.location == nullptr || !level.location->return_action) return "";
  const auto& action = *level.location->return_action;
  return std::to_string(action.status) + (action.text ? fmt::format(" \"{}\"", action.text->source()) : "");
}

// --- if
// --------------------------------------------------------------------------------------------------------------------

// The words between the parentheses; the parentheses may stand apart or stick to a word.
std::vector<std::pair<std::string, std::size_t>> condition_words(const Use& use) {
  std::vector<std::pair<std::string, std::size_t>> words;
  for (std::size_t i = 1; i <= use.count(); ++i) words.emplace_back(use[i], i);
  if (!words.front().first.starts_with('(')) {
    throw Invalid{fmt::format("invalid condition \"{}\"", use[1]), 1, "a condition stands in parentheses"};
  }
  words.front().first.erase(0, 1);
  if (words.front().first.empty()) words.erase(words.begin());
  if (words.empty() || !words.back().first.ends_with(')')) {
    throw Invalid{fmt::format("invalid condition \"{}\"", use[use.count()]), use.count(), "the \")\" is missing"};
  }
  words.back().first.pop_back();
  if (words.back().first.empty()) words.pop_back();
  if (words.empty()) throw Invalid{fmt::format("invalid condition \"{}\"", use[use.count()]), 1};
  return words;
}

bool read_file_test(std::string_view operation, Condition& condition) {
  condition.negated = operation.starts_with('!');
  if (condition.negated) operation.remove_prefix(1);
  constexpr std::array<Choice<Condition::Test>, 4> kTests{{{"-f", Condition::Test::file},
                                                           {"-d", Condition::Test::directory},
                                                           {"-e", Condition::Test::exists},
                                                           {"-x", Condition::Test::executable}}};
  const auto found = std::ranges::find(kTests, operation, &Choice<Condition::Test>::name);
  if (found == kTests.end()) return false;
  condition.test = found->value;
  return true;
}

Condition read_condition(const Use& use) {
  const auto words = condition_words(use);
  auto& binder = *use.level.binder;
  const auto compile = [&](std::size_t i) {
    return binder.variables().compile(words[i].first, use.statement.place(words[i].second), words[i].second);
  };
  const auto refuse_last = [&]() {
    throw Invalid{fmt::format("invalid condition \"{}\"", words.back().first), words.back().second};
  };
  Condition condition;
  const std::string_view first = words[0].first;
  if (first.size() > 1 && first[0] == '$') {
    condition.subject = compile(0);
    if (words.size() == 1) {
      // "$scheme=http" without blanks is a name that no variable has.
      if (const std::size_t end = first.find_first_of("=!~"); end != std::string_view::npos) {
        throw Invalid{fmt::format("unknown \"{}\" variable", first.substr(1)), words[0].second,
                      "blanks stand around the operator: if ($name = value)"};
      }
      return condition;
    }
    const std::string_view operation = words[1].first;
    constexpr std::array<std::string_view, 6> kOperations{"=", "!=", "~", "~*", "!~", "!~*"};
    if (std::ranges::find(kOperations, operation) == kOperations.end()) {
      throw Invalid{fmt::format("unexpected \"{}\" in condition", operation), words[1].second,
                    "one of = != ~ ~* !~ !~*"};
    }
    if (words.size() != 3) refuse_last();
    condition.negated = operation.starts_with('!');
    if (operation.ends_with('=')) {
      condition.test = Condition::Test::equal;
      condition.operand = compile(2);
    } else {
      condition.test = Condition::Test::match;
      condition.regex = binder.compile_regex(words[2].first, operation.ends_with('*'), words[2].second);
    }
    return condition;
  }
  if (!read_file_test(first, condition) || words.size() != 2) refuse_last();
  condition.subject = compile(1);
  return condition;
}

void set_if(const Use& use) {
  auto& binder = *use.level.binder;
  IfStep step;
  step.condition = read_condition(use);
  const bool in_location = use.level.context == kLocation;
  auto level = use.level.inner(in_location ? kLocationIf : kServerIf, use.statement);
  std::shared_ptr<Location> settings;
  if (in_location) {
    // As nginx's noname location: it inherits what the location does with a request, too.
    const auto& outer = *use.level.location;
    settings = std::make_shared<Location>();
    settings->kind = outer.kind;
    settings->path = outer.path;
    settings->regex = outer.regex;
    settings->label = outer.label;
    settings->internal = outer.internal;
    settings->position = use.statement.place().position();
    settings->settings = outer.settings;
    settings->proxy_pass = outer.proxy_pass;
    settings->handler = outer.handler;
    settings->limit_except = outer.limit_except;
    settings->try_files = outer.try_files;
    level.location = settings.get();
    level.settings = &settings->settings;
  }
  Program block;
  level.program = &block;
  binder.bind_block(use.statement.block, level);
  step.program = std::move(block);
  step.settings = std::move(settings);
  program(use).emplace_back(std::move(step));
}

// --- error_page
// --------------------------------------------------------------------------------------------------------------

void add_error_page(const Use& use) {
  ErrorPage page;
  std::size_t last_code = use.count() - 1;
  const std::string_view status = use[last_code];
  if (status.starts_with('=')) {
    page.status = status.size() == 1 ? ErrorPage::Status::of_the_page : ErrorPage::Status::fixed;
    if (status.size() > 1) {
      const auto code = parse_number(status.substr(1));
      if (!code || *code > 999) throw Invalid{fmt::format("invalid value \"{}\"", status), last_code};
      page.fixed_status = static_cast<int>(*code);
    }
    --last_code;
  }
  if (last_code == 0) refuse(use, 1, "invalid number of arguments");
  for (std::size_t i = 1; i <= last_code; ++i) {
    const auto code = parse_number(use[i]);
    if (!code) throw Invalid{fmt::format("invalid value \"{}\"", use[i]), i};
    if (*code == 499 || *code < 300 || *code > 599) {
      throw Invalid{fmt::format("value \"{}\" must be between 300 and 599", use[i]), i};
    }
    page.codes.push_back(static_cast<int>(*code));
  }
  page.uri = read_value(use, use.count());
  append<&L::error_page>(use, std::move(page));
}
std::string show_error_pages(const Level& level) {
  std::string text;
  if (level.settings == nullptr || !level.settings->error_page) return text;
  for (const auto& page : *level.settings->error_page) {
    if (!text.empty()) text += "; ";
    for (const int code : page.codes) text += std::to_string(code) + " ";
    if (page.status == ErrorPage::Status::of_the_page) text += "= ";
    if (page.status == ErrorPage::Status::fixed) text += fmt::format("={} ", page.fixed_status);
    text += page.uri.source();
  }
  return text;
}

const Directive kRows[] = {
    {"rewrite_log", kHttpServerLocation | kServerIf | kLocationIf, kOne, flag<&L::rewrite_log>(),
     "Whether the error log tells at `notice` what `rewrite` and `if` matched and what became of the URI."},
    {"uninitialized_variable_warn", kHttpServerLocation | kServerIf | kLocationIf, kOne,
     flag<&L::uninitialized_variable_warn>(), "Whether the use of a variable that no `set` has reached is warned of."},
    {"map",
     kHttp | kStream,
     {2, 2, true},
     {set_map, nullptr, "STRING $NAME { KEY VALUE; ... }"},
     "A variable that depends on a string: exact keys, *.x and x.* with `hostnames`, ~regular expressions, `default`, "
     "`volatile`."},
    {"set",
     kRewriteContexts,
     kTwo,
     {set_set, nullptr, "$NAME VALUE"},
     "Sets a variable.",
     Support::full,
     Phase::children},
    {"if",
     kServer | kLocation,
     {1, Arity::kAny, true},
     {set_if, nullptr, "(CONDITION) { ... }"},
     "Runs its directives when the condition holds; in a location, the last one that holds replaces the location's "
     "settings.",
     Support::full,
     Phase::children},
    {"rewrite",
     kRewriteContexts,
     {2, 3, false},
     {set_rewrite, nullptr, "REGEX REPLACEMENT [last | break | redirect | permanent]"},
     "Changes the URI.",
     Support::full,
     Phase::children},
    {"break",
     kRewriteContexts,
     kNoArgument,
     {set_break, nullptr, ""},
     "Ends rewriting.",
     Support::full,
     Phase::children},
    {"return",
     kRewriteContexts,
     {1, 2, false},
     {set_return, show_return, "CODE [TEXT | URL] | URL"},
     "Answers at once; 444 closes the connection without an answer.",
     Support::full,
     Phase::children},
    {"error_page",
     kHttpServerLocation | kLocationIf,
     kTwoOrMore,
     {add_error_page, show_error_pages, "CODE... [=[CODE]] URI"},
     "What is answered instead of an error."},
    {"recursive_error_pages", kHttpServerLocation, kOne, flag<&L::recursive_error_pages>(),
     "Whether error pages have error pages."},
    {"proxy_intercept_errors", kHttpServerLocation, kOne, flag<&L::proxy_intercept_errors>(),
     "Whether error_page holds for upstream responses."},
};

}  // namespace

std::span<const Directive> rewrite_directives() { return kRows; }

}  // namespace gatehouse::config
