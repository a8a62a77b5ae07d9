#include "proxy/exchange/exchange.hpp"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <system_error>

#include <fmt/format.h>

#include "proxy/exchange/browser.hpp"
#include "proxy/exchange/caching/cache_use.hpp"
#include "proxy/exchange/limit_zones.hpp"
#include "proxy/exchange/response_filters.hpp"
#include "proxy/exchange/response_output.hpp"
#include "proxy/exchange/subrequest.hpp"
#include "proxy/exchange/waf_gate.hpp"
#include "proxy/http/local_reply.hpp"
#include "proxy/http/target.hpp"

namespace gatehouse::exchange {
namespace {

constexpr std::size_t kLongestQuoted = 1024;

// nginx logs a client's own fault at info and what somebody has to look at as error.
LogLevel level_of(Reason reason) {
  switch (reason) {
    case Reason::access_denied:
    case Reason::body_too_large:
    case Reason::no_location:
    case Reason::internal_location: return LogLevel::error;
    case Reason::spill_failed: return LogLevel::crit;
    case Reason::bug: return LogLevel::alert;
    default: break;
  }
  switch (row(reason).blame) {
    case Blame::downstream:
    case Blame::none: return LogLevel::info;
    case Blame::upstream:
    case Blame::internal: return LogLevel::error;
  }
  return LogLevel::error;
}

// A variable may hold what the client sent escaped and rewriting decoded: no line end of it may reach the head.
std::string_view safe_location(Exchange& exchange, std::string_view location) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (std::none_of(location.begin(), location.end(), is_control)) return location;
  std::string escaped;
  for (const char c : location) {
    if (is_control(c)) {
      fmt::format_to(std::back_inserter(escaped), "%{:02X}", static_cast<unsigned char>(c));
    } else {
      escaped.push_back(c);
    }
  }
  return exchange.arena.copy(escaped);
}

// The page of a status; browsers that show a page of their own for a short one get padding (msie_padding).
std::string_view page_for(Exchange& exchange, int status) {
  const auto tokens = exchange.settings().server_tokens ? http::ServerTokens::on : http::ServerTokens::off;
  const std::string_view page = http::local_reply_page(status, tokens);
  if (status < 400 || page.empty() || !exchange.settings().msie_padding) return page;
  const auto agent = exchange.head.fields.value(http::FieldId::user_agent);
  if (!agent || !(is_msie(*agent) || is_chrome(*agent))) return page;
  return exchange.arena.concat(page, http::kPagePadding);
}

// The page that sends Internet Explorer on where msie_refresh says so; empty: a redirect does.
std::string_view refresh_page(Exchange& exchange, int status, std::string_view location) {
  if (!exchange.settings().msie_refresh || (status != 301 && status != 302)) return {};
  const auto agent = exchange.head.fields.value(http::FieldId::user_agent);
  if (!agent || !is_msie(*agent)) return {};
  std::string page = "<html><head><meta http-equiv=\"Refresh\" content=\"0; URL=";
  http::escape_uri(location, http::EscapeSet::refresh, page);
  return exchange.arena.copy(page.append("\"></head><body></body></html>\r\n"));
}

}  // namespace

Exchange::Exchange(ThreadState& thread_, std::shared_ptr<const ThreadGeneration> generation_, Downstream& downstream_,
                   ConnectionInfo& connection_, const http::RequestHead& head_,
                   const http::RequestSemantics& semantics_)
    : thread(thread_),
      generation(std::move(generation_)),
      downstream(downstream_),
      connection(connection_),
      head(head_),
      semantics(semantics_),
      args(semantics_.query),
      method(head_.method),
      method_text(head_.method_text),
      client(connection_.peer),
      client_ip(connection_.peer_ip),
      upstream_head(thread_.body_blocks),
      started(thread_.reactor.now()),
      started_wall_ms(thread_.reactor.wall_milliseconds()) {}

Exchange::~Exchange() {
  if (!body.memory().empty()) thread.give_string(body.take_memory());
}

void Exchange::set_variable(std::uint16_t slot, std::string_view value) {
  if (slot >= user_variables.size()) user_variables.resize(generation->shared->config->user_variables.size());
  user_variables[slot] = value.data() == nullptr ? std::string_view("") : value;
}

const ErrorLog& Exchange::error_log() const noexcept {
  return route != nullptr ? *route->error_log : *generation->shared->error_log;
}

void Exchange::log_errno(std::string_view call, std::string_view file) const {
  const int code = errno;
  log(LogLevel::crit,
      fmt::format("{} \"{}\" failed ({}: {})", call, file, code, std::generic_category().message(code)));
}

void Exchange::log(LogLevel level, std::string_view text) const {
  const ErrorLog& log = error_log();
  if (!log.enabled(level)) return;
  fmt::memory_buffer line;
  const auto out = std::back_inserter(line);
  fmt::format_to(out, "{}{}, client: {}", text, logging ? " while logging request" : "", client_ip);
  if (server != nullptr) fmt::format_to(out, ", server: {}", server->name);
  if (!head.line.empty()) fmt::format_to(out, ", request: \"{}\"", head.line.substr(0, kLongestQuoted));
  if (!upstream_url.empty()) fmt::format_to(out, ", upstream: \"{}\"", upstream_url.substr(0, kLongestQuoted));
  if (const auto host = head.fields.value(http::FieldId::host)) {
    fmt::format_to(out, ", host: \"{}\"", host->substr(0, kLongestQuoted));
  }
  if (const auto referer = head.fields.value(http::FieldId::referer)) {
    fmt::format_to(out, ", referrer: \"{}\"", referer->substr(0, kLongestQuoted));
  }
  log.write(level, connection.number, {line.data(), line.size()});
}

void Exchange::reply(int status, Reason why, std::string_view why_detail) {
  reason = why;
  detail = why_detail;
  forced_status = 0;
  make_local_head(*this, http::public_status(status), http::kLocalReplyType, page_for(*this, status));
  error_status = status;
}

std::string_view Exchange::absolute(std::string_view location) {
  if (!location.starts_with('/') || !settings().absolute_redirect) return location;
  std::string_view name = semantics.authority.host;
  if (settings().server_name_in_redirect || name.empty()) name = server->name;
  if (name.empty()) name = arena.copy(connection.local.ip_string());
  const std::uint16_t port = connection.local.port();
  const bool default_port = port == (connection.secure() ? 443 : 80);
  const std::string port_text =
      settings().port_in_redirect && !default_port && port != 0 ? fmt::format(":{}", port) : "";
  return arena.concat(std::string_view(connection.secure() ? "https://" : "http://"), name, std::string_view(port_text),
                      location);
}

void Exchange::redirect(int status, std::string_view location) {
  forced_status = 0;
  if (const std::string_view page = refresh_page(*this, status, location); !page.empty()) {
    make_local_head(*this, 200, http::kLocalReplyType, page);
    return;
  }
  make_local_head(*this, status, http::kLocalReplyType, page_for(*this, status),
                  safe_location(*this, absolute(location)));
  error_status = status;
}

void Exchange::reply_empty(int status) { make_local_head(*this, status, {}, {}); }

void Exchange::fail(Reason why, std::string_view why_detail) {
  const int status = row(why).status;
  const LogLevel level = level_of(why);
  if (error_log().enabled(level)) {
    log(level, why_detail.empty() ? std::string(row(why).text) : fmt::format("{}: {}", row(why).text, why_detail));
  }
  if (status == 0) {
    reason = why;
    detail = why_detail;
    response.status = http::kCloseSilently;
    error_status = 0;
    local = true;
    return;
  }
  reply(status, why, why_detail);
}

void Exchange::fail_sending(Error error) {
  reason = error.reason == Reason::timed_out ? Reason::send_timeout : Reason::client_closed;
  if (error.reason == Reason::body_too_slow || error.reason == Reason::send_timeout) reason = Reason::send_timeout;
  log(LogLevel::info, error.os_error == 0 ? std::string(row(reason).text)
                                          : fmt::format("{} ({}: {})", row(reason).text, error.os_error,
                                                        std::generic_category().message(error.os_error)));
  downstream.abort();
}

}  // namespace gatehouse::exchange
