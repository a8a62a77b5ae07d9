#include "proxy/exchange/filters/real_address.hpp"

#include <algorithm>

#include "proxy/exchange/exchange.hpp"

namespace gatehouse::exchange {
namespace {

bool in_network(const config::NetworkRule& rule, const SocketAddress& address) noexcept {
  const auto network = rule.network.bytes();
  auto bytes = address.bytes();
  // An IPv4 client of an IPv6 socket appears as ::ffff:a.b.c.d; IPv4 rules mean it too.
  constexpr std::uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (network.size() == 4 && bytes.size() == 16 && std::equal(std::begin(kMapped), std::end(kMapped), bytes.begin())) {
    bytes = bytes.subspan(12);
  }
  if (network.empty() || network.size() != bytes.size()) return false;
  const std::size_t whole = rule.prefix_length / 8;
  if (!std::equal(network.begin(), network.begin() + static_cast<std::ptrdiff_t>(whole), bytes.begin())) return false;
  const unsigned rest = rule.prefix_length % 8;
  if (rest == 0) return true;
  const auto mask = static_cast<std::uint8_t>(0xff << (8 - rest));
  return (network[whole] & mask) == (bytes[whole] & mask);
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// "1.2.3.4", "1.2.3.4:5", "[::1]:5", "::1"
std::optional<SocketAddress> read_address(std::string_view text) {
  return SocketAddress::parse(text, std::uint16_t{0});
}

std::optional<std::string> joined_header(const Exchange& exchange, std::string_view name) {
  std::optional<std::string> joined;
  for (const auto& field : exchange.head.fields) {
    const bool same =
        field.name.size() == name.size() && std::equal(name.begin(), name.end(), field.name.begin(),
                                                       [](char a, char b) { return (a | 0x20) == (b | 0x20); });
    if (!same) continue;
    if (joined)
      joined->append(",").append(field.value);
    else
      joined.emplace(field.value);
  }
  return joined;
}

}  // namespace

const config::NetworkRule* match_network(const std::vector<config::NetworkRule>& rules,
                                         const SocketAddress& address) noexcept {
  for (const auto& rule : rules) {
    if (rule.all) return &rule;
    if (rule.unix_sockets ? address.family() == AddressFamily::unix_path : in_network(rule, address)) return &rule;
  }
  return nullptr;
}

std::optional<SocketAddress> address_from_list(std::string_view list, const std::vector<config::NetworkRule>& trusted,
                                               bool recursive) {
  std::optional<SocketAddress> found;
  for (;;) {
    const std::size_t comma = list.rfind(',');
    const std::string_view last = trimmed(comma == std::string_view::npos ? list : list.substr(comma + 1));
    const auto address = read_address(last);
    if (!address) return found;  // what stands left of garbage can't be trusted
    found = address;
    if (!recursive || comma == std::string_view::npos || match_network(trusted, *address) == nullptr) return found;
    list = list.substr(0, comma);
  }
}

Step find_real_address(Exchange& exchange) {
  const auto& settings = exchange.settings();
  const auto& trusted = *settings.set_real_ip_from;
  if (exchange.real_address_found || trusted.empty() || match_network(trusted, exchange.client) == nullptr)
    return Step::next;
  std::optional<SocketAddress> real;
  if (settings.real_ip_header == "proxy_protocol") {
    real = exchange.connection.proxy_source();
  } else if (const auto list = joined_header(exchange, settings.real_ip_header)) {
    real = address_from_list(*list, trusted, settings.real_ip_recursive);
  }
  if (!real) return Step::next;
  exchange.real_address_found = true;
  exchange.client = *real;
  exchange.client_ip = exchange.arena.copy(real->ip_string());
  return Step::next;
}

}  // namespace gatehouse::exchange
