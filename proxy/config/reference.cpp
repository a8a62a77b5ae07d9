#include "proxy/config/reference.hpp"

#include <fmt/format.h>

#include "proxy/config/binder.hpp"
#include "proxy/config/defaults.hpp"
#include "proxy/config/directive.hpp"

namespace gatehouse::config {
namespace {

// Values as they are before any directive, so that a printed default can't differ from the real one.
class Defaults {
 public:
  Defaults() { fill_defaults(binder_, location_.settings); }

  std::string of(const Directive& row) {
    if (!row.fallback.empty()) return std::string(row.fallback);
    if (row.action.print == nullptr) return {};
    Level level;
    level.main = &main_;
    level.location = &location_;
    level.settings = &location_.settings;
    level.server_settings = &server_;
    level.upstream = &upstream_;
    return row.action.print(level);
  }

 private:
  Config config_;
  Reporter reporter_;
  Binder binder_{config_, reporter_, nullptr, {}};
  MainSettings main_;
  Location location_;
  ServerSettings server_;
  Upstream upstream_;
};

bool documented(const Directive& row) { return row.support == Support::full || row.support == Support::tuning; }

std::string code(std::string_view text) { return text.empty() ? "" : fmt::format("`{}`", text); }

// In a table a bar ends the cell, inside code too.
std::string cell(std::string text) {
  for (auto at = text.find('|'); at != std::string::npos; at = text.find('|', at + 2)) text.insert(at, "\\");
  return text;
}

std::string syntax(const Directive& row) {
  return fmt::format("{}{}{}", row.name, row.action.syntax.empty() ? "" : " ", row.action.syntax);
}

void add_table(std::string& out, Defaults& defaults, Support support) {
  out += "| Directive | Contexts | Default | What it does |\n|---|---|---|---|\n";
  for (const auto& row : directives()) {
    if (row.support != support) continue;
    out += fmt::format("| {} | {} | {} | {} |\n", cell(code(syntax(row))), context_names(row.contexts),
                       cell(code(defaults.of(row))), cell(std::string(row.documentation)));
  }
}

}  // namespace

std::string list_directives() {
  Defaults defaults;
  std::string out;
  for (const auto& row : directives()) {
    if (!documented(row)) continue;
    const auto value = defaults.of(row);
    out += fmt::format("{}{}\n    context: {}{}{}\n    {}\n", syntax(row), row.arity.block ? "" : ";",
                       context_names(row.contexts), value.empty() ? "" : "; default: ", value, row.documentation);
  }
  return out;
}

std::string directives_markdown() {
  Defaults defaults;
  std::string out =
      "# Directives\n\n"
      "Made from the table of directives by `gatehouse --list-directives=markdown`; do not edit. The syntax is "
      "nginx's: sizes such as\n"
      "`8k`, times such as `1h30m` (a number alone counts seconds), strings with `$variables`. A block inherits what "
      "it doesn't set;\n"
      "lists (`add_header`, `proxy_set_header`, `access_log` ...) are inherited only by blocks that have none of their "
      "own. An unknown\n"
      "directive is an error.\n\n"
      "## What Gatehouse does\n\n";
  add_table(out, defaults, Support::full);
  out += "\n## Accepted so that nginx's configurations run unchanged\n\nTheir arguments are checked.\n\n";
  add_table(out, defaults, Support::tuning);
  out += "\n## Refused: nginx has them, this version does not run them\n\n";
  std::string names;
  for (const auto& row : directives()) {
    if (row.support == Support::missing) names += fmt::format("{}`{}`", names.empty() ? "" : ", ", row.name);
  }
  out += names + ".\n\n## Refused for good\n\n| Directive | Instead |\n|---|---|\n";
  for (const auto& row : directives()) {
    if (row.support == Support::unsupported) {
      out += fmt::format("| {} | {} |\n", code(row.name), cell(std::string(row.documentation)));
    }
  }
  return out;
}

}  // namespace gatehouse::config
