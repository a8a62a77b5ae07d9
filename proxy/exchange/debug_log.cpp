#include "proxy/exchange/debug_log.hpp"

#include <fmt/format.h>

#include "proxy/http/status.hpp"

namespace gatehouse::exchange {
namespace {

// nginx's $exten: what follows the last point of the last segment.
std::string_view extension_of(std::string_view path) {
  const std::size_t at = path.find_last_of("./");
  return at == std::string_view::npos || path[at] == '/' ? std::string_view{} : path.substr(at + 1);
}

// As nginx names it: "=/exact", "/prefix", "@named", and an expression without its tilde.
std::string name_of(const config::Location& location) {
  if (location.regex) return location.label.substr(location.label.find(' ') + 1);
  return location.kind == config::LocationKind::exact ? "=" + location.path : location.path;
}

}  // namespace

void tell_request(const Exchange& exchange) {
  exchange.debug("http process request line");
  exchange.debug("http request line: \"{}\"", exchange.head.line);
  exchange.debug("http uri: \"{}\"", exchange.path);
  exchange.debug("http args: \"{}\"", exchange.args);
  exchange.debug("http exten: \"{}\"", extension_of(exchange.path));
  exchange.debug("http process request header line");
  for (const auto& field : exchange.head.fields) exchange.debug("http header: \"{}: {}\"", field.name, field.value);
  exchange.debug("http header done");
}

void tell_upstream_request(const Exchange& exchange, std::string_view head) {
  exchange.debug("http proxy header: \"{}\"", head);
}

void tell_upstream_response(const Exchange& exchange, const http::ResponseHead& head) {
  exchange.debug("http proxy status {} \"{} {}\"", head.status, head.status, head.reason);
  for (const auto& field : head.fields) exchange.debug("http proxy header: \"{}: {}\"", field.name, field.value);
  exchange.debug("http proxy header done");
}

void tell_response(const Exchange& exchange) {
  const ResponseHeadOut& head = exchange.response;
  fmt::memory_buffer text;
  const auto out = std::back_inserter(text);
  const std::string_view reason = head.reason.empty() ? http::reason_phrase(head.status) : head.reason;
  fmt::format_to(out, "HTTP/1.1 {} {}", head.status, reason);
  for (const auto& field : head.fields) fmt::format_to(out, "\r\n{}: {}", field.name, field.value);
  exchange.debug("{}", std::string_view(text.data(), text.size()));
}

void tell_location(const Exchange& exchange) {
  const config::Location& location = *exchange.route->location;
  exchange.debug("using configuration \"{}\"", name_of(location));
  const auto& framing = exchange.semantics.framing;
  const std::string length = framing.kind == http::BodyKind::length ? std::to_string(framing.length) : "-1";
  exchange.debug("http cl:{} max:{}", length, exchange.settings().client_max_body_size);
}

}  // namespace gatehouse::exchange
