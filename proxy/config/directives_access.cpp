// Rows of access by address, the client's real address, and name resolution.
#include <bit>

#include "proxy/config/endpoint.hpp"
#include "proxy/config/setters.hpp"
#include "proxy/config/tables.hpp"

namespace gatehouse::config {
namespace {

using L = LocationSettings;
constexpr std::uint32_t kHsl = kHttpServerLocation;

std::string show_network(const NetworkRule& rule) {
  if (rule.all) return "all";
  if (rule.unix_sockets) return "unix:";
  return fmt::format("{}/{}", rule.network.ip_string(), rule.prefix_length);
}

// "10.0.0.0/8", "10.1.2.3", "2001:db8::/32". nginx clears the bits behind the prefix and warns.
std::optional<NetworkRule> parse_network(const Use& use, std::size_t word) {
  const std::string_view text = use[word];
  const auto slash = text.find('/');
  const auto address = parse_ip(text.substr(0, slash), 0);
  if (!address) return std::nullopt;
  const std::size_t bits = address->bytes().size() * 8;
  std::uint64_t prefix = bits;
  if (slash != std::string_view::npos) {
    const auto number = parse_number(text.substr(slash + 1));
    if (!number || *number > bits) return std::nullopt;
    prefix = *number;
  }
  NetworkRule rule;
  rule.prefix_length = static_cast<std::uint8_t>(prefix);
  std::array<std::uint8_t, 16> bytes{};
  std::ranges::copy(address->bytes(), bytes.begin());
  bool cut = false;
  for (std::size_t bit = prefix; bit < bits; ++bit) {
    const auto mask = static_cast<std::uint8_t>(0x80u >> (bit % 8));
    cut |= (bytes[bit / 8] & mask) != 0;
    bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] & ~mask);
  }
  rule.network =
      bits == 32 ? SocketAddress::ipv4({bytes[0], bytes[1], bytes[2], bytes[3]}, 0) : SocketAddress::ipv6(bytes, 0);
  if (cut) use.level.binder->warn(use.statement, word, fmt::format("low address bits of {} are meaningless", text));
  return rule;
}

void add_access(const Use& use, bool allow) {
  NetworkRule rule;
  if (use[1] == "all") {
    rule.all = true;
  } else if (use[1] == "unix:") {
    rule.unix_sockets = true;
  } else {
    const auto network = parse_network(use, 1);
    if (!network)
      throw Invalid{fmt::format("invalid parameter \"{}\"", use[1]), 1, "an address, ADDRESS/PREFIX, all or unix:"};
    rule = *network;
  }
  rule.allow = allow;
  // allow and deny share one list: either of them at a level starts it anew.
  const auto* other = use.level.find(allow ? "deny" : "allow");
  Use shared{use.level, use.statement, use.row, use.first && other == nullptr};
  append<&L::access>(shared, rule);
}
void set_allow(const Use& use) { add_access(use, true); }
void set_deny(const Use& use) { add_access(use, false); }

std::string show_access(const Level& level, bool allow) {
  std::string text;
  if (level.settings == nullptr || !level.settings->access) return text;
  for (const auto& rule : *level.settings->access) {
    if (rule.allow == allow) text += (text.empty() ? "" : "; ") + show_network(rule);
  }
  return text;
}
std::string show_allow(const Level& level) { return show_access(level, true); }
std::string show_deny(const Level& level) { return show_access(level, false); }

// ADDRESS, ADDRESS/PREFIX, unix: or a host name, which stands for all its addresses.
std::vector<NetworkRule> peers_named(const Use& use) {
  NetworkRule rule;
  if (use[1] == "unix:") {
    rule.unix_sockets = true;
    return {rule};
  }
  if (const auto network = parse_network(use, 1)) return {*network};
  const auto addresses = use[1].find('/') == std::string::npos ? look_up(use[1], 0) : std::vector<SocketAddress>{};
  if (addresses.empty()) {
    throw Invalid{fmt::format("host not found in {} \"{}\"", use.row.name, use[1]), 1,
                  "an address, ADDRESS/PREFIX or unix:"};
  }
  std::vector<NetworkRule> peers;
  for (const auto& address : addresses) {
    rule.network = address;
    rule.prefix_length = static_cast<std::uint8_t>(address.bytes().size() * 8);
    peers.push_back(rule);
  }
  return peers;
}

void set_real_ip_from(const Use& use) {
  bool first = use.first;
  for (const auto& rule : peers_named(use)) {
    append<&L::set_real_ip_from>(Use{use.level, use.statement, use.row, first}, rule);
    first = false;
  }
}
void set_debug_connection(const Use& use) {
  std::ranges::copy(peers_named(use), std::back_inserter(use.level.main->debug_connections));
}
std::string show_real_ip_from(const Level& level) {
  std::string text;
  if (level.settings == nullptr || !level.settings->set_real_ip_from) return text;
  for (const auto& rule : *level.settings->set_real_ip_from) text += (text.empty() ? "" : "; ") + show_network(rule);
  return text;
}

bool read_on_off(std::string_view value, const Use& use, std::size_t word) {
  if (value != "on" && value != "off") throw Invalid{fmt::format("invalid parameter: {}", use[word]), word, {}};
  return value == "on";
}

std::shared_ptr<const ResolverSettings> read_resolver(const Use& use) {
  ResolverSettings resolver;
  for (std::size_t i = 1; i <= use.count(); ++i) {
    const std::string_view text = use[i];
    if (text.starts_with("valid=")) {
      resolver.valid = parse_time(text.substr(6), TimeUnit::seconds);
      if (!resolver.valid) throw Invalid{fmt::format("invalid parameter: {}", text), i, {}};
    } else if (text.starts_with("ipv6=")) {
      resolver.ipv6 = read_on_off(text.substr(5), use, i);
    } else if (text.starts_with("ipv4=")) {
      resolver.ipv4 = read_on_off(text.substr(5), use, i);
    } else if (text.starts_with("status_zone=")) {
      continue;
    } else {
      std::string error;
      const auto endpoint = parse_endpoint(text, 53, error);
      if (!endpoint || endpoint->unix_socket) {
        throw Invalid{fmt::format("{} in resolver \"{}\"", error.empty() ? "invalid host" : error, text), i, {}};
      }
      if (!endpoint->address) {
        throw Invalid{fmt::format("host not found in resolver \"{}\"", text), i, "a resolver is named by its address"};
      }
      resolver.servers.push_back(*endpoint->address);
    }
  }
  if (resolver.servers.empty()) throw Invalid{"no name servers defined", 1, {}};
  if (!resolver.ipv4 && !resolver.ipv6) throw Invalid{"\"ipv4\" and \"ipv6\" cannot both be \"off\"", 1, {}};
  return std::make_shared<const ResolverSettings>(std::move(resolver));
}

std::string show_resolver(const std::shared_ptr<const ResolverSettings>& resolver) {
  if (!resolver) return "";
  std::string text;
  for (const auto& server : resolver->servers) text += (text.empty() ? "" : " ") + server.to_string();
  if (resolver->valid) text += " valid=" + format_time(*resolver->valid);
  if (!resolver->ipv4) text += " ipv4=off";
  if (!resolver->ipv6) text += " ipv6=off";
  return text;
}

void set_resolver(const Use& use) { slot<&L::resolver>(use) = read_resolver(use); }
void set_upstream_resolver(const Use& use) { slot<&Upstream::resolver>(use) = read_resolver(use); }

constexpr std::string_view kResolverSyntax = "ADDRESS[:PORT]... [valid=TIME] [ipv4=on|off] [ipv6=on|off]";

const Directive kRows[] = {
    {"allow",
     kHsl | kLimitExcept | kStreamBoth,
     kOne,
     {set_allow, show_allow, "ADDRESS | NETWORK | unix: | all"},
     "Lets these clients in; allow and deny are tried in order, the first match decides."},
    {"deny",
     kHsl | kLimitExcept | kStreamBoth,
     kOne,
     {set_deny, show_deny, "ADDRESS | NETWORK | unix: | all"},
     "Answers these clients 403."},
    {"set_real_ip_from",
     kHsl | kStreamBoth,
     kOne,
     {set_real_ip_from, show_real_ip_from, "ADDRESS | NETWORK | unix:"},
     "Peers that are trusted to name the client's address in real_ip_header."},
    {"debug_connection",
     kEvents,
     kOne,
     {set_debug_connection, nullptr, "ADDRESS | NETWORK | unix:"},
     "Writes debug messages for connections of these clients, whatever the level of the error log."},
    {"real_ip_header", kHsl, kOne, text<&L::real_ip_header>("FIELD | X-Real-IP | X-Forwarded-For | proxy_protocol"),
     "Request header that holds the client's address."},
    {"real_ip_recursive", kHsl, kOne, flag<&L::real_ip_recursive>(),
     "Takes the right-most address that is not trusted instead of the last one."},
    {"resolver",
     kHsl | kStreamBoth,
     kOneOrMore,
     {set_resolver, [](const Level& level) { return level.settings ? show_resolver(level.settings->resolver) : ""; },
      kResolverSyntax},
     "Name servers; the system's (/etc/resolv.conf) when not set."},
    {"resolver",
     kUpstream | kStreamUpstream,
     kOneOrMore,
     {set_upstream_resolver,
      [](const Level& level) { return level.upstream ? show_resolver(level.upstream->resolver) : ""; },
      kResolverSyntax},
     "Name servers of this upstream."},
    {"resolver_timeout", kHsl | kStreamBoth, kOne, time<&L::resolver_timeout>(), "Longest wait for a name."},
};

}  // namespace

std::span<const Directive> access_directives() { return kRows; }

}  // namespace gatehouse::config
