// Rows of headers-more, a module of nginx that many packages bring: it sets and clears fields of responses whatever made them.
// Source: the module's README (openresty/headers-more-nginx-module). Its directives for request fields are not supported.
#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "proxy/base/ascii.hpp"
#include "proxy/config/settings/headers.hpp"
#include "proxy/config/tables.hpp"

namespace gatehouse::config {
namespace {

using H = HeaderSettings;
constexpr std::uint32_t kHsl = kHttpServerLocation;

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(" \t"), text.size());
    if (end > 0) words.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

int read_status(std::string_view word, std::size_t at) {
  int status = 0;
  const auto [end, problem] = std::from_chars(word.data(), word.data() + word.size(), status);
  if (problem != std::errc{} || end != word.data() + word.size() || status < 100 || status > 999) {
    throw Invalid{fmt::format("invalid status code \"{}\"", word), at, "-s takes codes such as \"404 500\""};
  }
  return status;
}

enum class What : std::uint8_t { set, clear };

// "Name: value", "Name:" or "Name".
FieldChange read_change(const Use& use, std::size_t word, What what) {
  const std::string_view text = use[word];
  const std::size_t colon = std::min(text.find(':'), text.size());
  FieldChange change;
  change.name = std::string(text.substr(0, colon));
  while (change.name.ends_with(' ')) change.name.pop_back();
  if (what == What::clear && change.name.ends_with('*')) {
    change.name.pop_back();
    change.is_prefix = true;
  }
  const bool named = !change.name.empty() && change.name.find_first_of(" \t\"(),/;<=>?@[\\]{}$*") == std::string::npos;
  if (!named) throw Invalid{fmt::format("\"{}\" names no field", text), word, "fields are written \"Name: value\""};
  constexpr std::array<std::string_view, 3> kFraming = {"content-length", "transfer-encoding", "connection"};
  if (std::ranges::any_of(kFraming, [&](std::string_view name) { return iequals(change.name, name); })) {
    throw Invalid{fmt::format("\"{}\" can't be changed", change.name), word, "it says where the message ends"};
  }
  std::string_view value = text.substr(std::min(colon + 1, text.size()));
  while (value.starts_with(' ')) value.remove_prefix(1);
  if (what == What::set && !value.empty()) {
    change.value = read_value(use, word, std::string(value));
  }
  return change;
}

template <What Kind>
void read_changes(const Use& use) {
  std::vector<int> statuses;
  std::vector<std::string> types;
  std::vector<FieldChange> changes;
  bool appends = false;
  for (std::size_t i = 1; i <= use.count(); ++i) {
    if (use[i] == "-s" || use[i] == "-t") {
      if (i == use.count()) throw Invalid{fmt::format("\"{}\" says nothing", use[i]), i, "a list in quotes follows it"};
      const bool status = use[i] == "-s";
      ++i;
      for (auto& word : words_of(use[i])) {
        if (status) {
          statuses.push_back(read_status(word, i));
        } else {
          types.push_back(std::move(word));
        }
      }
    } else if (use[i] == "-a" && Kind == What::set) {
      appends = true;
    } else if (use[i].starts_with('-')) {
      throw Invalid{fmt::format("invalid option \"{}\"", use[i]), i, "-s CODES, -t TYPES, and -a where fields are set"};
    } else {
      changes.push_back(read_change(use, i, Kind));
    }
  }
  if (changes.empty()) throw Invalid{"no field is named", 0, {}};
  auto& list = target<H>(use.level).field_changes;  // those of the level above stay, and come first
  for (auto& change : changes) {
    change.statuses = statuses;
    change.types = types;
    change.appends = appends;
    list.push_back(std::move(change));
  }
}

std::string show_changes(const Level& level) {
  const auto* settings = read_target<H>(level);
  std::string text;
  if (settings == nullptr) return text;
  for (const auto& change : settings->field_changes) {
    text += fmt::format("{}\"{}{}:{}{}\"", text.empty() ? "" : " ", change.name, change.is_prefix ? "*" : "",
                        change.value ? " " : "", change.value ? change.value->source() : "");
    if (!change.statuses.empty()) text += fmt::format(" -s {}", fmt::join(change.statuses, ","));
    if (!change.types.empty()) text += fmt::format(" -t {}", fmt::join(change.types, ","));
    if (change.appends) text += " -a";
  }
  return text;
}

const Directive kRows[] = {
    {"more_set_headers",
     kHsl | kLocationIf,
     kOneOrMore,
     {read_changes<What::set>, show_changes, "[-s CODES] [-t TYPES] [-a] \"NAME: VALUE\"..."},
     "Sets fields of every response, in place of those of the same name (-a: beside them); without a value it takes "
     "them away."},
    {"more_clear_headers",
     kHsl | kLocationIf,
     kOneOrMore,
     {read_changes<What::clear>, nullptr, "[-s CODES] [-t TYPES] NAME..."},
     "Takes fields out of every response; a * at the end stands for any ending."},
};

}  // namespace

std::span<const Directive> more_headers_directives() { return kRows; }

}  // namespace gatehouse::config
