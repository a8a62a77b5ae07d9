#include "proxy/exchange/filters/routing.hpp"

#include "certs/server_connection.hpp"
#include "proxy/exchange/captures.hpp"
#include "proxy/exchange/debug_log.hpp"
#include "proxy/exchange/exchange.hpp"
#include "proxy/http/local_reply.hpp"

namespace gatehouse::exchange {
namespace {

const ServerRuntime& runtime_of(const Exchange& exchange, std::uint32_t server) {
  return exchange.generation->shared->servers[server];
}

// The server must not be reached with a client certificate policy that the handshake did not check (CVE-2025-23419).
Step check_tls(Exchange& exchange, const ServerRuntime& server) {
  SSL* ssl = exchange.connection.tls;
  if (ssl == nullptr || !server.tls) return Step::next;
  const certs::ServerContext& negotiated = certs::selected_context(*ssl);
  if (server.tls.get() != &negotiated && !server.tls->accepts_clients_of(negotiated)) {
    exchange.fail(Reason::misdirected);
    return Step::answered;
  }
  const auto verification = certs::client_verification(*ssl, *server.tls);
  if (verification.verdict == certs::ClientVerdict::accepted) return Step::next;
  certs::forget_session(*ssl);
  exchange.log(LogLevel::info, verification.text);
  exchange.downstream.close_after_response();
  exchange.reply(verification.verdict == certs::ClientVerdict::refused ? http::kCertificateError : http::kNoCertificate,
                 Reason::client_certificate);
  return Step::answered;
}

Step normalize(Exchange& exchange) {
  const auto slashes = exchange.server->settings.merge_slashes ? http::Slashes::merge : http::Slashes::keep;
  const auto path = http::normalize_path(exchange.semantics.path, slashes, exchange.path_storage);
  if (!path) {
    exchange.downstream.close_after_response();
    exchange.fail(path.error().reason);
    return Step::answered;
  }
  exchange.path = path->path;
  exchange.path_changed = path->changed;
  exchange.path_had_escapes = path->had_escapes;
  exchange.raw_differs_in_meaning = path->raw_differs_in_meaning;
  return Step::next;
}

// `location /x/ { proxy_pass ...; }` answers a request for /x with a redirect to /x/, as nginx does.
Step redirect_to_slash(Exchange& exchange) {
  const std::string_view path = exchange.arena.concat(exchange.path, std::string_view("/"));
  std::string escaped;
  http::escape_uri(path, http::EscapeSet::uri, escaped);
  if (!exchange.args.empty()) escaped.append("?").append(exchange.args);
  exchange.redirect(301, exchange.arena.copy(escaped));
  return Step::answered;
}

}  // namespace

void enter(Exchange& exchange, const config::Location& location) {
  exchange.route = &exchange.generation->shared->locations[location.id];
  exchange.downstream.use_settings(location.settings);
}

const ServerRuntime& server_of(const Exchange& exchange) { return runtime_of(exchange, exchange.server->id); }

void use_default_route(Exchange& exchange, const ListenerRuntime& listener) {
  const ServerRuntime& server = runtime_of(exchange, listener.listener->default_server);
  exchange.server = server.server;
  enter(exchange, server.server->root);
}

Step find_server(Exchange& exchange, const ListenerRuntime& listener) {
  const std::string_view host = exchange.semantics.authority.host;
  const route::ServerMatch chosen = listener.names.find(host, exchange.captures);
  if (chosen.name != nullptr && chosen.name->regex) keep_captures(exchange, *chosen.name->regex, host);
  const ServerRuntime& server = runtime_of(exchange, chosen.server->id);
  exchange.server = server.server;
  enter(exchange, server.server->root);
  if (check_tls(exchange, server) == Step::answered) return Step::answered;
  if (exchange.semantics.form == http::TargetForm::asterisk) {
    // OPTIONS * asks about the server, which is the proxy itself (RFC 9110 section 9.3.7).
    exchange.path = "*";
    exchange.reply_empty(200);
    return Step::answered;
  }
  return normalize(exchange);
}

Step find_location(Exchange& exchange) {
  const route::LocationMatch match = server_of(exchange).locations.find(exchange.path, exchange.captures);
  if (match.regex != nullptr) keep_captures(exchange, *match.regex, exchange.path);
  enter(exchange, *match.location);
  if (exchange.debugs()) tell_location(exchange);
  if (match.location->internal && !exchange.internal) {
    exchange.fail(Reason::internal_location);
    return Step::answered;
  }
  if (match.add_slash) return redirect_to_slash(exchange);
  return Step::next;
}

}  // namespace gatehouse::exchange
