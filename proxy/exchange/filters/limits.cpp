// limit_req and limit_conn.
#include "proxy/config/settings/limits.hpp"

#include <chrono>

#include <fmt/format.h>

#include "proxy/exchange/exchange.hpp"
#include "proxy/exchange/filters/guards.hpp"
#include "proxy/exchange/limit_zones.hpp"
#include "proxy/exchange/variables.hpp"

namespace gatehouse::exchange {
namespace {

constexpr std::size_t kLongestRequestKey = 65535;
constexpr std::size_t kLongestConnectionKey = 255;

LogLevel lower_level(LogLevel level) {
  return level == LogLevel::info ? level : static_cast<LogLevel>(static_cast<int>(level) - 1);
}

struct Judged {
  const config::LimitSettings::Requests* limit = nullptr;
  std::string_view key;
  RequestLimitZone* zone = nullptr;
};

std::string amount(std::uint64_t excess) { return fmt::format("{}.{:03}", excess / 1000, excess % 1000); }

io::Task<Step> limit_requests(Exchange& exchange, const config::LimitSettings& settings) {
  const Generation& generation = *exchange.generation->shared;
  const auto& zones = generation.config->http.request_zones;
  const std::string_view dry = settings.limit_req_dry_run ? ", dry run" : "";
  const std::int64_t now = std::chrono::duration_cast<Milliseconds>(exchange.now().time_since_epoch()).count();
  std::vector<Judged> judged;
  for (const auto& limit : settings.limit_req) {
    const std::string_view key = evaluate(zones[limit.zone].key, exchange);
    if (key.empty()) continue;
    if (key.size() > kLongestRequestKey) {
      exchange.log(LogLevel::error,
                   fmt::format("the value of the \"{}\" key is more than {} bytes: \"{}\"",
                               zones[limit.zone].key.source(), kLongestRequestKey, key.substr(0, 1024)));
      continue;
    }
    judged.push_back({&limit, key, generation.request_zones[limit.zone].get()});
  }
  if (judged.empty()) co_return Step::next;
  // All zones are asked before one counts: a request that one of them refuses must not use up another.
  std::uint64_t longest = 0;
  std::uint64_t told_excess = 0;
  std::size_t told_zone = judged.back().limit->zone;
  for (const bool counts : {false, true}) {
    for (std::size_t i = 0; i < judged.size(); ++i) {
      if (!counts && i + 1 == judged.size()) break;  // the last one is asked and counted at once
      const auto& [limit, key, zone] = judged[counts ? judged.size() - 1 - i : i];
      const auto answer = counts ? zone->take(key, limit->burst, now) : zone->ask(key, limit->burst, now);
      if (answer.refused) {
        exchange.log(settings.limit_req_log_level, fmt::format("limiting requests{}, excess: {} by zone \"{}\"", dry,
                                                               amount(answer.excess), zones[limit->zone].name));
        exchange.limit_req_status = settings.limit_req_dry_run ? "REJECTED_DRY_RUN" : "REJECTED";
        if (settings.limit_req_dry_run) co_return Step::next;
        exchange.reply(settings.limit_req_status, Reason::requests_limited);
        co_return Step::answered;
      }
      if (exchange.debugs()) {
        exchange.debug("limit_req zone \"{}\": {}", zones[limit->zone].name, amount(answer.excess));
      }
      if (!counts || answer.excess <= limit->delay) continue;
      const std::uint64_t wait = (answer.excess - limit->delay) * 1000 / zone->rate();
      if (wait > longest) {
        longest = wait;
        told_excess = answer.excess;
        told_zone = limit->zone;
      }
    }
  }
  if (longest == 0) {
    exchange.limit_req_status = "PASSED";
    co_return Step::next;
  }
  exchange.log(lower_level(settings.limit_req_log_level), fmt::format("delaying request{}, excess: {}, by zone \"{}\"",
                                                                      dry, amount(told_excess), zones[told_zone].name));
  if (settings.limit_req_dry_run) {
    exchange.limit_req_status = "DELAYED_DRY_RUN";
    co_return Step::next;
  }
  exchange.limit_req_status = "DELAYED";
  co_await exchange.thread.reactor.sleep_until(exchange.now() + Milliseconds(longest));
  co_return Step::next;
}

Step limit_connections(Exchange& exchange, const config::LimitSettings& settings) {
  const Generation& generation = *exchange.generation->shared;
  const auto& zones = generation.config->http.connection_zones;
  auto leases = std::make_unique<ConnectionLeases>();
  for (const auto& limit : settings.limit_conn) {
    const std::string_view key = evaluate(zones[limit.zone].key, exchange);
    if (key.empty()) continue;
    if (key.size() > kLongestConnectionKey) {
      exchange.log(LogLevel::error,
                   fmt::format("the value of the \"{}\" key is more than {} bytes: \"{}\"",
                               zones[limit.zone].key.source(), kLongestConnectionKey, key.substr(0, 1024)));
      continue;
    }
    exchange.limit_conn_status = "PASSED";
    const auto& zone = generation.connection_zones[limit.zone];
    if (zone->take(key, limit.most)) {
      exchange.debug("limit conn: zone \"{}\", below {}", zones[limit.zone].name, limit.most);
      leases->add(zone, key);
      continue;
    }
    exchange.log(settings.limit_conn_log_level,
                 fmt::format("limiting connections{} by zone \"{}\"", settings.limit_conn_dry_run ? ", dry run," : "",
                             zones[limit.zone].name));
    exchange.limit_conn_status = settings.limit_conn_dry_run ? "REJECTED_DRY_RUN" : "REJECTED";
    if (settings.limit_conn_dry_run) break;
    exchange.reply(settings.limit_conn_status, Reason::connections_limited);
    return Step::answered;
  }
  exchange.leases = std::move(leases);
  return Step::next;
}

}  // namespace

io::Task<Step> check_limits(Exchange& exchange) {
  const auto settings = exchange.settings().limits;
  if (!settings || exchange.parent != nullptr) co_return Step::next;
  if (!settings->limit_req.empty() && exchange.limit_req_status.empty()) {
    auto limiting = limit_requests(exchange, *settings);
    if (const Step step = co_await limiting; step == Step::answered) co_return step;
  }
  if (!settings->limit_conn.empty() && exchange.limit_conn_status.empty())
    co_return limit_connections(exchange, *settings);
  co_return Step::next;
}

}  // namespace gatehouse::exchange
