#include "proxy/stream/variables.hpp"

#include <array>
#include <chrono>
#include <ctime>

#include <fmt/format.h>
#include <unistd.h>

#include "certs/describe.hpp"
#include "proxy/http/date.hpp"
#include "proxy/http/proxy_protocol.hpp"
#include "proxy/stream/session.hpp"

namespace gatehouse::stream {
namespace {

using Value = std::optional<std::string_view>;

Value number(Session& session, std::uint64_t value) {
  const fmt::format_int text(value);
  return session.arena.copy({text.data(), text.size()});
}
Value seconds(Session& session, std::int64_t milliseconds) {
  return session.arena.copy(fmt::format("{}.{:03}", milliseconds / 1000, milliseconds % 1000));
}

// As in nginx, nothing to tell is "not found".
Value known(Session& session, const std::string& text) {
  return text.empty() ? std::nullopt : Value(session.arena.copy(text));
}
template <std::string (*Describe)(const SSL&)>
Value tls(Session& session) {
  if (session.connection.tls == nullptr) return std::nullopt;
  return known(session, Describe(*session.connection.tls));
}
template <std::string (*Describe)(SSL&)>
Value tls_mutable(Session& session) {
  if (session.connection.tls == nullptr) return std::nullopt;
  return known(session, Describe(*session.connection.tls));
}

Value ip_of(Session& session, const std::optional<SocketAddress>& address) {
  return address ? Value(session.arena.copy(address->ip_string())) : std::nullopt;
}
Value port_of(Session& session, const std::optional<SocketAddress>& address) {
  return address ? number(session, address->port()) : std::nullopt;
}

// What each try has to say, in their order, with nginx's separators.
template <class Show>
Value of_tries(Session& session, Show show) {
  if (session.tries.empty()) return std::nullopt;
  std::string text;
  for (const auto& attempt : session.tries) {
    if (!text.empty()) text += ", ";
    show(text, attempt);
  }
  return session.arena.copy(text);
}
template <Milliseconds UpstreamTry::* Member>
Value times(Session& session) {
  return of_tries(session, [](std::string& text, const UpstreamTry& attempt) {
    const auto time = (attempt.*Member).count();
    text += time < 0 ? "-" : fmt::format("{}.{:03}", time / 1000, time % 1000);
  });
}
template <std::uint64_t UpstreamTry::* Member>
Value counts(Session& session) {
  return of_tries(session,
                  [](std::string& text, const UpstreamTry& attempt) { text += std::to_string(attempt.*Member); });
}

Value time_iso8601(Session& session) {
  const std::time_t now = session.thread.reactor.wall_milliseconds() / 1000;
  std::tm local{};
  localtime_r(&now, &local);
  return session.arena.copy(http::view(http::format_iso8601(now, std::chrono::minutes(local.tm_gmtoff / 60))));
}

Value hello(Session& session, std::string_view text) {
  return session.hello_read ? Value(text.data() == nullptr ? std::string_view("") : text) : std::nullopt;
}

constexpr auto kRows = std::to_array<VariableRow>({
    {"binary_remote_addr",
     [](Session& s) -> Value {
       const auto bytes = s.client.bytes();
       return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
     },
     "the client's address in 4 or 16 bytes"},
    {"bytes_received", [](Session& s) { return number(s, s.received); }, "bytes from the client"},
    {"bytes_sent", [](Session& s) { return number(s, s.sent); }, "bytes to the client"},
    {"connection", [](Session& s) { return number(s, s.connection.number); }, "the session's number"},
    {"hostname",
     [](Session& s) -> Value {
       std::array<char, 256> name{};
       return ::gethostname(name.data(), name.size() - 1) == 0 ? Value(s.arena.copy(name.data())) : std::nullopt;
     },
     "this machine's name"},
    {"limit_conn_status",
     [](Session& s) -> Value { return s.limit_status.empty() ? std::nullopt : Value(s.limit_status); },
     "PASSED, REJECTED or REJECTED_DRY_RUN"},
    {"msec", [](Session& s) { return seconds(s, s.thread.reactor.wall_milliseconds()); },
     "seconds since the epoch, with milliseconds"},
    {"nginx_version", [](Session&) -> Value { return GATEHOUSE_VERSION; }, "Gatehouse's version"},
    {"pid", [](Session& s) { return number(s, static_cast<std::uint64_t>(::getpid())); }, "the worker process' number"},
    {"protocol", [](Session& s) -> Value { return s.transport == Transport::udp ? "UDP" : "TCP"; }, "TCP or UDP"},
    {"proxy_protocol_addr", [](Session& s) { return ip_of(s, s.connection.proxy_source()); },
     "the client's address in the PROXY header"},
    {"proxy_protocol_port", [](Session& s) { return port_of(s, s.connection.proxy_source()); },
     "the client's port in the PROXY header"},
    {"proxy_protocol_server_addr", [](Session& s) { return ip_of(s, s.connection.proxy_destination()); },
     "the server's address in the PROXY header"},
    {"proxy_protocol_server_port", [](Session& s) { return port_of(s, s.connection.proxy_destination()); },
     "the server's port in the PROXY header"},
    {"proxy_protocol_tlv_", nullptr,
     "the TLV NAME of the PROXY header: alpn, authority, ssl_cn ..., or its number (0xea)",
     [](Session& s, std::string_view name) -> Value {
       const auto& told = s.connection.told;
       const auto value = told ? http::proxy_tlv(told->tlvs, name) : std::nullopt;
       return value ? Value(s.arena.copy(*value)) : std::nullopt;
     }},
    {"realip_remote_addr", [](Session& s) -> Value { return s.connection.peer_ip; },
     "the address that connected, before set_real_ip_from"},
    {"realip_remote_port", [](Session& s) { return number(s, s.connection.peer.port()); },
     "the port that connected, before set_real_ip_from"},
    {"remote_addr", [](Session& s) -> Value { return s.client_ip; }, "the client's address"},
    {"remote_port", [](Session& s) { return number(s, s.client.port()); }, "the client's port"},
    {"server_addr", [](Session& s) -> Value { return s.arena.copy(s.connection.local.ip_string()); },
     "the address connected to"},
    {"server_name", [](Session& s) -> Value { return s.server->server->name; }, "the first name of the server block"},
    {"server_port", [](Session& s) { return number(s, s.connection.local.port()); }, "the port connected to"},
    {"session_time",
     [](Session& s) {
       return seconds(s, std::chrono::duration_cast<Milliseconds>(s.now() - s.connection.accepted).count());
     },
     "seconds since the session began, with milliseconds"},
    {"ssl_alpn_protocol", tls<certs::ssl_alpn_protocol>, "the protocol chosen by ALPN"},
    {"ssl_cipher", tls<certs::ssl_cipher>, "the cipher suite"},
    {"ssl_ciphers", tls_mutable<certs::ssl_ciphers>, "the cipher suites the client offered"},
    {"ssl_client_cert", tls<certs::ssl_client_cert>,
     "the client's certificate in PEM, its lines after the first indented by a tab"},
    {"ssl_client_fingerprint", tls<certs::ssl_client_fingerprint>, "SHA-1 of the client's certificate"},
    {"ssl_client_i_dn", tls<certs::ssl_client_i_dn>, "issuer of the client's certificate (RFC 2253)"},
    {"ssl_client_raw_cert", tls<certs::ssl_client_raw_cert>, "the client's certificate in PEM"},
    {"ssl_client_s_dn", tls<certs::ssl_client_s_dn>, "subject of the client's certificate (RFC 2253)"},
    {"ssl_client_serial", tls<certs::ssl_client_serial>, "serial number of the client's certificate"},
    {"ssl_client_v_end", tls<certs::ssl_client_v_end>, "end of the client certificate's validity"},
    {"ssl_client_v_remain",
     [](Session& s) -> Value {
       if (s.connection.tls == nullptr) return std::nullopt;
       return s.arena.copy(certs::ssl_client_v_remain(*s.connection.tls, std::chrono::system_clock::now()));
     },
     "days until the client's certificate expires"},
    {"ssl_client_v_start", tls<certs::ssl_client_v_start>, "start of the client certificate's validity"},
    {"ssl_client_verify", tls<certs::ssl_client_verify>, "SUCCESS, FAILED:reason or NONE"},
    {"ssl_curve", tls_mutable<certs::ssl_curve>, "the key exchange group"},
    {"ssl_curves", tls_mutable<certs::ssl_curves>, "the groups the client offered"},
    {"ssl_preread_alpn_protocols", [](Session& s) { return hello(s, s.hello.alpn); },
     "the protocols the client offers by ALPN, commas between (ssl_preread)"},
    {"ssl_preread_protocol", [](Session& s) { return hello(s, s.hello.protocol()); },
     "the highest TLS version the client offers (ssl_preread)"},
    {"ssl_preread_server_name", [](Session& s) { return hello(s, s.hello.server_name); },
     "the server name the client asks for (ssl_preread)"},
    {"ssl_protocol", tls<certs::ssl_protocol>, "TLSv1.2 or TLSv1.3"},
    {"ssl_server_name", tls<certs::ssl_server_name>, "the server name the client asked for (SNI)"},
    {"ssl_session_id", tls<certs::ssl_session_id>, "the TLS session's identifier"},
    {"ssl_session_reused", tls<certs::ssl_session_reused>, "r if the TLS session was resumed, else a dot"},
    {"status", [](Session& s) -> Value { return s.arena.copy(fmt::format("{:03}", s.status)); },
     "200, 400, 403, 500, 502 or 503"},
    {"time_iso8601", time_iso8601, "local time in ISO 8601"},
    {"time_local",
     [](Session& s)
         -> Value { return s.arena.copy(s.thread.local_time.clf(s.thread.reactor.wall_milliseconds() / 1000)); },
     "local time in the Common Log Format"},
    {"upstream_addr",
     [](Session&
            s) { return of_tries(s, [](std::string& text, const UpstreamTry& attempt) { text += attempt.peer; }); },
     "the servers that were tried"},
    {"upstream_bytes_received", counts<&UpstreamTry::bytes_received>, "bytes from the upstream"},
    {"upstream_bytes_sent", counts<&UpstreamTry::bytes_sent>, "bytes to the upstream"},
    {"upstream_connect_time", times<&UpstreamTry::connect_time>, "seconds until the upstream was connected"},
    {"upstream_first_byte_time", times<&UpstreamTry::first_byte_time>, "seconds until the upstream's first byte"},
    {"upstream_session_time", times<&UpstreamTry::session_time>, "seconds until the end of the upstream's session"},
});

}  // namespace

std::span<const VariableRow> all_variables() noexcept { return kRows; }

}  // namespace gatehouse::stream
