#include "proxy/stream/admit.hpp"

#include <fmt/format.h>

#include "proxy/exchange/filters/real_address.hpp"
#include "proxy/stream/session.hpp"
#include "proxy/stream/variables.hpp"

namespace gatehouse::stream {
namespace {

void find_real_address(Session& session) {
  const auto& trusted = *session.settings().set_real_ip_from;
  if (trusted.empty() || !session.connection.told) return;
  if (exchange::match_network(trusted, session.client) == nullptr) return;
  session.client = session.connection.told->source;
  session.client_ip = session.client.ip_string();
}

// False when a limit is reached.
bool enter_zones(Session& session) {
  constexpr std::size_t kLongestKey = 255;  // nginx's
  const auto& settings = session.stream();
  const auto& generation = *session.generation->shared;
  for (const auto& limit : settings.limit_conn) {
    const auto& zone = generation.config->stream_zones[limit.zone];
    const std::string_view key = evaluate(zone.key, session);
    if (key.empty()) continue;
    if (key.size() > kLongestKey) {
      session.log(LogLevel::error,
                  fmt::format("the value of the \"{}\" key is more than 255 bytes: \"{}\"", zone.key.source(), key));
      continue;
    }
    session.limit_status = "PASSED";
    if (auto lease = generation.zones[limit.zone]->enter(key, limit.most)) {
      session.limits.push_back(std::move(*lease));
      continue;
    }
    session.log(settings.limit_conn_log_level, fmt::format("limiting connections{} by zone \"{}\"",
                                                           settings.limit_conn_dry_run ? ", dry run," : "", zone.name));
    session.limit_status = settings.limit_conn_dry_run ? "REJECTED_DRY_RUN" : "REJECTED";
    if (!settings.limit_conn_dry_run) {
      session.limits.clear();
      return false;
    }
  }
  return true;
}

bool is_allowed(const Session& session) {
  const auto& rules = *session.settings().access;
  if (rules.empty()) return true;
  const config::NetworkRule* rule = exchange::match_network(rules, session.client);
  return rule == nullptr || rule->allow;
}

}  // namespace

int admit(Session& session) {
  find_real_address(session);
  if (!enter_zones(session)) return 503;
  for (const auto& assignment : session.stream().assignments) {
    session.set_variable(assignment.slot, evaluate(assignment.value, session));
  }
  if (!is_allowed(session)) {
    session.log(LogLevel::error, "access forbidden by rule");
    return 403;
  }
  return 0;
}

}  // namespace gatehouse::stream
