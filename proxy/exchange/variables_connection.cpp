// Variables that come from the client's connection and its TLS.
#include <array>
#include <chrono>

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "certs/describe.hpp"
#include "proxy/exchange/exchange.hpp"
#include "proxy/exchange/variables.hpp"
#include "proxy/http/proxy_protocol.hpp"

namespace gatehouse::exchange {
namespace {

using Value = std::optional<std::string_view>;

Value number(Exchange& exchange, std::uint64_t value) {
  const fmt::format_int text(value);
  return exchange.arena.copy({text.data(), text.size()});
}

// A describe function of the certificates layer as a getter; nothing on a plain connection.
template <std::string (*Describe)(const SSL&)>
Value tls(Exchange& exchange, std::string_view) {
  if (exchange.connection.tls == nullptr) return std::nullopt;
  const std::string text = Describe(*exchange.connection.tls);
  return exchange.arena.copy(text);
}
template <std::string (*Describe)(SSL&)>
Value tls_mutable(Exchange& exchange, std::string_view) {
  if (exchange.connection.tls == nullptr) return std::nullopt;
  const std::string text = Describe(*exchange.connection.tls);
  return exchange.arena.copy(text);
}

Value ip_of(Exchange& exchange, const std::optional<SocketAddress>& address) {
  return address ? Value(exchange.arena.copy(address->ip_string())) : std::nullopt;
}
Value port_of(Exchange& exchange, const std::optional<SocketAddress>& address) {
  return address ? number(exchange, address->port()) : std::nullopt;
}

template <std::uint64_t ConnectionCounts::* Member>
std::optional<std::string_view> process_count(Exchange& exchange, std::string_view) {
  return exchange.arena.copy(fmt::format_int(connection_counts().*Member).c_str());
}

template <auto Member>
Value tcp_info(Exchange& exchange, std::string_view) {
  ::tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(exchange.connection.socket, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return std::nullopt;
  return number(exchange, info.*Member);
}

constexpr auto kRows = std::to_array<VariableRow>({
    {"connections_active", process_count<&ConnectionCounts::active>, "client connections of the process"},
    {"connections_reading", process_count<&ConnectionCounts::reading>, "connections whose request is being read"},
    {"connections_waiting", process_count<&ConnectionCounts::waiting>, "connections idle between requests"},
    {"connections_writing", process_count<&ConnectionCounts::writing>, "connections whose request is being answered"},
    {"binary_remote_addr",
     [](Exchange& e, std::string_view) -> Value {
       const auto bytes = e.client.bytes();
       return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
     },
     "the client's address in 4 or 16 bytes"},
    {"connection", [](Exchange& e, std::string_view) { return number(e, e.connection.number); }, "the connection's number"},
    {"connection_requests", [](Exchange& e, std::string_view) { return number(e, e.connection.requests); },
     "requests on this connection so far"},
    {"connection_time",
     [](Exchange& e, std::string_view) -> Value {
       const auto age = std::chrono::duration_cast<Milliseconds>(e.now() - e.connection.accepted).count();
       return e.arena.copy(fmt::format("{}.{:03}", age / 1000, age % 1000));
     },
     "seconds since the connection was accepted, with milliseconds"},
    {"https", [](Exchange& e, std::string_view) -> Value { return e.connection.secure() ? "on" : ""; }, "on if the connection is TLS"},
    {"tcpinfo_rcv_space", tcp_info<&::tcp_info::tcpi_rcv_space>, "TCP_INFO of the client's connection: receive space"},
    {"tcpinfo_rtt", tcp_info<&::tcp_info::tcpi_rtt>, "TCP_INFO of the client's connection: round trip in microseconds"},
    {"tcpinfo_rttvar", tcp_info<&::tcp_info::tcpi_rttvar>, "TCP_INFO of the client's connection: its variance"},
    {"tcpinfo_snd_cwnd", tcp_info<&::tcp_info::tcpi_snd_cwnd>, "TCP_INFO of the client's connection: congestion window"},
    {"pipe", [](Exchange&, std::string_view) -> Value { return "."; }, "p for a pipelined request, else a dot"},
    {"proxy_protocol_addr", [](Exchange& e, std::string_view) { return ip_of(e, e.connection.proxy_source()); },
     "the client's address in the PROXY header"},
    {"proxy_protocol_port", [](Exchange& e, std::string_view) { return port_of(e, e.connection.proxy_source()); },
     "the client's port in the PROXY header"},
    {"proxy_protocol_server_addr", [](Exchange& e, std::string_view) { return ip_of(e, e.connection.proxy_destination()); },
     "the server's address in the PROXY header"},
    {"proxy_protocol_server_port", [](Exchange& e, std::string_view) { return port_of(e, e.connection.proxy_destination()); },
     "the server's port in the PROXY header"},
    {"proxy_protocol_tlv_",
     [](Exchange& e, std::string_view name) -> Value {
       const auto& told = e.connection.told;
       const auto value = told ? http::proxy_tlv(told->tlvs, name) : std::nullopt;
       return value ? Value(e.arena.copy(*value)) : std::nullopt;
     },
     "the TLV NAME of the PROXY header: alpn, authority, ssl_cn ..., or its number (0xea)"},
    {"realip_remote_addr", [](Exchange& e, std::string_view) -> Value { return e.connection.peer_ip; },
     "the address that connected, before real_ip"},
    {"realip_remote_port", [](Exchange& e, std::string_view) { return number(e, e.connection.peer.port()); },
     "the port that connected, before real_ip"},
    {"remote_addr", [](Exchange& e, std::string_view) -> Value { return e.client_ip; }, "the client's address"},
    {"remote_port", [](Exchange& e, std::string_view) { return number(e, e.client.port()); }, "the client's port"},
    {"scheme", [](Exchange& e, std::string_view) -> Value { return e.connection.secure() ? "https" : "http"; }, "http or https"},
    {"server_addr", [](Exchange& e, std::string_view) -> Value { return e.arena.copy(e.connection.local.ip_string()); },
     "the address connected to"},
    {"server_name", [](Exchange& e, std::string_view) -> Value { return e.server->name; }, "the first name of the server block"},
    {"server_port", [](Exchange& e, std::string_view) { return number(e, e.connection.local.port()); }, "the port connected to"},
    {"server_protocol", [](Exchange& e, std::string_view) -> Value { return http::version_text(e.head.version); },
     "the request's protocol: HTTP/1.1"},
    {"ssl_alpn_protocol", tls<certs::ssl_alpn_protocol>, "the protocol chosen by ALPN"},
    {"ssl_cipher", tls<certs::ssl_cipher>, "the cipher suite"},
    {"ssl_ciphers", tls_mutable<certs::ssl_ciphers>, "the cipher suites the client offered"},
    {"ssl_client_cert", tls<certs::ssl_client_cert>, "the client's certificate in PEM, its lines after the first indented by a tab"},
    {"ssl_client_escaped_cert", tls<certs::ssl_client_escaped_cert>, "the client's certificate in PEM, URL-encoded"},
    {"ssl_client_fingerprint", tls<certs::ssl_client_fingerprint>, "SHA-1 of the client's certificate"},
    {"ssl_client_i_dn", tls<certs::ssl_client_i_dn>, "issuer of the client's certificate (RFC 2253)"},
    {"ssl_client_i_dn_legacy", tls<certs::ssl_client_i_dn_legacy>, "issuer of the client's certificate, slashes between"},
    {"ssl_client_raw_cert", tls<certs::ssl_client_raw_cert>, "the client's certificate in PEM"},
    {"ssl_client_s_dn", tls<certs::ssl_client_s_dn>, "subject of the client's certificate (RFC 2253)"},
    {"ssl_client_s_dn_legacy", tls<certs::ssl_client_s_dn_legacy>, "subject of the client's certificate, slashes between"},
    {"ssl_client_serial", tls<certs::ssl_client_serial>, "serial number of the client's certificate"},
    {"ssl_client_v_end", tls<certs::ssl_client_v_end>, "end of the client certificate's validity"},
    {"ssl_client_v_remain",
     [](Exchange& e, std::string_view) -> Value {
       if (e.connection.tls == nullptr) return std::nullopt;
       return e.arena.copy(certs::ssl_client_v_remain(*e.connection.tls, std::chrono::system_clock::now()));
     },
     "days until the client's certificate expires"},
    {"ssl_client_v_start", tls<certs::ssl_client_v_start>, "start of the client certificate's validity"},
    {"ssl_client_verify", tls<certs::ssl_client_verify>, "SUCCESS, FAILED:reason or NONE"},
    {"ssl_curve", tls_mutable<certs::ssl_curve>, "the key exchange group"},
    {"ssl_curves", tls_mutable<certs::ssl_curves>, "the groups the client offered"},
    {"ssl_early_data", tls<certs::ssl_early_data>, "1 while the request is TLS 1.3 early data"},
    {"ssl_protocol", tls<certs::ssl_protocol>, "TLSv1.2 or TLSv1.3"},
    {"ssl_server_name", tls<certs::ssl_server_name>, "the server name the client asked for (SNI)"},
    {"ssl_session_id", tls<certs::ssl_session_id>, "the session's identifier"},
    {"ssl_session_reused", tls<certs::ssl_session_reused>, "r if the session was resumed, else a dot"},
});

}  // namespace

std::span<const VariableRow> connection_variables() noexcept { return kRows; }

}  // namespace gatehouse::exchange
