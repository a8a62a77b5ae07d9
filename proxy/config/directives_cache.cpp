// Rows of the response cache: its zones on disk, and what is stored and served where.
#include <algorithm>
#include <array>

#include "proxy/config/next_upstream.hpp"
#include "proxy/config/settings/cache.hpp"
#include "proxy/config/tables.hpp"

namespace gatehouse::config {
namespace {

using C = CacheSettings;
constexpr std::uint32_t kHsl = kHttpServerLocation;
constexpr ByteCount kSmallestZone = 8 * 4096;

constexpr std::array<Choice<std::uint32_t>, 3> kMethods{
    {{"GET", cache_get}, {"HEAD", cache_head}, {"POST", cache_post}}};

// proxy_next_upstream's words, but for one.
constexpr auto kStale = [] {
  auto words = kNextUpstream;
  for (auto& word : words) {
    if (word.value == next_non_idempotent) word = {"updating", kStaleUpdating};
    if (word.value == next_off) word.value = 0;
  }
  std::rotate(words.begin() + 3, words.begin() + 10, words.begin() + 11);  // where nginx's list has it
  return words;
}();

// --- proxy_cache_path

void read_keys_zone(const Use& use, std::size_t word, std::string_view text, cache::ZoneOptions& zone) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0) {
    throw Invalid{fmt::format("invalid keys zone size \"{}\"", use[word]), word,
                  "keys_zone=NAME:SIZE, such as keys_zone=one:10m"};
  }
  const auto size = parse_size(text.substr(colon + 1));
  if (!size || *size < kSmallestZone) {
    throw Invalid{fmt::format("invalid keys zone size \"{}\"", use[word]), word,
                  "32k at least; 1m holds about 8,000 keys"};
  }
  zone.name = text.substr(0, colon);
  zone.keys_size = *size;
}

// loader_files, manager_sleep and their kin.
bool read_pace(const Use& use, std::size_t word, std::string_view name, std::string_view value,
               cache::ZoneOptions::Pace& pace) {
  if (name == "files") {
    const auto number = parse_number(value);
    if (!number || *number == 0 || *number > 1'000'000)
      throw Invalid{fmt::format("invalid value \"{}\"", use[word]), word, {}};
    pace.files = static_cast<std::uint32_t>(*number);
    return true;
  }
  if (name != "sleep" && name != "threshold") return false;
  const auto time = parse_time(value, TimeUnit::milliseconds);
  if (!time) throw Invalid{fmt::format("invalid value \"{}\"", use[word]), word, {}};
  (name == "sleep" ? pace.sleep : pace.threshold) = *time;
  return true;
}

void add_zone(const Use& use) {
  cache::ZoneOptions zone;
  zone.path = use.level.binder->prefix_path(use[1]);
  while (zone.path.size() > 1 && zone.path.ends_with('/')) zone.path.pop_back();
  for (std::size_t i = 2; i <= use.count(); ++i) {
    const std::string_view text = use[i];
    const std::size_t equals = std::min(text.find('='), text.size());
    const std::string_view name = text.substr(0, equals);
    const std::string_view value = text.substr(std::min(equals + 1, text.size()));
    if (name == "levels") {
      const auto levels = cache::Levels::parse(value);
      if (!levels) {
        throw Invalid{fmt::format("invalid \"levels\" \"{}\"", text), i,
                      "one to three numbers, 1 or 2 each, such as levels=1:2"};
      }
      zone.levels = *levels;
    } else if (name == "keys_zone") {
      read_keys_zone(use, i, value, zone);
    } else if (name == "inactive") {
      const auto time = parse_time(value, TimeUnit::seconds);
      if (!time) throw Invalid{fmt::format("invalid inactive value \"{}\"", text), i, {}};
      zone.inactive = std::chrono::duration_cast<std::chrono::seconds>(*time).count();
    } else if (name == "max_size" || name == "min_free") {
      const auto size = parse_size(value, Gigabytes::accepted);
      if (!size) throw Invalid{fmt::format("invalid {} value \"{}\"", name, text), i, "such as 500m or 10g"};
      (name == "max_size" ? zone.max_size : zone.min_free) = *size;
    } else if (name == "use_temp_path" || name == "purger") {
      if (value != "on" && value != "off") {
        throw Invalid{fmt::format("invalid {} value \"{}\", it must be \"on\" or \"off\"", name, value), i, {}};
      }
    } else if (name.starts_with("loader_") && read_pace(use, i, name.substr(7), value, zone.loader)) {
    } else if (name.starts_with("manager_") && read_pace(use, i, name.substr(8), value, zone.manager)) {
    } else if (name.starts_with("purger_")) {
      cache::ZoneOptions::Pace unused;
      if (!read_pace(use, i, name.substr(7), value, unused))
        throw Invalid{fmt::format("invalid parameter \"{}\"", text), i, {}};
    } else {
      throw Invalid{fmt::format("invalid parameter \"{}\"", text), i,
                    "levels=, keys_zone=, inactive=, max_size=, min_free=, use_temp_path=, loader_*=, manager_*="};
    }
  }
  if (zone.name.empty()) refuse(use, 1, "must have \"keys_zone\" parameter");
  auto& zones = use.level.http->cache_zones;
  for (const auto& other : zones) {
    if (other.name == zone.name)
      throw Invalid{fmt::format("duplicate zone \"{}\"", zone.name), 0, "each zone has one proxy_cache_path"};
    if (other.path == zone.path) {
      throw Invalid{fmt::format("the path \"{}\" is used by zone \"{}\" already", zone.path, other.name), 1, {}};
    }
  }
  zones.push_back(std::move(zone));
}

// --- proxy_cache

void set_zone(const Use& use) {
  auto& zone = slot<&C::zone>(use);
  if (use[1] == "off") {
    zone.reset();
    return;
  }
  zone = read_value(use);
  if (!zone->is_constant()) return;
  const auto& zones = use.level.binder->config().http.cache_zones;
  if (std::ranges::find(zones, use[1], &cache::ZoneOptions::name) == zones.end()) {
    throw Invalid{fmt::format("\"proxy_cache\" zone \"{}\" is unknown", use[1]), 1,
                  "define it with proxy_cache_path ... keys_zone=NAME:SIZE"};
  }
}
std::string show_zone(const Level& level) {
  const auto* settings = read_target<C>(level);
  return settings == nullptr ? "" : settings->zone ? settings->zone->source() : "off";
}

void add_valid(const Use& use) {
  auto& list = target<C>(use.level).valid;
  if (use.first) list.clear();
  const std::size_t last = use.count();
  const auto time = parse_time(use[last], TimeUnit::seconds);
  if (!time) throw Invalid{fmt::format("invalid time value \"{}\"", use[last]), last, "such as 10m or 1h"};
  const std::int64_t seconds = std::chrono::duration_cast<std::chrono::seconds>(*time).count();
  if (last == 1) {
    for (const int status : {200, 301, 302}) list.push_back({status, seconds});
    return;
  }
  for (std::size_t i = 1; i < last; ++i) {
    if (use[i] == "any") {
      list.push_back({0, seconds});
      continue;
    }
    const auto status = parse_number(use[i]);
    if (!status) throw Invalid{fmt::format("invalid status \"{}\"", use[i]), i, "a number from 100 to 599, or any"};
    if (*status < 100 || *status > 599)
      throw Invalid{fmt::format("invalid status \"{}\"", use[i]), i, "a number from 100 to 599, or any"};
    list.push_back({static_cast<int>(*status), seconds});
  }
}
std::string show_valid(const Level& level) {
  const auto* settings = read_target<C>(level);
  std::string text;
  if (settings == nullptr) return text;
  for (const auto& rule : settings->valid) {
    text += fmt::format("{}{} {}s", text.empty() ? "" : "; ", rule.status == 0 ? "any" : std::to_string(rule.status),
                        rule.seconds);
  }
  return text;
}

// GET and HEAD are there whatever the list says.
void set_methods(const Use& use) {
  constexpr Action kAction = mask<&C::methods, kMethods>("");
  kAction.set(use);
  target<C>(use.level).methods |= cache_get | cache_head;
}
std::string show_methods(const Level& level) {
  constexpr Action kAction = mask<&C::methods, kMethods>("");
  return kAction.print(level);
}

const Directive kRows[] = {
    {"proxy_cache_path",
     kHttp,
     kTwoOrMore,
     {add_zone, nullptr,
      "PATH keys_zone=NAME:SIZE [levels=LEVELS] [inactive=TIME] [max_size=SIZE] [min_free=SIZE] [use_temp_path=on|off] "
      "[loader_files=NUMBER] [loader_sleep=TIME] [loader_threshold=TIME] [manager_files=NUMBER] [manager_sleep=TIME] "
      "[manager_threshold=TIME]"},
     "A cache zone: a folder and the memory for its keys. Temporary files always lie beside the entries "
     "(use_temp_path=off)."},
    {"proxy_cache",
     kHsl,
     kOne,
     {set_zone, show_zone, "ZONE | off"},
     "The zone that responses are stored in and served from.",
     Support::full,
     Phase::upstreams},
    {"proxy_cache_key", kHsl, kOne, value<&C::key>(), "What names a stored response.", Support::full, Phase::settings,
     "$scheme$proxy_host$request_uri"},
    {"proxy_cache_bypass", kHsl, kOneOrMore, values<&C::bypass>(),
     "The stored response is not used if any of these is neither empty nor 0."},
    {"proxy_no_cache", kHsl, kOneOrMore, values<&C::no_cache>(),
     "The response is not stored if any of these is neither empty nor 0."},
    {"proxy_cache_purge", kHsl, kOneOrMore, values<&C::purge>(),
     "The request removes the entry of its key if any of these is neither empty nor 0; a key that ends in `*` removes "
     "all that "
     "begin with it. Answered with 204, or 404 if there was no entry."},
    {"proxy_cache_valid",
     kHsl,
     kOneOrMore,
     {add_valid, show_valid, "[STATUS ... | any] TIME"},
     "How long responses of these statuses (200, 301 and 302 if none is named) are valid, if their own fields do not "
     "say."},
    {"proxy_cache_methods",
     kHsl,
     kOneOrMore,
     {set_methods, show_methods, "GET | HEAD | POST ..."},
     "Methods whose responses are stored; GET and HEAD always are."},
    {"proxy_cache_min_uses", kHsl, kOne, number<&C::min_uses>(), "Requests for an entry before it is stored."},
    {"proxy_cache_convert_head", kHsl, kOne, flag<&C::convert_head>(),
     "Whether HEAD asks the upstream for the whole response."},
    {"proxy_cache_use_stale", kHsl, kOneOrMore,
     mask<&C::use_stale, kStale>(
         "error | timeout | invalid_header | updating | http_500 | http_502 | http_503 | http_504 | "
         "http_403 | http_404 | http_429 | off ..."),
     "When a response that is not valid any more is served in place of an upstream's failure."},
    {"proxy_cache_background_update", kHsl, kOne, flag<&C::background_update>(),
     "Whether an expired entry is fetched anew behind the response that serves it stale."},
    {"proxy_cache_revalidate", kHsl, kOne, flag<&C::revalidate>(),
     "Whether expired entries are asked for with If-Modified-Since and If-None-Match."},
    {"proxy_cache_lock", kHsl, kOne, flag<&C::lock>(),
     "Whether one request at a time fetches a missing entry and others wait."},
    {"proxy_cache_lock_timeout", kHsl, kOne, time<&C::lock_timeout>(),
     "How long they wait before they ask the upstream too, without storing."},
    {"proxy_cache_lock_age", kHsl, kOne, time<&C::lock_age>(),
     "After how long a fetch is thought lost, and the next request may try."},
    {"proxy_cache_max_range_offset", kHsl, kOne, size<&C::max_range_offset>(),
     "Ranges that begin behind it are passed on and not stored."},
};

}  // namespace

std::span<const Directive> cache_directives() { return kRows; }

}  // namespace gatehouse::config
