// Rows of upstream blocks.
#include "proxy/config/blocks.hpp"
#include "proxy/config/setters.hpp"
#include "proxy/config/tables.hpp"

namespace gatehouse::config {
namespace {

void set_method(const Use& use, BalanceMethod method) {
  auto& upstream = *use.level.upstream;
  if (upstream.method != BalanceMethod::round_robin)
    use.level.binder->warn(use.statement, 0, "load balancing method redefined");
  upstream.method = method;
  upstream.hash_key.reset();
}

void set_least_conn(const Use& use) { set_method(use, BalanceMethod::least_conn); }
void set_ip_hash(const Use& use) { set_method(use, BalanceMethod::ip_hash); }

void set_hash(const Use& use) {
  if (use.count() == 2 && use[2] != "consistent") {
    throw Invalid{fmt::format("invalid parameter \"{}\"", use[2]), 2, "only \"consistent\""};
  }
  auto key = read_value(use);
  set_method(use, use.count() == 2 ? BalanceMethod::hash_consistent : BalanceMethod::hash);
  use.level.upstream->hash_key = std::move(key);
}

void set_random(const Use& use) {
  if (use.count() >= 1 && use[1] != "two")
    throw Invalid{fmt::format("invalid parameter \"{}\"", use[1]), 1, "only \"two\""};
  auto method = use.count() >= 1 ? BalanceMethod::random_two : BalanceMethod::random;
  bool whole = false;
  if (use.count() == 2 && use[2] != "least_conn") {
    const bool http = use.level.context == kUpstream;
    if (!http || (use[2] != "least_time=header" && use[2] != "least_time=last_byte")) {
      throw Invalid{fmt::format("invalid parameter \"{}\"", use[2]), 2,
                    http ? "least_conn, least_time=header or least_time=last_byte" : "only \"least_conn\""};
    }
    method = BalanceMethod::random_two_least_time;
    whole = use[2] == "least_time=last_byte";
  }
  set_method(use, method);
  use.level.upstream->least_time_whole = whole;
}

void set_least_time(const Use& use) {
  if (use[1] != "header" && use[1] != "last_byte") {
    throw Invalid{fmt::format("invalid value \"{}\"", use[1]), 1, "header or last_byte"};
  }
  if (use.count() == 2 && use[2] != "inflight") {
    throw Invalid{fmt::format("invalid parameter \"{}\"", use[2]), 2, "only \"inflight\""};
  }
  set_method(use, BalanceMethod::least_time);
  use.level.upstream->least_time_whole = use[1] == "last_byte";
  use.level.upstream->least_time_in_flight = use.count() == 2;
}

std::string show_method(const Level& level, BalanceMethod a, BalanceMethod b, std::string_view second) {
  if (level.upstream == nullptr) return "";
  const auto key = level.upstream->hash_key ? level.upstream->hash_key->source() : std::string{};
  if (level.upstream->method == a) return key.empty() ? "set" : key;
  if (level.upstream->method != b) return "";
  return key.empty() ? std::string(second) : fmt::format("{} {}", key, second);
}
std::string show_least_conn(const Level& level) {
  return show_method(level, BalanceMethod::least_conn, BalanceMethod::least_conn, "");
}
std::string show_ip_hash(const Level& level) {
  return show_method(level, BalanceMethod::ip_hash, BalanceMethod::ip_hash, "");
}
std::string show_hash(const Level& level) {
  return show_method(level, BalanceMethod::hash, BalanceMethod::hash_consistent, "consistent");
}
std::string show_least_time(const Level& level) {
  if (level.upstream == nullptr || level.upstream->method != BalanceMethod::least_time) return "";
  return fmt::format("{}{}", level.upstream->least_time_whole ? "last_byte" : "header",
                     level.upstream->least_time_in_flight ? " inflight" : "");
}
std::string show_random(const Level& level) {
  if (level.upstream != nullptr && level.upstream->method == BalanceMethod::random_two_least_time) {
    return level.upstream->least_time_whole ? "two least_time=last_byte" : "two least_time=header";
  }
  return show_method(level, BalanceMethod::random, BalanceMethod::random_two, "two");
}

void set_keepalive(const Use& use) {
  auto& keepalive = slot<&Upstream::keepalive>(use);
  const auto number = parse_number(use[1]);
  if (!number || *number > 1'000'000) {
    throw Invalid{fmt::format("invalid value \"{}\" in \"keepalive\" directive", use[1]), 1, {}};
  }
  if (use.count() == 2 && use[2] != "local") throw Invalid{fmt::format("invalid parameter \"{}\"", use[2]), 2, {}};
  keepalive = static_cast<std::uint32_t>(*number);
}
std::string show_keepalive(const Level& level) {
  return level.upstream == nullptr ? "" : std::to_string(level.upstream->keepalive);
}

void set_zone(const Use& use) {
  if (!use.first) refuse(use, 0, "is duplicate");
  if (use[1].empty()) throw Invalid{fmt::format("invalid zone name \"{}\"", use[1]), 1, {}};
  if (use.count() == 2 && read_size(use, 2) < 8 * 4096)
    throw Invalid{fmt::format("zone \"{}\" is too small", use[1]), 2, {}};
}

std::string show_servers(const Level& level) {
  std::string text;
  if (level.upstream == nullptr) return text;
  for (const auto& server : level.upstream->servers) {
    text +=
        fmt::format("{}{} weight={} max_fails={} fail_timeout={} max_conns={}", text.empty() ? "" : "; ", server.name,
                    server.weight, server.max_fails, format_time(server.fail_timeout), server.max_conns);
    if (server.slow_start.count() != 0) text += fmt::format(" slow_start={}", format_time(server.slow_start));
    if (!server.route.empty()) text += fmt::format(" route={}", server.route);
    for (const auto& [set, word] : {std::pair(server.backup, " backup"), std::pair(server.down, " down"),
                                    std::pair(server.drain, " drain"), std::pair(server.resolve, " resolve")}) {
      if (set) text += word;
    }
  }
  return text;
}

const Directive kRows[] = {
    {"upstream",
     kHttp | kStream,
     {1, 1, true},
     {set_upstream, nullptr, "NAME { ... }"},
     "A group of servers that proxy_pass can name.",
     Support::full,
     Phase::upstreams},
    {"server",
     kUpstream | kStreamUpstream,
     kOneOrMore,
     {set_upstream_server, show_servers,
      "ADDRESS[:PORT] | unix:PATH [weight=NUMBER] [max_conns=NUMBER] [max_fails=NUMBER] [fail_timeout=TIME] "
      "[slow_start=TIME] "
      "[route=STRING] [backup] [down] [drain] [resolve]"},
     "A server of the group. A name stands for all its addresses and is resolved again while running."},
    {"least_conn",
     kUpstream | kStreamUpstream,
     kNoArgument,
     {set_least_conn, show_least_conn, ""},
     "Balances to the server with the fewest requests for its weight."},
    {"ip_hash", kUpstream, kNoArgument, {set_ip_hash, show_ip_hash, ""}, "Balances by the client's address."},
    {"hash",
     kUpstream | kStreamUpstream,
     {1, 2, false},
     {set_hash, show_hash, "KEY [consistent]"},
     "Balances by a key; consistent is ketama."},
    {"random",
     kUpstream | kStreamUpstream,
     {0, 2, false},
     {set_random, show_random, "[two [least_conn | least_time=header | least_time=last_byte]]"},
     "Balances at random; two takes the better of two."},
    {"least_time",
     kUpstream,
     {1, 2, false},
     {set_least_time, show_least_time, "header | last_byte [inflight]"},
     "Balances to the server that has the least time of response, to its head or its last byte, and the fewest "
     "requests "
     "for its "
     "weight; inflight counts requests that are not answered yet."},
    {"sticky",
     kUpstream,
     {2, Arity::kAny, false},
     {set_sticky, show_sticky,
      "cookie NAME [expires=TIME | expires=max] [domain=STRING] [path=PATH] [httponly] [secure] "
      "[samesite=strict|lax|none|$VARIABLE] | route $VARIABLE ... | "
      "learn create=$VARIABLE lookup=$VARIABLE zone=NAME:SIZE [timeout=TIME] [header]"},
     "Binds a client to a server of the group: by a cookie of its own, by a route in the request, or by sessions that "
     "it "
     "learns "
     "from responses. Sessions outlive a reload."},
    {"keepalive",
     kUpstream,
     {1, 2, false},
     {set_keepalive, show_keepalive, "NUMBER [local]"},
     "Idle connections kept by each event thread; 0 keeps none."},
    {"keepalive_requests", kUpstream, kOne, number<&Upstream::keepalive_requests>(),
     "Requests of one upstream connection."},
    {"keepalive_time", kUpstream, kOne, time<&Upstream::keepalive_time>(),
     "Age at which an upstream connection is used no more."},
    {"keepalive_timeout", kUpstream, kOne, time<&Upstream::keepalive_timeout>(),
     "How long an idle upstream connection stays open."},
    {"retry_budget", kUpstream, kOne, number<&Upstream::retry_budget>(),
     "Most retries per hundred requests of the group, over ten seconds and by event thread; 100 is no limit (nginx has "
     "none)."},
    {"retry_budget_min", kUpstream, kOne, number<&Upstream::retry_budget_min>(),
     "Retries per second that retry_budget always allows."},
    {"zone",
     kUpstream | kStreamUpstream,
     {1, 2, false},
     {set_zone, nullptr, "NAME [SIZE]"},
     "Accepted: event threads share one process, so the group's state is shared anyway.",
     Support::tuning},
};

}  // namespace

std::span<const Directive> upstream_directives() { return kRows; }

}  // namespace gatehouse::config
