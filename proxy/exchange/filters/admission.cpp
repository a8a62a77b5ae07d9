// allow and deny, auth_basic, auth_request, satisfy, limit_except; and mirror, which follows them.
#include <system_error>

#include <fmt/format.h>

#include "proxy/config/settings/auth.hpp"
#include "proxy/exchange/exchange.hpp"
#include "proxy/exchange/filters/guards.hpp"
#include "proxy/exchange/filters/real_address.hpp"
#include "proxy/exchange/password_file.hpp"
#include "proxy/exchange/read_body.hpp"
#include "proxy/exchange/subrequest.hpp"
#include "proxy/exchange/variables.hpp"

namespace gatehouse::exchange {
namespace {

/// What one of the three checks says, as nginx's access handlers: declined has no opinion.
struct Opinion {
  enum class Kind : std::uint8_t { declined, allowed, refused } kind = Kind::declined;
  int status = 0;
  Reason reason = Reason::none;
  std::string_view challenge = {};  ///< WWW-Authenticate of a 401
};

Opinion refused(int status, Reason reason, std::string_view challenge = {}) {
  return {Opinion::Kind::refused, status, reason, challenge};
}

Opinion ask_addresses(Exchange& exchange, const config::LocationSettings& settings, bool any) {
  const auto& rules = *settings.access;
  if (rules.empty()) return {};
  const config::NetworkRule* rule = match_network(rules, exchange.client);
  if (rule == nullptr) return {};
  if (rule->allow) return {Opinion::Kind::allowed};
  if (!any) exchange.log(LogLevel::error, "access forbidden by rule");
  return refused(403, Reason::access_denied);
}

std::string_view challenge_of(Exchange& exchange, std::string_view realm) {
  std::string text = "Basic realm=\"";
  for (const char c : realm) {
    if (c == '"' || c == '\\') text.push_back('\\');
    if (c != '\r' && c != '\n') text.push_back(c);
  }
  return exchange.arena.copy(text + "\"");
}

// User and password of Basic credentials (RFC 7617 section 2).
std::optional<std::pair<std::string_view, std::string_view>> credentials(Exchange& exchange) {
  const auto decoded = basic_credentials(exchange);
  if (!decoded) return std::nullopt;
  const std::size_t colon = decoded->find(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  return std::pair{decoded->substr(0, colon), decoded->substr(colon + 1)};
}

io::Task<Opinion> ask_password(Exchange& exchange, const config::AuthSettings& auth) {
  if (!auth.realm || !auth.user_file) co_return Opinion{};
  const std::string_view realm = evaluate(*auth.realm, exchange);
  if (realm == "off") co_return Opinion{};
  const auto given = credentials(exchange);
  if (!given) {
    exchange.log(LogLevel::info, "no user/password was provided for basic authentication");
    co_return refused(401, Reason::not_authorized, challenge_of(exchange, realm));
  }
  const std::string path(evaluate(*auth.user_file, exchange));
  const auto table = load_password_file(path);
  if (!table) {
    const int error = table.error().os_error;
    exchange.log(error == ENOENT ? LogLevel::error : LogLevel::crit,
                 fmt::format("open() \"{}\" failed ({}: {})", path, error, std::generic_category().message(error)));
    co_return error == ENOENT ? refused(403, Reason::authentication_failed)
                              : refused(500, Reason::authentication_failed);
  }
  const auto [user, password] = *given;
  const auto found = (*table)->find(user);
  if (found == (*table)->end()) {
    exchange.log(LogLevel::error, fmt::format("user \"{}\" was not found in \"{}\"", user, path));
    co_return refused(401, Reason::not_authorized, challenge_of(exchange, realm));
  }
  const std::string& hash = found->second;
  bool good = false;
  if (cost_of(hash) == HashCost::cheap) {
    good = password_matches(password, hash);
  } else {
    auto checking = io::Offload(exchange.thread.waf.pool, exchange.thread.reactor,
                                [&] { return password_matches(password, hash); });
    const auto checked = co_await checking;
    if (!checked) co_return refused(503, Reason::overloaded);
    good = *checked;
  }
  if (good) co_return Opinion{Opinion::Kind::allowed};
  exchange.log(LogLevel::error, fmt::format("user \"{}\": password mismatch", user));
  co_return refused(401, Reason::not_authorized, challenge_of(exchange, realm));
}

io::Task<Opinion> ask_subrequest(Exchange& exchange, const config::AuthSettings& auth) {
  if (!auth.auth_request) co_return Opinion{};
  exchange.debug("auth request handler");
  Subrequest subrequest(exchange, *auth.auth_request, SubrequestBody::none, 0);
  auto running = subrequest.run();
  co_await running;
  for (const auto& [variable, value] : auth.auth_request_set) {
    exchange.set_variable(variable.index, exchange.arena.copy(evaluate(value, subrequest.exchange())));
  }
  const int status = subrequest.status();
  exchange.debug("auth request done s:{}", status);
  if (status >= 200 && status < 300) co_return Opinion{Opinion::Kind::allowed};
  if (status == 403) co_return refused(403, Reason::authorization_denied);
  if (status == 401) {
    const auto* upstream = subrequest.exchange().upstream_fields;
    auto challenge = upstream != nullptr ? upstream->value(http::FieldId::www_authenticate) : std::nullopt;
    if (!challenge) challenge = subrequest.exchange().response.fields.value(http::FieldId::www_authenticate);
    co_return refused(401, Reason::not_authorized, challenge ? exchange.arena.copy(*challenge) : std::string_view{});
  }
  exchange.log(LogLevel::error, fmt::format("auth request unexpected status: {}", status));
  co_return refused(500, Reason::authentication_failed);
}

io::Task<Step> refuse(Exchange& exchange, Opinion opinion, Milliseconds delay) {
  if (opinion.status == 401 && delay.count() > 0) {
    // One answer at a time and client tells an attacker little about the others.
    co_await exchange.thread.reactor.sleep_until(exchange.now() + delay);
  }
  exchange.challenge = opinion.challenge;
  exchange.reply(opinion.status, opinion.reason);
  co_return Step::answered;
}

bool lets_through(const config::LimitExcept& except, std::string_view method) {
  for (const auto& name : except.methods) {
    if (name == method || (name == "GET" && method == "HEAD")) return true;
  }
  return false;
}

}  // namespace

const config::LocationSettings& admission_settings(const Exchange& exchange) noexcept {
  const auto& except = exchange.route->location->limit_except;
  return except && !lets_through(*except, exchange.method_text) ? except->settings : exchange.settings();
}

io::Task<Step> check_admission(Exchange& exchange) {
  if (exchange.parent != nullptr) co_return Step::next;
  static const config::AuthSettings kDefaults;
  const config::LocationSettings& settings = admission_settings(exchange);
  const std::shared_ptr<const config::AuthSettings> own = settings.auth;
  const config::AuthSettings& auth = own ? *own : kDefaults;
  const bool any = auth.satisfy_any;
  Opinion last;
  for (int check = 0; check < 3; ++check) {
    Opinion opinion;
    if (check == 0) {
      opinion = ask_addresses(exchange, settings, any);
    } else if (check == 1) {
      auto asking = ask_password(exchange, auth);
      opinion = co_await asking;
    } else {
      auto asking = ask_subrequest(exchange, auth);
      opinion = co_await asking;
    }
    if (opinion.kind == Opinion::Kind::declined) continue;
    if (opinion.kind == Opinion::Kind::allowed) {
      if (any) co_return Step::next;
      continue;
    }
    const bool may_still_pass = any && (opinion.status == 401 || opinion.status == 403);
    if (!may_still_pass) {
      auto refusing = refuse(exchange, opinion, auth.auth_delay);
      co_return co_await refusing;
    }
    if (last.status != 401) last = opinion;
  }
  if (last.kind != Opinion::Kind::refused) co_return Step::next;
  if (last.status == 403) exchange.log(LogLevel::error, "access forbidden by rule");
  auto refusing = refuse(exchange, last, auth.auth_delay);
  co_return co_await refusing;
}

io::Task<Step> start_mirrors(Exchange& exchange) {
  const auto settings = exchange.settings().mirror;
  if (!settings || settings->mirror.empty() || exchange.parent != nullptr || exchange.background) co_return Step::next;
  SubrequestBody body = SubrequestBody::none;
  if (settings->request_body) {
    auto collecting = collect_request_body(exchange);
    const auto collected = co_await collecting;
    if (!collected) co_return Step::answered;
    body = SubrequestBody::of_parent;
  }
  exchange.background = std::make_unique<BackgroundSubrequests>();
  for (const auto& uri : settings->mirror) exchange.background->start(exchange, uri, body);
  co_return Step::next;
}

}  // namespace gatehouse::exchange
