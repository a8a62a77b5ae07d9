// Variables that come from the request.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <system_error>

#include <fmt/format.h>

#include "proxy/base/ascii.hpp"
#include "proxy/exchange/browser.hpp"
#include "proxy/exchange/content/content.hpp"
#include "proxy/exchange/exchange.hpp"
#include "proxy/exchange/link_checks.hpp"
#include "proxy/exchange/user_id.hpp"
#include "proxy/exchange/variables.hpp"
#include "proxy/http/cookies.hpp"

namespace gatehouse::exchange {
namespace {

using Value = std::optional<std::string_view>;

Value host(Exchange& exchange, std::string_view) {
  std::string_view name = exchange.semantics.authority.host;
  if (name.empty()) return exchange.server != nullptr ? std::string_view(exchange.server->name) : std::string_view{};
  if (std::none_of(name.begin(), name.end(), [](char c) { return c >= 'A' && c <= 'Z'; })) return name;
  char* at = exchange.arena.allocate(name.size());
  std::transform(name.begin(), name.end(), at, to_lower);
  return std::string_view(at, name.size());
}

Value argument_of(Exchange& exchange, std::string_view name) {
  std::string_view query = exchange.args;
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view key = pair.substr(0, equals);
    if (iequals(key, name)) return pair.substr(equals + 1);
  }
  return std::nullopt;
}

Value cookie(Exchange& exchange, std::string_view name) { return http::find_cookie(exchange.head.fields, name); }

Value request_id(Exchange& exchange, std::string_view) {
  if (exchange.request_id.empty()) {
    // splitmix64 twice: unique per thread, not a secret.
    const auto next = [&state = exchange.thread.random_state] {
      std::uint64_t z = (state += 0x9e3779b97f4a7c15U);
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
      z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
      return z ^ (z >> 31);
    };
    std::array<char, 33> text{};
    const std::uint64_t high = next();
    const std::uint64_t low = next();
    fmt::format_to_n(text.data(), 32, "{:016x}{:016x}", high, low);
    exchange.request_id = exchange.arena.copy({text.data(), 32});
  }
  return exchange.request_id;
}

Value forwarded_for(Exchange& exchange, std::string_view) {
  const Value before = joined_fields(exchange, exchange.head.fields, "x_forwarded_for", ", ");
  if (!before || before->empty()) return exchange.client_ip;
  return exchange.arena.concat(*before, std::string_view(", "), exchange.client_ip);
}

Value remote_user(Exchange& exchange, std::string_view) {
  const auto decoded = basic_credentials(exchange);
  if (!decoded) return std::nullopt;
  const std::size_t colon = decoded->find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  return decoded->substr(0, colon);
}

Value told(std::string_view text) { return text.empty() ? std::nullopt : Value(text); }

Value request_body(Exchange& exchange, std::string_view) {
  if (exchange.body.spilled() || exchange.body.size() == 0) return std::nullopt;
  return exchange.body.memory();
}

Value request_port(Exchange& exchange, std::string_view) {
  const std::string_view host = exchange.head.fields.value(http::FieldId::host).value_or(std::string_view{});
  const std::size_t colon = host.rfind(':');
  if (colon == std::string_view::npos || host.find(']', colon) != std::string_view::npos) return std::nullopt;
  return told(host.substr(colon + 1));
}

Value limit_rate(Exchange& exchange, std::string_view) {
  // What limit_rate says holds when the body begins; nginx tells 0 before that, too.
  const std::uint64_t rate = exchange.limit_rate.value_or(0);
  return exchange.arena.copy(fmt::format_int(rate).c_str());
}

Value realpath_root(Exchange& exchange, std::string_view) {
  const std::string root = document_root(exchange);
  const std::unique_ptr<char, void (*)(void*)> real(::realpath(root.c_str(), nullptr), std::free);
  if (!real) {
    exchange.log(LogLevel::crit,
                 fmt::format("realpath() \"{}\" failed ({}: {})", root, errno, std::generic_category().message(errno)));
    return std::nullopt;
  }
  return exchange.arena.copy(real.get());
}

Value field_or_nothing(const Exchange& exchange, http::FieldId id) {
  const auto value = exchange.head.fields.value(id);
  return value ? Value(*value) : std::nullopt;
}

constexpr auto kRows = std::to_array<VariableRow>({
    {"ancient_browser", ancient_browser, "ancient_browser_value for an ancient browser"},
    {"arg_", argument_of, "the argument NAME of the query, still escaped"},
    {"args", [](Exchange& e, std::string_view) -> Value { return e.args; }, "the query, without its question mark"},
    {"content_length", [](Exchange& e, std::string_view) { return field_or_nothing(e, http::FieldId::content_length); },
     "the Content-Length field of the request"},
    {"content_type", [](Exchange& e, std::string_view) { return field_or_nothing(e, http::FieldId::content_type); },
     "the Content-Type field of the request"},
    {"cookie_", cookie, "the cookie NAME"},
    {"document_root", [](Exchange& e, std::string_view) -> Value { return e.arena.copy(document_root(e)); },
     "root or alias of the place"},
    {"document_uri", [](Exchange& e, std::string_view) -> Value { return e.path; }, "the same as $uri"},
    {"http2", [](Exchange&, std::string_view) -> Value { return std::nullopt; },
     "h2 in HTTP/2, which is not served yet"},
    {"http3", [](Exchange&, std::string_view) -> Value { return std::nullopt; },
     "h3 in HTTP/3, which is not served yet"},
    {"host", host, "the request target's or Host field's name in lower case without port, or the server's first name"},
    {"http_", [](Exchange& e, std::string_view name) { return joined_fields(e, e.head.fields, name, ", "); },
     "the request field NAME, lower case and with '_' for '-'; several are joined"},
    {"http_cookie", [](Exchange& e, std::string_view) { return joined_fields(e, e.head.fields, "cookie", "; "); },
     "the Cookie fields, joined by '; '"},
    {"http_host", [](Exchange& e, std::string_view) { return field_or_nothing(e, http::FieldId::host); },
     "the Host field as sent"},
    {"invalid_referer", invalid_referer, "'1' unless valid_referers lists the Referer"},
    {"is_args", [](Exchange& e, std::string_view) -> Value { return e.args.empty() ? "" : "?"; },
     "'?' if the request has arguments"},
    {"limit_conn_status", [](Exchange& e, std::string_view) { return told(e.limit_conn_status); },
     "what limit_conn did: PASSED, REJECTED or REJECTED_DRY_RUN"},
    {"limit_rate", limit_rate, "bytes per second of the response, 0 without a limit; `set` may change it"},
    {"limit_req_status", [](Exchange& e, std::string_view) { return told(e.limit_req_status); },
     "what limit_req did: PASSED, DELAYED, REJECTED, DELAYED_DRY_RUN or REJECTED_DRY_RUN"},
    {"modern_browser", modern_browser, "modern_browser_value for a modern browser"},
    {"msie", msie, "1 for Internet Explorer"},
    {"proxy_add_x_forwarded_for", forwarded_for, "the X-Forwarded-For fields with the client's address appended"},
    {"realpath_root", realpath_root, "root or alias of the place, its symbolic links resolved"},
    {"query_string", [](Exchange& e, std::string_view) -> Value { return e.args; }, "the same as $args"},
    {"remote_user", remote_user, "the user name of Basic authentication"},
    {"request", [](Exchange& e, std::string_view) -> Value { return e.head.line; }, "the whole request line"},
    {"request_body", request_body, "the request's body, if it was read and fits into client_body_buffer_size"},
    {"request_body_file",
     [](Exchange& e, std::string_view) -> Value {
       return e.body.file_name().empty() ? Value{} : Value{e.body.file_name()};
     },
     "the file with the request's body where client_body_in_file_only makes one; other bodies on disk have no name"},
    {"request_filename", [](Exchange& e, std::string_view) -> Value { return e.arena.copy(file_path(e, e.path)); },
     "the file that the URI stands for by root or alias"},
    {"request_id", request_id, "32 hexadecimal digits that identify the request"},
    {"request_length",
     [](Exchange& e, std::string_view) -> Value {
       return e.arena.copy(fmt::format_int(e.downstream.request_bytes()).c_str());
     },
     "bytes of the request: line, fields and body"},
    {"request_method", [](Exchange& e, std::string_view) -> Value { return e.method_text; }, "the method"},
    {"request_port", request_port, "the port in the request target or the Host field"},
    {"is_request_port", [](Exchange& e, std::string_view name) -> Value { return request_port(e, name) ? ":" : ""; },
     "':' if the request has a port"},
    {"request_uri", [](Exchange& e, std::string_view) -> Value { return e.semantics.path_and_query; },
     "path and query as the client sent them"},
    {"secure_link", secure_link, "'' when the link's hash is wrong, '0' when it has expired, else '1' or the link"},
    {"secure_link_expires", [](Exchange& e, std::string_view) { return told(e.secure_link_expires); },
     "the time of expiry that the link gives"},
    {"uid_got", uid_got, "the client's cookie of userid, as NAME=HEXADECIMAL"},
    {"uid_set", uid_set, "the cookie that userid sets, as NAME=HEXADECIMAL"},
    {"uri", [](Exchange& e, std::string_view) -> Value { return e.path; }, "the canonical path, decoded"},
});

}  // namespace

std::optional<std::string_view> basic_credentials(Exchange& exchange) {
  const auto authorization = exchange.head.fields.value(http::FieldId::authorization);
  if (!authorization || authorization->size() < 6) return std::nullopt;
  constexpr std::string_view kScheme = "basic ";
  if (!iequals(authorization->substr(0, kScheme.size()), kScheme)) return std::nullopt;
  std::string_view encoded = authorization->substr(kScheme.size());
  while (!encoded.empty() && encoded.front() == ' ') encoded.remove_prefix(1);
  char* const start = exchange.arena.allocate(encoded.size());
  std::size_t size = 0;
  std::uint32_t bits = 0;
  int have = 0;
  for (const char c : encoded) {
    std::uint32_t digit = 0;
    if (c >= 'A' && c <= 'Z')
      digit = static_cast<std::uint32_t>(c - 'A');
    else if (c >= 'a' && c <= 'z')
      digit = static_cast<std::uint32_t>(c - 'a') + 26;
    else if (c >= '0' && c <= '9')
      digit = static_cast<std::uint32_t>(c - '0') + 52;
    else if (c == '+')
      digit = 62;
    else if (c == '/')
      digit = 63;
    else
      break;
    bits = bits << 6 | digit;
    if ((have += 6) >= 8) {
      have -= 8;
      start[size++] = static_cast<char>(bits >> have & 0xff);
    }
  }
  return std::string_view(start, size);
}

std::span<const VariableRow> request_variables() noexcept { return kRows; }

}  // namespace gatehouse::exchange
