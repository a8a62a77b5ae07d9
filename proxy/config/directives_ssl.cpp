// Rows of TLS towards clients.
#include <array>

#include "proxy/config/setters.hpp"
#include "proxy/config/tables.hpp"

namespace gatehouse::config {
namespace {

constexpr std::uint32_t kHs = kHttp | kServer;

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

const Directive kRows[] = {
    {"ssl_certificate",
     kHs,
     kOne,
     {add_certificate, show_certificates, "FILE"},
     "Certificate chain in PEM; given twice, an ECDSA and an RSA certificate serve together."},
    {"ssl_certificate_key",
     kHs,
     kOne,
     {add_certificate_key, show_certificate_keys, "FILE"},
     "Key of the certificate at the same place."},
    {"ssl_password_file", kHs, kOne, path<&ServerSsl::password_file, PathBase::configuration>(),
     "Passphrases of keys."},
    {"ssl_protocols", kHs, kOneOrMore, mask<&ServerSsl::protocols, kProtocols>("[TLSv1] [TLSv1.1] [TLSv1.2] [TLSv1.3]"),
     "TLS versions that clients may use."},
    {"ssl_ciphers", kHs, kOne, text<&ServerSsl::ciphers>("CIPHERS"), "Ciphers up to TLS 1.2, in OpenSSL's format."},
    {"ssl_prefer_server_ciphers", kHs, kOne, flag<&ServerSsl::prefer_server_ciphers>(),
     "Whether our order of ciphers decides."},
    {"ssl_ecdh_curve", kHs, kOne, text<&ServerSsl::ecdh_curve>("CURVES"), "Groups for key exchange."},
    {"ssl_dhparam", kHs, kOne, path<&ServerSsl::dhparam, PathBase::configuration>(), "Parameters for DHE ciphers."},
    {"ssl_session_cache",
     kHs,
     kOneOrMore,
     {set_session_cache, show_session_cache, "off | none | [builtin[:SIZE]] [shared:NAME:SIZE]"},
     "Cache of TLS sessions."},
    {"ssl_session_timeout", kHs, kOne, time<&ServerSsl::session_timeout, TimeUnit::seconds>(),
     "How long a session may be resumed."},
    {"ssl_session_tickets", kHs, kOne, flag<&ServerSsl::session_tickets>(), "Resumption by tickets."},
    {"ssl_session_ticket_key",
     kHs,
     kOne,
     {add_ticket_key, nullptr, "FILE"},
     "Ticket keys (48 or 80 bytes); the first encrypts. Without it keys are made and rotated here."},
    {"ssl_buffer_size", kHs, kOne, size<&ServerSsl::buffer_size>(), "Largest record sent."},
    {"ssl_verify_client", kHs, kOne, choice<&ServerSsl::verify_client, kVerify>("on | off | optional | optional_no_ca"),
     "Whether clients must show a certificate."},
    {"ssl_verify_depth", kHs, kOne, number<&ServerSsl::verify_depth, 0, 100>(),
     "Longest chain of a client's certificate."},
    {"ssl_client_certificate", kHs, kOne, path<&ServerSsl::client_certificate, PathBase::configuration>(),
     "CA certificates for clients; their names are sent to clients."},
    {"ssl_trusted_certificate", kHs, kOne, path<&ServerSsl::trusted_certificate, PathBase::configuration>(),
     "CA certificates for clients; their names are not sent."},
    {"ssl_crl", kHs, kOne, path<&ServerSsl::crl, PathBase::configuration>(), "Revoked client certificates."},
    {"ssl_stapling", kHs, kOne, flag<&ServerSsl::stapling>(), "OCSP stapling."},
    {"ssl_stapling_file", kHs, kOne, path<&ServerSsl::stapling_file, PathBase::configuration>(),
     "An OCSP response to staple."},
    {"ssl_stapling_verify", kHs, kOne, accept_flag(), "Accepted: staples are verified always.", Support::tuning},
    {"ssl_stapling_responder", kHs, kOne, accept_any("URL"), "Accepted: the certificate's own responder is asked.",
     Support::tuning},
    {"ssl_reject_handshake", kHs, kOne, flag<&ServerSsl::reject_handshake>(),
     "Refuses handshakes for this server's names."},
    {"ssl_early_data", kHs, kOne, flag<&ServerSsl::early_data>(), "TLS 1.3 early data."},
    {"ssl_handshake_timeout", kHs, kOne, time<&ServerSsl::handshake_timeout>(),
     "Time for the handshake (nginx has it in stream only)."},
    {"ssl_conf_command", kHs, kTwo, {add_conf_command, nullptr, "NAME VALUE"}, "An OpenSSL configuration command."},
};

}  // namespace

std::span<const Directive> ssl_directives() { return kRows; }

}  // namespace gatehouse::config
