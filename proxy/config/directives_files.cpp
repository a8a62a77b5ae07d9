// Rows of files, indexes and conditions; the handlers empty_gif and stub_status.
#include <array>

#include "proxy/config/settings/files.hpp"
#include "proxy/config/tables.hpp"

namespace gatehouse::config {
namespace {

using F = FileSettings;
constexpr std::uint32_t kHsl = kHttpServerLocation;

constexpr std::array<Choice<http::IfModifiedSince>, 3> kIfModifiedSince{{{"off", http::IfModifiedSince::off},
                                                                         {"exact", http::IfModifiedSince::exact},
                                                                         {"before", http::IfModifiedSince::before}}};
constexpr std::array<Choice<F::Packed>, 3> kPacked{
    {{"off", F::Packed::off}, {"on", F::Packed::on}, {"always", F::Packed::always}}};
constexpr std::array<Choice<F::Listing>, 4> kListings{
    {{"html", F::Listing::html}, {"xml", F::Listing::xml}, {"json", F::Listing::json}, {"jsonp", F::Listing::jsonp}}};

bool is_regex_location(const Level& level) {
  return level.location != nullptr && level.location->kind == LocationKind::regex;
}

void set_root_or_alias(const Use& use) {
  const bool alias = use.row.name == "alias";
  const bool other = use.level.find(alias ? "root" : "alias") != nullptr;
  if (!use.first || other) {
    if (use.first && other)
      refuse(use, 0,
             alias ? "is duplicate, \"root\" directive was specified earlier"
                   : "is duplicate, \"alias\" directive was specified earlier");
    refuse(use, 0, "is duplicate");
  }
  if (alias && use.level.location->kind == LocationKind::named) {
    refuse(use, 0, "cannot be used inside the named location");
  }
  if (use[1].find("$document_root") != std::string::npos || use[1].find("${document_root}") != std::string::npos) {
    throw Invalid{
        fmt::format("the $document_root variable may not be used in the \"{}\" directive", use.row.name), 1, {}};
  }
  if (use[1].find("$realpath_root") != std::string::npos || use[1].find("${realpath_root}") != std::string::npos) {
    throw Invalid{
        fmt::format("the $realpath_root variable may not be used in the \"{}\" directive", use.row.name), 1, {}};
  }
  auto& files = target<F>(use.level);
  std::string text = use[1];
  if (!alias) {
    while (text.size() > 1 && text.ends_with('/')) text.pop_back();
  }
  if (!text.starts_with('$')) text = use.level.binder->prefix_path(text);
  files.root = read_value(use, 1, text);
  files.alias = F::kNoAlias;
  if (alias) files.alias = is_regex_location(use.level) ? F::kWholeAlias : use.level.location->path.size();
}
std::string show_root(const Level& level) {
  const auto* files = read_target<F>(level);
  return files == nullptr || !files->root || files->alias != F::kNoAlias ? "" : files->root->source();
}
std::string show_alias(const Level& level) {
  const auto* files = read_target<F>(level);
  return files == nullptr || !files->root || files->alias == F::kNoAlias ? "" : files->root->source();
}

void add_index(const Use& use) {
  auto& index = target<F>(use.level).index;
  if (use.first) index.clear();
  for (std::size_t i = 1; i <= use.count(); ++i) {
    if (use[i].starts_with('/') && i != use.count()) {
      use.level.binder->warn(use.statement, i,
                             fmt::format("only the last index in \"index\" directive should be absolute"));
    }
    if (use[i].empty()) throw Invalid{fmt::format("index \"{}\" in \"index\" directive is invalid", use[i]), i, {}};
    index.push_back(read_value(use, i));
  }
}
std::string show_index(const Level& level) {
  const auto* files = read_target<F>(level);
  if (files == nullptr) return "";
  std::string text;
  for (const auto& name : files->index) text += (text.empty() ? "" : " ") + name.source();
  return text.empty() ? "index.html" : text;
}

void set_try_files(const Use& use) {
  if (!use.first) refuse(use, 0, "is duplicate");
  auto tries = std::make_shared<TryFiles>();
  for (std::size_t i = 1; i < use.count(); ++i) {
    std::string text = use[i];
    TryFiles::Candidate candidate;
    candidate.directory = text.ends_with('/');
    if (candidate.directory) text.pop_back();
    candidate.path = read_value(use, i, text);
    tries->candidates.push_back(std::move(candidate));
  }
  const std::string& last = use[use.count()];
  if (last.starts_with('=')) {
    const auto code = parse_number(std::string_view(last).substr(1));
    if (!code || *code > 999) throw Invalid{fmt::format("invalid code \"{}\"", last), use.count(), {}};
    tries->status = static_cast<int>(*code);
  } else {
    tries->fallback = read_value(use, use.count());
  }
  use.level.location->try_files = std::move(tries);
}
std::string show_try_files(const Level& level) {
  if (level.location == nullptr || !level.location->try_files) return "";
  std::string text;
  const auto& tries = *level.location->try_files;
  for (const auto& candidate : tries.candidates) text += candidate.path.source() + (candidate.directory ? "/ " : " ");
  return text + (tries.status != 0 ? fmt::format("={}", tries.status) : tries.fallback.source());
}

void set_max_ranges(const Use& use) {
  auto& ranges = slot<&F::max_ranges>(use);
  ranges = read_number(use, 1, 0, std::numeric_limits<std::uint32_t>::max());
}
std::string show_max_ranges(const Level& level) {
  const auto* files = read_target<F>(level);
  return files == nullptr || !files->max_ranges ? "" : std::to_string(*files->max_ranges);
}

void set_symlinks(const Use& use) {
  auto& how = slot<&F::disable_symlinks>(use);
  bool known = false;
  for (std::size_t i = 1; i <= use.count(); ++i) {
    const std::string_view word = use[i];
    if (word == "off" || word == "on" || word == "if_not_owner") {
      how = word == "off" ? F::Symlinks::follow : word == "on" ? F::Symlinks::refuse : F::Symlinks::if_not_owner;
      known = true;
    } else if (word.starts_with("from=")) {
      target<F>(use.level).symlinks_from = read_value(use, i, std::string(word.substr(5)));
    } else {
      throw Invalid{fmt::format("invalid parameter \"{}\"", word), i, "off, on or if_not_owner, and from=PATH"};
    }
  }
  if (!known) refuse(use, 1, "must have \"off\", \"on\" or \"if_not_owner\" parameter");
}
std::string show_symlinks(const Level& level) {
  const auto* files = read_target<F>(level);
  if (files == nullptr) return "";
  return files->disable_symlinks == F::Symlinks::follow   ? "off"
         : files->disable_symlinks == F::Symlinks::refuse ? "on"
                                                          : "if_not_owner";
}

void set_empty_gif(const Use& use) { use.level.location->handler = Location::Handler::empty_gif; }
void set_stub_status(const Use& use) { use.level.location->handler = Location::Handler::stub_status; }

const Directive kRows[] = {
    {"root",
     kHsl | kLocationIf,
     kOne,
     {set_root_or_alias, show_root, "PATH"},
     "Folder that the URI is looked up in.",
     Support::full,
     Phase::settings,
     "html"},
    {"alias",
     kLocation,
     kOne,
     {set_root_or_alias, show_alias, "PATH"},
     "What stands for the location's own part of the URI; in a location with a regular expression, for all of it."},
    {"index",
     kHsl,
     kOneOrMore,
     {add_index, show_index, "FILE..."},
     "Files that answer for a folder; the last may be a URI."},
    {"try_files",
     kServer | kLocation,
     kTwoOrMore,
     {set_try_files, show_try_files, "FILE... URI | =CODE | @NAME"},
     "Serves the first file that exists, or else the last argument: another URI, a named location or a status."},
    {"autoindex", kHsl, kOne, flag<&F::autoindex>(), "Whether a folder without an index is listed."},
    {"autoindex_exact_size", kHsl, kOne, flag<&F::autoindex_exact_size>(), "Whether listings give sizes in bytes."},
    {"autoindex_localtime", kHsl, kOne, flag<&F::autoindex_localtime>(), "Whether listings give local times."},
    {"autoindex_format", kHsl, kOne, choice<&F::autoindex_format, kListings>("html | xml | json | jsonp"),
     "Format of listings."},
    {"random_index", kLocation, kOne, flag<&F::random_index>(),
     "Answers for a folder with one of its files by chance."},
    {"etag", kHsl, kOne, flag<&F::etag>(), "Whether files have an ETag."},
    {"if_modified_since", kHsl, kOne, choice<&F::if_modified_since, kIfModifiedSince>("off | exact | before"),
     "How If-Modified-Since compares with the file's time."},
    {"max_ranges",
     kHsl,
     kOne,
     {set_max_ranges, show_max_ranges, "NUMBER"},
     "Most byte ranges of a request; 0 switches ranges off."},
    {"gzip_static", kHsl, kOne, choice<&F::gzip_static, kPacked>("off | on | always"),
     "Whether FILE.gz is served for FILE."},
    {"brotli_static", kHsl, kOne, choice<&F::brotli_static, kPacked>("off | on | always"),
     "Whether FILE.br is served for FILE."},
    {"disable_symlinks",
     kHsl,
     {1, 2, false},
     {set_symlinks, show_symlinks, "off | on | if_not_owner [from=PATH]"},
     "Whether symbolic links in paths are refused."},
    {"empty_gif",
     kLocation,
     kNoArgument,
     {set_empty_gif, nullptr, ""},
     "Answers with a transparent image of one pixel."},
    {"stub_status",
     kServer | kLocation,
     {0, 1, false},
     {set_stub_status, nullptr, "[on]"},
     "Answers with counts of connections and requests."},
};

}  // namespace

std::span<const Directive> file_directives() { return kRows; }

}  // namespace gatehouse::config
