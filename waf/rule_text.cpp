#include "waf/rule_text.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include <glob.h>
#include <sys/stat.h>

namespace gatehouse::waf {
namespace {

// Directives whose scanner rule takes its argument from strchr(text, ' ') in 3.0.9 (src/parser/seclang-scanner.ll),
// lower case, sorted.
constexpr std::array<std::string_view, 45> kTabCrashers = {
    "secargumentseparator",
    "secargumentslimit",
    "secauditlog",
    "secauditlog2",
    "secauditlogdirmode",
    "secauditlogfilemode",
    "secauditlogparts",
    "secauditlogrelevantstatus",
    "secauditlogstoragedir",
    "secchrootdir",
    "seccollectiontimeout",
    "seccomponentsignature",
    "seccookieformat",
    "seccookiev0separator",
    "secdatadir",
    "secdebuglog",
    "secdebugloglevel",
    "secgeolookupdb",
    "secgsblookupdb",
    "sechttpblkey",
    "secmarker",
    "secpcrematchlimit",
    "secpcrematchlimitrecursion",
    "secrequestbodyinmemorylimit",
    "secrequestbodyjsondepthlimit",
    "secrequestbodylimit",
    "secrequestbodynofileslimit",
    "secresponsebodylimit",
    "secresponsebodymimetype",
    "secruleperftime",
    "secruleremovebyid",
    "secruleremovebymsg",
    "secruleremovebytag",
    "secrulescript",
    "secruleupdateactionbyid",
    "secruleupdatetargetbyid",
    "secruleupdatetargetbymsg",
    "secruleupdatetargetbytag",
    "secserversignature",
    "sectmpdir",
    "secunicodemapfile",
    "secuploaddir",
    "secuploadfilelimit",
    "secuploadfilemode",
    "secwebappid",
};
static_assert(std::is_sorted(kTabCrashers.begin(), kTabCrashers.end()));

constexpr std::size_t kMaxIncludeDepth = 16;

std::string lower(std::string_view text) {
  std::string folded(text);
  std::transform(folded.begin(), folded.end(), folded.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return folded;
}

bool is_blank(char c) { return c == ' ' || c == '\t'; }

// A comment ends with its line, whatever stands there, unless it comments out a rule: then it goes on as the rule
// would.
bool is_one_line_comment(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  if (!text.starts_with('#')) return false;
  text.remove_prefix(1);
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  return !text.starts_with("SecRule") && !text.starts_with("SecAction");
}

// End of the logical line that starts at `begin`: the first line end that no backslash precedes.
std::size_t logical_line_end(std::string_view text, std::size_t begin) {
  if (is_one_line_comment(text.substr(begin))) return std::min(text.find('\n', begin), text.size());
  for (std::size_t end = text.find('\n', begin); end != std::string_view::npos; end = text.find('\n', end + 1)) {
    std::size_t last = end;
    if (last > begin && text[last - 1] == '\r') --last;
    if (last == begin || text[last - 1] != '\\') return end;
  }
  return text.size();
}

// The first argument, without quotes.
std::string first_word(std::string_view arguments) {
  if (arguments.empty()) return {};
  const char quote = arguments.front();
  if (quote == '"' || quote == '\'') {
    const auto end = arguments.find(quote, 1);
    return std::string(arguments.substr(1, end == std::string_view::npos ? end : end - 1));
  }
  return std::string(arguments.substr(0, arguments.find_first_of(" \t\r\n\\")));
}

bool is_readable_file(const std::string& path) { return std::ifstream(path).is_open(); }

std::vector<std::string> expand(const std::string& pattern) {
  glob_t matches{};
  std::vector<std::string> paths;
  if (::glob(pattern.c_str(), 0, nullptr, &matches) == 0)
    for (std::size_t i = 0; i < matches.gl_pathc; ++i) paths.emplace_back(matches.gl_pathv[i]);
  ::globfree(&matches);
  return paths;
}

std::string beside(const std::string& name, const std::string& path) {
  const auto slash = name.find_last_of('/');
  return (slash == std::string::npos ? std::string(".") : name.substr(0, slash)) + "/" + path;
}

std::vector<std::string> resolve(const std::string& path, const std::string& name) {
  for (const std::string& candidate : {path, beside(name, path)}) {
    if (is_readable_file(candidate)) return {candidate};
    if (auto found = expand(candidate); !found.empty()) return found;
  }
  return {};
}

// The argument of an operator that reads a file: `@pmFromFile a.data b.data"` and its relatives.
std::vector<std::string> operator_files(std::string_view arguments) {
  std::vector<std::string> files;
  const std::string folded = lower(arguments);
  for (const std::string_view name : {"@pmfromfile ", "@pmf ", "@ipmatchfromfile ", "@ipmatchf ", "@inspectfile ",
                                      "@fuzzyhash ", "@verifyschema ", "@validateschema ", "@validatedtd "}) {
    for (auto at = folded.find(name); at != std::string::npos; at = folded.find(name, at + 1)) {
      const auto begin = at + name.size();
      std::string_view list = arguments.substr(begin, arguments.find_first_of("\"\n", begin) - begin);
      while (!list.empty()) {
        const auto end = std::min(list.find_first_of(" \t"), list.size());
        if (end > 0) files.emplace_back(list.substr(0, end));
        list.remove_prefix(std::min(end + 1, list.size()));
      }
    }
  }
  return files;
}

void collect_included(const LoadedText& text, std::vector<std::string>& open_files, std::vector<LoadedText>& texts,
                      std::vector<std::string>& data) {
  for (const FileReference& reference : referenced_files(text.text, text.name, text.first_line)) {
    if (!reference.rules) {
      data.push_back(reference.path);
      continue;
    }
    const bool circular = std::find(open_files.begin(), open_files.end(), reference.path) != open_files.end();
    if (circular || open_files.size() >= kMaxIncludeDepth)
      throw RuleSetError(reference.where, "Include of '" + reference.path + "' never ends",
                         "remove one of the Include lines");
    LoadedText included{reference.path, read_rule_file(reference.path, reference.where), 1, true, text.level};
    for (const DirectiveLine& line : split_directives(included.text)) {
      if (line.gap.find('\t') != std::string_view::npos && crashes_on_tab(line.name))
        throw RuleSetError({included.name, line.line},
                           "a TAB stands behind '" + std::string(line.name) + "', on which libmodsecurity crashes",
                           "put a blank there instead");
    }
    texts.push_back(included);
    open_files.push_back(reference.path);
    collect_included(included, open_files, texts, data);
    open_files.pop_back();
  }
}

}  // namespace

std::vector<DirectiveLine> split_directives(std::string_view text, unsigned first_line) {
  std::vector<DirectiveLine> directives;
  unsigned line = first_line;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = logical_line_end(text, begin);
    const std::string_view whole = text.substr(begin, end - begin);
    const auto start = std::min(whole.find_first_not_of(" \t\r"), whole.size());
    const std::string_view content = whole.substr(start);
    if (!content.empty() && content.front() != '#') {
      const auto name_end = std::min(content.find_first_of(" \t\r\n"), content.size());
      auto gap_end = name_end;
      while (gap_end < content.size() && is_blank(content[gap_end])) ++gap_end;
      directives.push_back(
          {content.substr(0, name_end), content.substr(name_end, gap_end - name_end), content.substr(gap_end), line});
    }
    line += static_cast<unsigned>(std::count(whole.begin(), whole.end(), '\n')) + 1;
    begin = end + 1;
  }
  return directives;
}

bool crashes_on_tab(std::string_view directive) {
  return std::binary_search(kTabCrashers.begin(), kTabCrashers.end(), lower(directive));
}

std::string without_tabs(std::string_view text) {
  std::string normalised;
  normalised.reserve(text.size());
  std::size_t copied = 0;
  for (const DirectiveLine& directive : split_directives(text)) {
    if (directive.gap.find('\t') == std::string_view::npos) continue;
    const auto gap = static_cast<std::size_t>(directive.gap.data() - text.data());
    normalised.append(text.substr(copied, gap - copied)).push_back(' ');
    copied = gap + directive.gap.size();
  }
  return normalised.append(text.substr(copied));
}

std::vector<FileReference> referenced_files(std::string_view text, const std::string& name, unsigned first_line) {
  std::vector<FileReference> references;
  for (const DirectiveLine& directive : split_directives(text, first_line)) {
    const std::string folded = lower(directive.name);
    const bool rules = folded == "include";
    std::vector<std::string> paths;
    if (rules || folded == "secunicodemapfile" || folded == "secgeolookupdb" || folded == "secrulescript") {
      paths.push_back(first_word(directive.arguments));
    } else if (folded == "secrule") {
      paths = operator_files(directive.arguments);
    }
    for (const std::string& path : paths)
      for (std::string& found : resolve(path, name))
        references.push_back({std::move(found), {name, directive.line}, rules});
  }
  return references;
}

std::string read_rule_file(const std::string& path, const SourceLocation& where) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0)
    throw RuleSetError(where, "cannot read '" + path + "': " + std::strerror(errno),
                       "check the path and its permissions");
  if (S_ISDIR(info.st_mode)) throw RuleSetError(where, "'" + path + "' is a directory", "name a file");
  std::ifstream file(path, std::ios::binary);
  if (!file)
    throw RuleSetError(where, "cannot read '" + path + "': " + std::strerror(errno),
                       "check the path and its permissions");
  std::string text(std::istreambuf_iterator<char>(file), {});
  if (text.find('\0') != std::string::npos)
    throw RuleSetError(where, "'" + path + "' holds a NUL byte", "it is not a file of rules");
  return text;
}

void collect_texts(const LoadedText& piece, std::vector<LoadedText>& texts, std::vector<std::string>& data) {
  texts.push_back(piece);
  std::vector<std::string> open_files{piece.name};
  collect_included(piece, open_files, texts, data);
}

}  // namespace gatehouse::waf
