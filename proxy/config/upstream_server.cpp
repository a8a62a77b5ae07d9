// `server` inside `upstream`.
#include <array>
#include <limits>

#include <fmt/format.h>

#include "proxy/config/blocks.hpp"
#include "proxy/config/endpoint.hpp"
#include "proxy/config/setters.hpp"

namespace gatehouse::config {
namespace {

constexpr std::size_t kLongestRoute = 32;  // nginx's NGX_HTTP_UPSTREAM_SID_LEN

[[noreturn]] void bad_parameter(const Use& use, std::size_t word) {
  constexpr std::array<std::string_view, 11> kNames{"weight=",     "max_fails=", "fail_timeout=", "max_conns=",
                                                    "slow_start=", "route=",     "backup",        "down",
                                                    "drain",       "resolve",    "service="};
  throw Invalid{fmt::format("invalid parameter \"{}\"", use[word]), word, did_you_mean(use[word], kNames)};
}

bool spreads_by_key(BalanceMethod method) {
  return method == BalanceMethod::ip_hash || method == BalanceMethod::hash ||
         method == BalanceMethod::hash_consistent || method == BalanceMethod::random ||
         method == BalanceMethod::random_two || method == BalanceMethod::random_two_least_time;
}

// With a key or at random, the share of a server can't grow slowly.
void refuse_with_keys(const Use& use, std::size_t word, std::string_view name) {
  if (!spreads_by_key(use.level.upstream->method)) return;
  throw Invalid{fmt::format("balancing method does not support parameter \"{}\"", name), word, {}};
}

void read_parameter(const Use& use, std::size_t word, UpstreamServer& server) {
  const std::string_view text = use[word];
  const auto equals = text.find('=');
  const auto name = text.substr(0, equals);
  const auto value = equals == std::string_view::npos ? std::string_view{} : text.substr(equals + 1);
  const auto number = parse_number(value);
  const bool fits = number && *number <= std::numeric_limits<std::int32_t>::max();
  const auto time = parse_time(value, TimeUnit::seconds);
  const bool http = use.level.context == kUpstream;
  if (name == "weight" && fits && *number > 0) {
    server.weight = static_cast<std::uint32_t>(*number);
  } else if (name == "max_fails" && fits) {
    server.max_fails = static_cast<std::uint32_t>(*number);
  } else if (name == "max_conns" && fits) {
    server.max_conns = static_cast<std::uint32_t>(*number);
  } else if (name == "fail_timeout" && time) {
    server.fail_timeout = *time;
  } else if (name == "slow_start" && time) {
    refuse_with_keys(use, word, name);
    server.slow_start = *time;
  } else if (name == "route" && http && !value.empty()) {
    if (value.size() > kLongestRoute)
      throw Invalid{fmt::format("invalid route \"{}\"", value), word, "32 bytes at most"};
    server.route = value;
  } else if (text == "drain" && http) {
    server.drain = true;
  } else if (text == "backup") {
    refuse_with_keys(use, word, text);
    server.backup = true;
  } else if (text == "down") {
    server.down = true;
  } else if (text == "resolve") {
    server.resolve = true;
  } else {
    bad_parameter(use, word);
  }
}

}  // namespace

void set_upstream_server(const Use& use) {
  UpstreamServer server;
  server.name = use[1];
  server.position = use.statement.place(1).position();
  std::string error;
  const auto endpoint = parse_endpoint(use[1], 80, error);
  if (!endpoint) {
    const bool url = use[1].find("://") != std::string::npos;
    throw Invalid{fmt::format("{} in upstream \"{}\"", error, use[1]), 1,
                  url ? "a server is host:port; the scheme stands in proxy_pass" : ""};
  }
  if (use.level.context == kStreamUpstream && !endpoint->port && !endpoint->unix_socket) {
    throw Invalid{fmt::format("no port in upstream \"{}\"", use[1]), 1, "a server is host:port"};
  }
  server.host = endpoint->host;
  server.port = endpoint->unix_socket ? 0 : endpoint->port.value_or(80);
  server.address = endpoint->address;
  for (std::size_t i = 2; i <= use.count(); ++i) read_parameter(use, i, server);
  use.level.upstream->servers.push_back(std::move(server));
}

}  // namespace gatehouse::config
