// Rows of TLS towards clients.
#include <array>

#include "proxy/config/setters.hpp"
#include "proxy/config/tables.hpp"

namespace gatehouse::config {
namespace {

constexpr std::uint32_t kHs = kHttp | kServer;
constexpr std::uint32_t kHss = kHs | kStreamBoth;

constexpr std::array<Choice<std::uint32_t>, 6> kProtocols{{{"SSLv2", ssl_v2},
                                                           {"SSLv3", ssl_v3},
                                                           {"TLSv1", tls_v1},
                                                           {"TLSv1.1", tls_v1_1},
                                                           {"TLSv1.2", tls_v1_2},
                                                           {"TLSv1.3", tls_v1_3}}};
constexpr std::array<Choice<VerifyClient>, 4> kVerify{{{"off", VerifyClient::off},
                                                       {"on", VerifyClient::on},
                                                       {"optional", VerifyClient::optional},
                                                       {"optional_no_ca", VerifyClient::optional_no_ca}}};

constexpr std::array<Choice<OcspOfClients>, 3> kOcsp{
    {{"on", OcspOfClients::on}, {"leaf", OcspOfClients::leaf}, {"off", OcspOfClients::off}}};

// A repeated directive adds; a level that has it starts from nothing.
void add_path(const Use& use, std::vector<std::string> ServerSsl::* member) {
  auto& list = target<ServerSsl>(use.level).*member;
  if (use.first) list.clear();
  if (has_variable(use[1])) {
    throw Invalid{fmt::format("variables in \"{}\" are not supported", use.row.name), 1, "name the file itself"};
  }
  const bool inline_data = use[1].starts_with("data:") || use[1].starts_with("engine:");
  list.push_back(inline_data ? use[1] : use.level.binder->configuration_path(use[1]));
}
std::string show_list(const std::vector<std::string>& list) {
  std::string text;
  for (const auto& entry : list) text += (text.empty() ? "" : "; ") + entry;
  return text;
}
void add_certificate(const Use& use) { add_path(use, &ServerSsl::certificates); }
void add_certificate_key(const Use& use) { add_path(use, &ServerSsl::certificate_keys); }
void add_ticket_key(const Use& use) { add_path(use, &ServerSsl::session_ticket_keys); }
std::string show_certificates(const Level& level) {
  return level.server_settings ? show_list(level.server_settings->ssl.certificates) : "";
}
std::string show_certificate_keys(const Level& level) {
  return level.server_settings ? show_list(level.server_settings->ssl.certificate_keys) : "";
}

// off | none | [builtin[:SIZE]] [shared:NAME:SIZE]
void set_session_cache(const Use& use) {
  auto& cache = slot<&ServerSsl::session_cache>(use);
  std::string words;
  for (std::size_t i = 1; i <= use.count(); ++i) {
    const std::string_view text = use[i];
    bool good = text == "off" || text == "none" || text == "builtin";
    if (text.starts_with("builtin:")) good = parse_number(text.substr(8)).has_value();
    if (text.starts_with("shared:")) {
      const auto colon = text.rfind(':');
      const auto size = parse_size(text.substr(colon + 1));
      good = colon > 7 && size.has_value();
      if (good && *size < 8 * 4096) throw Invalid{fmt::format("session cache \"{}\" is too small", text), i, {}};
    }
    if (!good) {
      throw Invalid{fmt::format("invalid session cache \"{}\"", text), i,
                    "off, none, builtin[:SIZE] or shared:NAME:SIZE"};
    }
    words += (words.empty() ? "" : " ") + std::string(text);
  }
  cache = std::move(words);
}
std::string show_session_cache(const Level& level) {
  return level.server_settings ? level.server_settings->ssl.session_cache : "";
}

void add_conf_command(const Use& use) {
  auto& commands = target<ServerSsl>(use.level).conf_commands;
  if (use.first) commands.clear();
  commands.emplace_back(use[1], use[2]);
}

// nginx warns about it too: `listen ... ssl` is the way.
void accept_ssl(const Use& use) {
  if (!read_flag(use)) return;
  throw Invalid{"the \"ssl\" directive is not supported, use the \"listen ... ssl\" directive instead", 0,
                "nginx has removed it in 1.25.1"};
}
// What would make a connection less safe when ignored is refused.
void set_ech_file(const Use&) { throw Invalid{"\"ssl_ech_file\" is not supported", 0, "ECH needs a newer OpenSSL"}; }
void set_key_log(const Use&) {
  throw Invalid{"\"ssl_key_log\" is not supported", 0, "session keys are never written to files"};
}

void accept_certificate_cache(const Use& use) {
  if (use.count() == 1 && use[1] == "off") return;
  bool has_max = false;
  for (std::size_t i = 1; i <= use.count(); ++i) {
    const std::string_view text = use[i];
    const bool max = text.starts_with("max=") && parse_number(text.substr(4)).value_or(0) > 0;
    const bool time = (text.starts_with("inactive=") && parse_time(text.substr(9))) ||
                      (text.starts_with("valid=") && parse_time(text.substr(6)));
    if (!max && !time) throw Invalid{fmt::format("invalid parameter \"{}\"", text), i, {}};
    has_max |= max;
  }
  if (!has_max) throw Invalid{fmt::format("\"{}\" must have the \"max\" parameter", use.row.name), 0, {}};
}
constexpr std::size_t kSharedPrefix = std::string_view("shared:").size();

void set_ocsp_cache(const Use& use) {
  const std::string_view text = use[1];
  const auto colon = text.rfind(':');
  std::optional<ByteCount> size;
  if (text.starts_with("shared:") && colon > kSharedPrefix) size = parse_size(text.substr(colon + 1));
  if (text != "off" && !size) {
    throw Invalid{fmt::format("invalid OCSP cache \"{}\"", text), 1, "off or shared:NAME:SIZE"};
  }
  if (size && *size < ByteCount{8} * 4096) throw Invalid{fmt::format("OCSP cache \"{}\" is too small", text), 1, {}};
  auto& ssl = target<ServerSsl>(use.level);
  ssl.ocsp_cache_size = size.value_or(0);
  ssl.ocsp_cache = size ? text.substr(kSharedPrefix, colon - kSharedPrefix) : std::string_view();
}
std::string show_ocsp_cache(const Level& level) {
  if (level.server_settings == nullptr) return "";
  const ServerSsl& ssl = level.server_settings->ssl;
  return ssl.ocsp_cache_size == 0 ? "off" : fmt::format("shared:{}:{}", ssl.ocsp_cache, ssl.ocsp_cache_size);
}

template <auto Member>
void set_responder(const Use& use) {
  if (!use[1].starts_with("http://") || use[1].size() == std::string_view("http://").size()) {
    throw Invalid{fmt::format("invalid URL prefix in OCSP responder \"{}\"", use[1]), 1, "http://HOST[:PORT][/PATH]"};
  }
  slot<Member>(use) = use[1];
}
template <auto Member>
std::string show_responder(const Level& level) {
  return level.server_settings == nullptr ? "" : level.server_settings->ssl.*Member;
}

const Directive kRows[] = {
    {"ssl",
     kHs,
     kOne,
     {accept_ssl, nullptr, "off"},
     "Removed from nginx: `listen ... ssl` turns TLS on.",
     Support::tuning},
    {"ssl_ocsp", kHs, kOne, choice<&ServerSsl::ocsp, kOcsp>("on | leaf | off"),
     "Whether the responder that a client's certificate names is asked if it was revoked: about the certificate alone "
     "(leaf) or its whole chain. Names of responders are resolved by the system."},
    {"ssl_ocsp_cache",
     kHs,
     kOne,
     {set_ocsp_cache, show_ocsp_cache, "off | shared:NAME:SIZE"},
     "Keeps what responders said of clients' certificates for as long as it holds."},
    {"ssl_ocsp_responder",
     kHs,
     kOne,
     {set_responder<&ServerSsl::ocsp_responder>, show_responder<&ServerSsl::ocsp_responder>, "URL"},
     "Asked about clients' certificates instead of the responder that they name."},
    {"ssl_ech_file", kHs, kOne, {set_ech_file, nullptr, "FILE"}, "Encrypted Client Hello is refused.", Support::tuning},
    {"ssl_key_log", kHs, kOne, {set_key_log, nullptr, "FILE"}, "Writing session keys is refused.", Support::tuning},
    {"ssl_certificate_cache",
     kHs,
     {1, 3, false},
     {accept_certificate_cache, nullptr, "off | max=NUMBER [inactive=TIME] [valid=TIME]"},
     "Accepted without effect: certificates are read when the configuration is loaded.",
     Support::tuning},
    {"proxy_ssl_certificate_cache",
     kHttpServerLocation,
     {1, 3, false},
     {accept_certificate_cache, nullptr, "off | max=NUMBER [inactive=TIME] [valid=TIME]"},
     "Accepted without effect: certificates are read when the configuration is loaded.",
     Support::tuning},
    {"ssl_certificate_compression", kHs, kOne, accept_flag(), "Accepted: certificates are sent as they are.",
     Support::tuning},
    {"ssl_certificate",
     kHss,
     kOne,
     {add_certificate, show_certificates, "FILE"},
     "Certificate chain in PEM; given twice, an ECDSA and an RSA certificate serve together."},
    {"ssl_certificate_key",
     kHss,
     kOne,
     {add_certificate_key, show_certificate_keys, "FILE"},
     "Key of the certificate at the same place."},
    {"ssl_password_file", kHss, kOne, path<&ServerSsl::password_file, PathBase::configuration>(),
     "Passphrases of keys."},
    {"ssl_protocols", kHss, kOneOrMore,
     mask<&ServerSsl::protocols, kProtocols>("[TLSv1] [TLSv1.1] [TLSv1.2] [TLSv1.3]"),
     "TLS versions that clients may use."},
    {"ssl_ciphers", kHss, kOne, text<&ServerSsl::ciphers>("CIPHERS"), "Ciphers up to TLS 1.2, in OpenSSL's format."},
    {"ssl_prefer_server_ciphers", kHss, kOne, flag<&ServerSsl::prefer_server_ciphers>(),
     "Whether our order of ciphers decides."},
    {"ssl_ecdh_curve", kHss, kOne, text<&ServerSsl::ecdh_curve>("CURVES"), "Groups for key exchange."},
    {"ssl_dhparam", kHss, kOne, path<&ServerSsl::dhparam, PathBase::configuration>(), "Parameters for DHE ciphers."},
    {"ssl_session_cache",
     kHss,
     kOneOrMore,
     {set_session_cache, show_session_cache, "off | none | [builtin[:SIZE]] [shared:NAME:SIZE]"},
     "Cache of TLS sessions."},
    {"ssl_session_timeout", kHss, kOne, time<&ServerSsl::session_timeout, TimeUnit::seconds>(),
     "How long a session may be resumed."},
    {"ssl_session_tickets", kHss, kOne, flag<&ServerSsl::session_tickets>(), "Resumption by tickets."},
    {"ssl_session_ticket_key",
     kHss,
     kOne,
     {add_ticket_key, nullptr, "FILE"},
     "Ticket keys (48 or 80 bytes); the first encrypts. Without it keys are made and rotated here."},
    {"ssl_buffer_size", kHs, kOne, size<&ServerSsl::buffer_size>(), "Largest record sent."},
    {"ssl_verify_client", kHss, kOne,
     choice<&ServerSsl::verify_client, kVerify>("on | off | optional | optional_no_ca"),
     "Whether clients must show a certificate."},
    {"ssl_verify_depth", kHss, kOne, number<&ServerSsl::verify_depth, 0, 100>(),
     "Longest chain of a client's certificate."},
    {"ssl_client_certificate", kHss, kOne, path<&ServerSsl::client_certificate, PathBase::configuration>(),
     "CA certificates for clients; their names are sent to clients."},
    {"ssl_trusted_certificate", kHss, kOne, path<&ServerSsl::trusted_certificate, PathBase::configuration>(),
     "CA certificates for clients; their names are not sent."},
    {"ssl_crl", kHss, kOne, path<&ServerSsl::crl, PathBase::configuration>(), "Revoked client certificates."},
    {"ssl_stapling", kHss, kOne, flag<&ServerSsl::stapling>(),
     "OCSP stapling: the answer of the certificate's responder is sent along, and asked for again every hour."},
    {"ssl_stapling_file", kHss, kOne, path<&ServerSsl::stapling_file, PathBase::configuration>(),
     "An OCSP response to staple."},
    {"ssl_stapling_verify", kHss, kOne, flag<&ServerSsl::stapling_verify>(),
     "Whether the signature of a responder's answer is verified by ssl_trusted_certificate."},
    {"ssl_stapling_responder",
     kHss,
     kOne,
     {set_responder<&ServerSsl::stapling_responder>, show_responder<&ServerSsl::stapling_responder>, "URL"},
     "Asked instead of the responder that the certificate names."},
    {"ssl_reject_handshake", kHss, kOne, flag<&ServerSsl::reject_handshake>(),
     "Refuses handshakes for this server's names."},
    {"ssl_early_data", kHs, kOne, flag<&ServerSsl::early_data>(),
     "TLS 1.3 early data, which others may send again: origins can tell it by $ssl_early_data. As in nginx the default "
     "server of the address decides for all of them."},
    {"ssl_handshake_timeout", kHss, kOne, time<&ServerSsl::handshake_timeout>(),
     "Time for the handshake (nginx has it in stream only)."},
    {"ssl_conf_command", kHss, kTwo, {add_conf_command, nullptr, "NAME VALUE"}, "An OpenSSL configuration command."},
};

}  // namespace

std::span<const Directive> ssl_directives() { return kRows; }

}  // namespace gatehouse::config
