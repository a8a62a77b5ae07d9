// Rows of proxying: requests to upstreams, their answers, TLS towards them.
#include <array>

#include "proxy/base/ascii.hpp"
#include "proxy/config/blocks.hpp"
#include "proxy/config/next_upstream.hpp"
#include "proxy/config/setters.hpp"
#include "proxy/config/tables.hpp"

namespace gatehouse::config {
namespace {

using L = LocationSettings;
constexpr std::uint32_t kHsl = kHttpServerLocation;
constexpr std::uint32_t kHslStream = kHsl | kStreamBoth;

constexpr std::array<Choice<std::uint32_t>, 6> kProtocols{{{"SSLv2", ssl_v2},
                                                           {"SSLv3", ssl_v3},
                                                           {"TLSv1", tls_v1},
                                                           {"TLSv1.1", tls_v1_1},
                                                           {"TLSv1.2", tls_v1_2},
                                                           {"TLSv1.3", tls_v1_3}}};

void set_header(const Use& use) { append<&L::proxy_set_header>(use, HeaderRule{use[1], read_value(use, 2), false}); }
std::string show_headers(const Level& level) {
  std::string text;
  if (level.settings == nullptr || !level.settings->proxy_set_header) return text;
  for (const auto& rule : *level.settings->proxy_set_header) {
    text += fmt::format("{}{} \"{}\"", text.empty() ? "" : "; ", rule.name, rule.value.source());
  }
  return text;
}

std::string show_names(const std::shared_ptr<const std::vector<std::string>>& names) {
  std::string text;
  if (!names) return text;
  for (const auto& name : *names) text += (text.empty() ? "" : "; ") + name;
  return text;
}
void hide_header(const Use& use) { append<&L::proxy_hide_header>(use, lower_case(use[1])); }
void pass_header(const Use& use) { append<&L::proxy_pass_header>(use, lower_case(use[1])); }
std::string show_hidden(const Level& level) {
  return level.settings ? show_names(level.settings->proxy_hide_header) : "";
}
std::string show_passed(const Level& level) {
  return level.settings ? show_names(level.settings->proxy_pass_header) : "";
}

void set_http_version(const Use& use) {
  auto& version = slot<&L::proxy_http_version>(use);
  if (use[1] == "2") throw Invalid{"invalid value \"2\"", 1, "HTTP/2 towards upstreams is not supported yet"};
  if (use[1] != "1.0" && use[1] != "1.1") throw Invalid{fmt::format("invalid value \"{}\"", use[1]), 1, "1.0 or 1.1"};
  version = use[1] == "1.0" ? 10 : 11;
}
std::string show_http_version(const Level& level) {
  return level.settings == nullptr ? "" : level.settings->proxy_http_version == 10 ? "1.0" : "1.1";
}

void set_temp_path(const Use& use) {
  slot<&L::proxy_temp_path>(use) = use.level.binder->prefix_path(use[1]);
  for (std::size_t i = 2; i <= use.count(); ++i) (void)read_number(use, i, 1, 9);
}
std::string show_temp_path(const Level& level) {
  return level.settings == nullptr ? "" : level.settings->proxy_temp_path;
}

void set_buffers(const Use& use) {
  auto& number = slot<&L::proxy_buffers_number>(use);
  const auto count = read_number(use, 1, 1, 1u << 20);
  const auto size = read_size(use, 2);
  if (count < 2 || size == 0) throw Invalid{"there must be at least 2 \"proxy_buffers\"", 1, {}};
  number = static_cast<std::uint32_t>(count);
  use.level.settings->proxy_buffers_size = size;
}
std::string show_buffers(const Level& level) {
  if (level.settings == nullptr) return "";
  return fmt::format("{} {}", level.settings->proxy_buffers_number, format_size(level.settings->proxy_buffers_size));
}

std::string show_proxy_pass(const Level& level) {
  if (level.location == nullptr || !level.location->proxy_pass) return "";
  const auto& pass = *level.location->proxy_pass;
  if (pass.target) return pass.target->source();
  return fmt::format("{}://{} cluster={}{}", pass.tls ? "https" : "http", pass.host, pass.upstream,
                     pass.uri ? " uri=" + *pass.uri : "");
}

void add_ssl_command(const Use& use) {
  auto& commands = target<ProxySsl>(use.level).conf_commands;
  if (use.first) commands.clear();
  commands.emplace_back(use[1], use[2]);
}

const Directive kRows[] = {
    {"proxy_pass",
     kLocation | kLocationIf | kLimitExcept,
     kOne,
     {set_proxy_pass, show_proxy_pass, "URL"},
     "Passes requests to an upstream block or to a host. With a URI part, it replaces the part of the request's URI "
     "that the "
     "location matches."},
    {"proxy_set_header",
     kHsl,
     kTwo,
     {set_header, show_headers, "NAME VALUE"},
     "A request header for the upstream; an empty value removes it. `Host $proxy_host` is set unless given. Inherited "
     "only by levels "
     "that have none of their own."},
    {"proxy_hide_header", kHsl, kOne, {hide_header, show_hidden, "NAME"}, "Response header that clients don't get."},
    {"proxy_pass_header",
     kHsl,
     kOne,
     {pass_header, show_passed, "NAME"},
     "Response header that clients get although it is hidden by default (Date, Server, X-Pad, X-Accel-...)."},
    {"proxy_http_version",
     kHsl,
     kOne,
     {set_http_version, show_http_version, "1.0 | 1.1"},
     "HTTP version towards upstreams."},
    {"proxy_method", kHsl, kOne, value<&L::proxy_method>(), "Method of the request to the upstream."},
    {"proxy_connect_timeout", kHslStream, kOne, time<&L::proxy_connect_timeout>(),
     "Time to connect to an upstream, handshake included."},
    {"proxy_send_timeout", kHsl, kOne, time<&L::proxy_send_timeout>(),
     "Longest pause between two writes to an upstream."},
    {"proxy_read_timeout", kHsl, kOne, time<&L::proxy_read_timeout>(),
     "Longest pause between two reads from an upstream."},
    {"proxy_buffering", kHsl, kOne, flag<&L::proxy_buffering>(),
     "Whether to read ahead of a slow client: into proxy_buffers, then into a file (proxy_max_temp_file_size)."},
    {"proxy_request_buffering", kHsl, kOne, flag<&L::proxy_request_buffering>(),
     "Whether the whole request body is read before an upstream is asked."},
    {"proxy_buffer_size", kHsl, kOne, size<&L::proxy_buffer_size>(),
     "Largest response header of an upstream (nginx: 4k or 8k)."},
    {"proxy_buffers",
     kHsl,
     kTwo,
     {set_buffers, show_buffers, "NUMBER SIZE"},
     "Buffers that hold a response for a slow client."},
    {"proxy_pass_request_headers", kHsl, kOne, flag<&L::proxy_pass_request_headers>(),
     "Whether upstreams get the client's headers."},
    {"proxy_pass_request_body", kHsl, kOne, flag<&L::proxy_pass_request_body>(),
     "Whether upstreams get the request body."},
    {"proxy_max_temp_file_size", kHsl, kOne, size<&L::proxy_max_temp_file_size>(),
     "What a file may hold of a response that its client takes slower than the upstream sends it, once proxy_buffers "
     "are full; 0: no file, and the upstream waits."},
    {"proxy_temp_path",
     kHsl,
     {1, 4, false},
     {set_temp_path, show_temp_path, "PATH [LEVEL [LEVEL [LEVEL]]]"},
     "Folder of such files. They have no names, so levels are without effect."},
    {"proxy_socket_keepalive", kHslStream, kOne, flag<&L::proxy_socket_keepalive>(),
     "TCP keep-alive on upstream connections."},
    {"proxy_ignore_client_abort", kHsl, kOne, flag<&L::proxy_ignore_client_abort>(),
     "Whether a request goes on when its client has gone."},
    {"proxy_next_upstream", kHsl, kOneOrMore,
     mask<&L::proxy_next_upstream, kNextUpstream>(
         "error | timeout | invalid_header | http_500 | http_502 | http_503 | http_504 | "
         "http_403 | http_404 | http_429 | non_idempotent | off ..."),
     "When a request is tried at the next server of the upstream."},
    {"proxy_next_upstream_tries", kHslStream, kOne, number<&L::proxy_next_upstream_tries>(),
     "Most tries of a request; 0 is no limit."},
    {"proxy_max_interim_responses", kHsl, kOne, number<&L::proxy_max_interim_responses>(),
     "Most 1xx responses of an upstream before its final one (nginx has no limit)."},
    {"proxy_next_upstream_timeout", kHslStream, kOne, time<&L::proxy_next_upstream_timeout>(),
     "Time in which tries may start; 0 is no limit."},
    {"proxy_ssl_verify", kHslStream, kOne, flag<&ProxySsl::verify>(), "Whether an upstream's certificate is verified."},
    {"proxy_ssl_verify_depth", kHslStream, kOne, number<&ProxySsl::verify_depth, 0, 100>(),
     "Longest chain of an upstream's certificate."},
    {"proxy_ssl_server_name", kHslStream, kOne, flag<&ProxySsl::server_name>(),
     "Whether the server's name is sent (SNI)."},
    {"proxy_ssl_name", kHslStream, kOne, value<&ProxySsl::name>(), "Name to send and to verify.", Support::full,
     Phase::settings, "$proxy_host"},
    {"proxy_ssl_session_reuse", kHslStream, kOne, flag<&ProxySsl::session_reuse>(),
     "Whether TLS sessions to upstreams are resumed."},
    {"proxy_ssl_protocols", kHslStream, kOneOrMore,
     mask<&ProxySsl::protocols, kProtocols>("[TLSv1] [TLSv1.1] [TLSv1.2] [TLSv1.3]"),
     "TLS versions towards upstreams."},
    {"proxy_ssl_ciphers", kHslStream, kOne, text<&ProxySsl::ciphers>("CIPHERS"),
     "Ciphers towards upstreams, in OpenSSL's format."},
    {"proxy_ssl_trusted_certificate", kHslStream, kOne, path<&ProxySsl::trusted_certificate, PathBase::configuration>(),
     "CA certificates that upstreams are verified with."},
    {"proxy_ssl_crl", kHslStream, kOne, path<&ProxySsl::crl, PathBase::configuration>(),
     "Revoked certificates of upstreams."},
    {"proxy_ssl_certificate", kHslStream, kOne, path<&ProxySsl::certificate, PathBase::configuration>(),
     "Client certificate for upstreams."},
    {"proxy_ssl_certificate_key", kHslStream, kOne, path<&ProxySsl::certificate_key, PathBase::configuration>(),
     "Its key."},
    {"proxy_ssl_password_file", kHslStream, kOne, path<&ProxySsl::password_file, PathBase::configuration>(),
     "Passphrases of that key."},
    {"proxy_ssl_conf_command",
     kHslStream,
     kTwo,
     {add_ssl_command, nullptr, "NAME VALUE"},
     "An OpenSSL configuration command."},
};

}  // namespace

std::span<const Directive> proxy_directives() { return kRows; }

}  // namespace gatehouse::config
