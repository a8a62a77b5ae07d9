// Rows of limit_req and limit_conn, and of variables by network or share: geo, split_clients.
#include <algorithm>
#include <array>

#include "proxy/config/endpoint.hpp"
#include "proxy/config/geo.hpp"
#include "proxy/config/settings/limits.hpp"
#include "proxy/config/split_clients.hpp"
#include "proxy/config/tables.hpp"

namespace gatehouse::config {
namespace {

using S = LimitSettings;
constexpr std::uint32_t kHsl = kHttpServerLocation;
constexpr ByteCount kSmallestZone = 8 * 4096;

constexpr std::array<Choice<LogLevel>, 4> kLevels{
    {{"info", LogLevel::info}, {"notice", LogLevel::notice}, {"warn", LogLevel::warn}, {"error", LogLevel::error}}};

// "zone=NAME:SIZE"
std::pair<std::string, ByteCount> read_zone(const Use& use, std::size_t word) {
  const std::string_view text = std::string_view(use[word]).substr(5);
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos)
    throw Invalid{fmt::format("invalid zone size \"{}\"", use[word]), word, "zone=NAME:SIZE, such as zone=one:10m"};
  if (colon == 0) throw Invalid{fmt::format("invalid zone name \"{}\"", use[word]), word, {}};
  const auto size = parse_size(text.substr(colon + 1));
  if (!size) throw Invalid{fmt::format("invalid zone size \"{}\"", use[word]), word, {}};
  if (*size < kSmallestZone) throw Invalid{fmt::format("zone \"{}\" is too small", use[word]), word, "32k at least"};
  return {std::string(text.substr(0, colon)), *size};
}

template <class Zone>
std::size_t find_zone(const std::vector<Zone>& zones, std::string_view name) {
  const auto found = std::ranges::find(zones, name, &Zone::name);
  return static_cast<std::size_t>(found - zones.begin());
}

void add_request_zone(const Use& use) {
  RequestZone zone;
  std::string_view rate;
  for (std::size_t i = 2; i <= use.count(); ++i) {
    const std::string_view text = use[i];
    if (text.starts_with("zone=")) {
      std::tie(zone.name, zone.size) = read_zone(use, i);
    } else if (text.starts_with("rate=")) {
      rate = text.substr(5);
      const auto value = parse_request_rate(rate);
      if (!value || *value == 0)
        throw Invalid{fmt::format("invalid rate \"{}\"", text), i, "such as rate=10r/s or rate=30r/m"};
      zone.rate = *value;
    } else if (text != "sync") {
      throw Invalid{fmt::format("invalid parameter \"{}\"", text), i, "zone=NAME:SIZE and rate=RATE"};
    } else {
      throw Invalid{"parameter \"sync\" is not supported", i, "counts are kept in each machine"};
    }
  }
  if (zone.name.empty()) refuse(use, 1, "must have \"zone\" parameter");
  zone.key = read_value(use, 1);
  auto& zones = use.level.http->request_zones;
  if (find_zone(zones, zone.name) != zones.size()) {
    throw Invalid{fmt::format("limit_req_zone \"{}\" is already bound to key \"{}\"", zone.name,
                              zones[find_zone(zones, zone.name)].key.source()),
                  1,
                  {}};
  }
  zones.push_back(std::move(zone));
}

void add_limit_req(const Use& use) {
  S::Requests limit;
  bool named = false;
  std::uint64_t burst = 0;
  std::uint64_t delay = 0;
  const auto& zones = use.level.binder->config().http.request_zones;
  for (std::size_t i = 1; i <= use.count(); ++i) {
    const std::string_view text = use[i];
    if (text.starts_with("zone=")) {
      limit.zone = find_zone(zones, text.substr(5));
      if (limit.zone == zones.size()) {
        throw Invalid{fmt::format("zero size shared memory zone \"{}\"", text.substr(5)), i,
                      "define it with limit_req_zone before it is used"};
      }
      named = true;
    } else if (text.starts_with("burst=")) {
      const auto value = parse_number(text.substr(6));
      if (!value || *value == 0) throw Invalid{fmt::format("invalid burst value \"{}\"", text), i, {}};
      burst = *value;
    } else if (text.starts_with("delay=")) {
      const auto value = parse_number(text.substr(6));
      if (!value || *value == 0) throw Invalid{fmt::format("invalid delay value \"{}\"", text), i, {}};
      delay = *value * 1000;
    } else if (text == "nodelay") {
      delay = S::kNoDelay;
    } else {
      throw Invalid{fmt::format("invalid parameter \"{}\"", text), i,
                    "zone=NAME [burst=NUMBER] [nodelay | delay=NUMBER]"};
    }
  }
  if (!named) refuse(use, 1, "must have \"zone\" parameter");
  limit.burst = burst * 1000;
  limit.delay = delay;
  auto& list = target<S>(use.level).limit_req;
  if (use.first) list.clear();
  if (std::ranges::find(list, limit.zone, &S::Requests::zone) != list.end()) refuse(use, 0, "is duplicate");
  list.push_back(limit);
}
std::string show_limit_req(const Level& level) {
  const auto* settings = read_target<S>(level);
  std::string text;
  if (settings == nullptr) return text;
  for (const auto& limit : settings->limit_req) {
    text += fmt::format("{}zone={} burst={}{}", text.empty() ? "" : "; ", limit.zone, limit.burst / 1000,
                        limit.delay == S::kNoDelay ? " nodelay"
                        : limit.delay != 0         ? fmt::format(" delay={}", limit.delay / 1000)
                                                   : "");
  }
  return text;
}

void add_connection_zone(const Use& use) {
  ConnectionZone zone;
  for (std::size_t i = 2; i <= use.count(); ++i) {
    if (!use[i].starts_with("zone="))
      throw Invalid{fmt::format("invalid parameter \"{}\"", use[i]), i, "zone=NAME:SIZE"};
    std::tie(zone.name, zone.size) = read_zone(use, i);
  }
  if (zone.name.empty()) refuse(use, 1, "must have \"zone\" parameter");
  zone.key = read_value(use, 1);
  auto& zones = use.level.http->connection_zones;
  if (find_zone(zones, zone.name) != zones.size()) {
    throw Invalid{fmt::format("limit_conn_zone \"{}\" is already bound to key \"{}\"", zone.name,
                              zones[find_zone(zones, zone.name)].key.source()),
                  1,
                  {}};
  }
  zones.push_back(std::move(zone));
}

void add_limit_conn(const Use& use) {
  const auto& zones = use.level.binder->config().http.connection_zones;
  add_connection_limit(use, target<S>(use.level).limit_conn, find_zone(zones, use[1]), zones.size(),
                       "define it with limit_conn_zone before it is used");
}
std::string show_limit_conn(const Level& level) {
  const auto* settings = read_target<S>(level);
  return settings == nullptr ? "" : show_connection_limits(settings->limit_conn);
}

// --- geo

std::optional<std::uint32_t> ipv4_number(std::string_view text) {
  const auto address = parse_ip(text, 0);
  if (!address || address->bytes().size() != 4) return std::nullopt;
  const auto bytes = address->bytes();
  return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 | std::uint32_t{bytes[2]} << 8 | bytes[3];
}

std::optional<NetworkRule> network_of(std::string_view text) {
  NetworkRule rule;
  const std::size_t slash = text.find('/');
  const auto address = parse_ip(text.substr(0, slash), 0);
  if (!address) return std::nullopt;
  const std::size_t bits = address->bytes().size() * 8;
  std::uint64_t length = bits;
  if (slash != std::string_view::npos) {
    const auto number = parse_number(text.substr(slash + 1));
    if (!number || *number > bits) return std::nullopt;
    length = *number;
  }
  rule.network = *address;
  rule.prefix_length = static_cast<std::uint8_t>(length);
  return rule;
}

void add_geo_entry(const Use& use, const Statement& entry, GeoTable& table, bool& ranges) {
  auto& binder = *use.level.binder;
  const std::string& key = entry.name();
  if (entry.argument_count() == 0 && !entry.has_block) {
    if (key == "ranges") {
      if (table.size() > (table.has_default() ? 1U : 0U))
        throw Invalid{"the \"ranges\" directive must be the first directive inside \"geo\" block", 0, {}};
      ranges = true;
      return;
    }
    if (key == "proxy_recursive") {
      table.proxy_recursive = true;
      return;
    }
    if (key == "volatile") {
      table.volatile_value = true;
      return;
    }
  }
  if (entry.has_block || entry.argument_count() != 1) throw Invalid{"invalid number of the geo parameters", 0, {}};
  if (key == "proxy") {
    const auto network = network_of(entry[1]);
    if (!network) throw Invalid{fmt::format("invalid network \"{}\"", entry[1]), 1, {}};
    table.proxies.push_back(*network);
    return;
  }
  ComplexValue value(entry[1]);  // as it stands, a "$" included: nginx's geo has no variables in its values
  if (key == "default") {
    table.set_default(std::move(value));
    return;
  }
  const bool removes = key == "delete";
  const std::string& place = removes ? entry[1] : key;
  if (ranges) {
    const std::size_t dash = place.find('-');
    const auto first = ipv4_number(std::string_view(place).substr(0, dash));
    const auto last = dash == std::string::npos ? std::nullopt : ipv4_number(std::string_view(place).substr(dash + 1));
    if (!first || !last || *first > *last) throw Invalid{fmt::format("invalid range \"{}\"", place), 0, {}};
    if (!removes) {
      table.add_range(*first, *last, std::move(value));
    } else if (!table.remove_range(*first, *last)) {
      binder.warn(entry, 1, fmt::format("no address range \"{}\" to delete", place));
    }
    return;
  }
  const auto network = network_of(place);
  if (!network) throw Invalid{fmt::format("invalid network \"{}\"", place), 0, "an address or ADDRESS/PREFIX"};
  if (removes) {
    if (!table.remove(*network)) binder.warn(entry, 1, fmt::format("no network \"{}\" to delete", place));
    return;
  }
  if (table.add(*network, std::move(value))) binder.warn(entry, 0, fmt::format("duplicate network \"{}\"", place));
}

void set_geo(const Use& use) {
  auto& binder = *use.level.binder;
  const std::size_t word = use.count();
  if (!use[word].starts_with('$') || use[word].size() < 2)
    throw Invalid{fmt::format("invalid variable name \"{}\"", use[word]), word, {}};
  const auto slot = binder.variables().define(std::string_view(use[word]).substr(1), word);
  auto table = std::make_unique<GeoTable>();
  table->source = word == 2 ? read_value(use, 1) : read_value(use, 1, "$remote_addr");
  bool ranges = false;
  for (const auto& entry : use.statement.block) {
    try {
      add_geo_entry(use, entry, *table, ranges);
    } catch (const Invalid& invalid) {
      binder.reporter().error(entry.place(invalid.word), invalid.text, invalid.hint);
    }
  }
  binder.define_table(slot, std::move(table));
}

// --- split_clients

// "33.33%" in hundredths of a percent
std::optional<std::uint32_t> percent_of(std::string_view text) {
  if (!text.ends_with('%')) return std::nullopt;
  text.remove_suffix(1);
  const std::size_t point = text.find('.');
  const auto whole = parse_number(text.substr(0, point));
  if (!whole || *whole > 100) return std::nullopt;
  std::uint64_t hundredths = *whole * 100;
  if (point != std::string_view::npos) {
    const std::string_view digits = text.substr(point + 1);
    const auto fraction = parse_number(digits);
    if (!fraction || digits.size() > 2) return std::nullopt;
    hundredths += digits.size() == 1 ? *fraction * 10 : *fraction;
  }
  if (hundredths == 0 || hundredths > 10000) return std::nullopt;
  return static_cast<std::uint32_t>(hundredths);
}

void set_split_clients(const Use& use) {
  auto& binder = *use.level.binder;
  if (!use[2].starts_with('$') || use[2].size() < 2)
    throw Invalid{fmt::format("invalid variable name \"{}\"", use[2]), 2, {}};
  const auto slot = binder.variables().define(std::string_view(use[2]).substr(1), 2);
  auto table = std::make_unique<SplitClients>();
  table->source = read_value(use, 1);
  std::vector<SplitClients::Part> parts;
  for (const auto& entry : use.statement.block) {
    SplitClients::Part part;
    if (entry.has_block || entry.argument_count() != 1) {
      binder.reporter().error(entry.place(), "invalid number of the split_clients parameters");
      continue;
    }
    if (entry.name() != "*") {
      const auto percent = percent_of(entry.name());
      if (!percent) {
        binder.reporter().error(entry.place(), fmt::format("invalid percent value \"{}\"", entry.name()));
        continue;
      }
      part.percent = *percent;
    }
    part.value = binder.variables().compile(entry[1], entry.place(1), 1);
    parts.push_back(std::move(part));
  }
  if (!table->set_parts(std::move(parts))) throw Invalid{"percent total is greater than 100%", 0, {}};
  binder.define_table(slot, std::move(table));
}

const Directive kRows[] = {
    {"limit_req_zone",
     kHttp,
     {2, Arity::kAny, false},
     {add_request_zone, nullptr, "KEY zone=NAME:SIZE rate=RATE"},
     "A zone that counts requests by a key, at a rate of r/s or r/m."},
    {"limit_req",
     kHsl,
     kOneOrMore,
     {add_limit_req, show_limit_req, "zone=NAME [burst=NUMBER] [nodelay | delay=NUMBER]"},
     "Limits requests by a zone: what comes too fast waits, and what exceeds the burst is refused.",
     Support::full,
     Phase::upstreams},
    {"limit_req_status", kHsl, kOne, number<&S::limit_req_status, 400, 599>(), "Status of refused requests."},
    {"limit_req_log_level", kHsl, kOne, choice<&S::limit_req_log_level, kLevels>("info | notice | warn | error"),
     "Level of refusals in the log; delays are one lower."},
    {"limit_req_dry_run", kHsl, kOne, flag<&S::limit_req_dry_run>(), "Counts and logs, and lets through."},
    {"limit_conn_zone",
     kHttp,
     kTwo,
     {add_connection_zone, nullptr, "KEY zone=NAME:SIZE"},
     "A zone that counts requests in progress by a key."},
    {"limit_conn",
     kHsl,
     kTwo,
     {add_limit_conn, show_limit_conn, "ZONE NUMBER"},
     "Most requests in progress with the same key.",
     Support::full,
     Phase::upstreams},
    {"limit_conn_status", kHsl, kOne, number<&S::limit_conn_status, 400, 599>(), "Status of refused requests."},
    {"limit_conn_log_level", kHsl, kOne, choice<&S::limit_conn_log_level, kLevels>("info | notice | warn | error"),
     "Level of refusals in the log."},
    {"limit_conn_dry_run", kHsl, kOne, flag<&S::limit_conn_dry_run>(), "Counts and logs, and lets through."},
    {"geo",
     kHttp | kStream,
     {1, 2, true},
     {set_geo, nullptr, "[$ADDRESS] $NAME { NETWORK VALUE; ... }"},
     "A variable by the client's network: `default`, `delete`, `proxy`, `proxy_recursive`, `ranges`, `volatile`."},
    {"split_clients",
     kHttp | kStream,
     {2, 2, true},
     {set_split_clients, nullptr, "STRING $NAME { PERCENT VALUE; ... * VALUE; }"},
     "A variable that splits clients by a hash of the string."},
};

}  // namespace

std::span<const Directive> limit_directives() { return kRows; }

}  // namespace gatehouse::config
