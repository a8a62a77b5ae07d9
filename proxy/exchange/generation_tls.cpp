#include "proxy/exchange/generation_tls.hpp"

#include <chrono>
#include <fstream>
#include <iterator>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "certs/sha256.hpp"
#include "proxy/config/parse_value.hpp"

namespace gatehouse::exchange {
namespace {

certs::Protocols protocols(std::uint32_t bits) {
  // SSLv2 and SSLv3 may be written, as in nginx, and don't exist.
  constexpr std::pair<std::uint32_t, certs::Protocols> kBits[] = {{config::tls_v1, certs::Protocols::tls1_0},
                                                                  {config::tls_v1_1, certs::Protocols::tls1_1},
                                                                  {config::tls_v1_2, certs::Protocols::tls1_2},
                                                                  {config::tls_v1_3, certs::Protocols::tls1_3}};
  auto result = certs::Protocols::none;
  for (const auto& [bit, protocol] : kBits) {
    if ((bits & bit) != 0) result = result | protocol;
  }
  return result;
}

// nginx's `data:PEM` stands for the text itself.
certs::PemSource pem_source(const std::string& path) {
  if (path.starts_with("data:")) return {"data", path.substr(5)};
  return {path, {}};
}

std::vector<certs::ConfCommand> conf_commands(const std::vector<std::pair<std::string, std::string>>& commands) {
  std::vector<certs::ConfCommand> result;
  for (const auto& [name, value] : commands) result.push_back({name, value});
  return result;
}

certs::VerifyClient verify_client(config::VerifyClient value) {
  switch (value) {
    case config::VerifyClient::off: return certs::VerifyClient::off;
    case config::VerifyClient::on: return certs::VerifyClient::on;
    case config::VerifyClient::optional: return certs::VerifyClient::optional;
    case config::VerifyClient::optional_no_ca: return certs::VerifyClient::optional_no_ca;
  }
  return certs::VerifyClient::on;
}

certs::RevocationScope revocation_scope(config::OcspOfClients value) {
  switch (value) {
    case config::OcspOfClients::off: return certs::RevocationScope::off;
    case config::OcspOfClients::leaf: return certs::RevocationScope::leaf;
    case config::OcspOfClients::on: return certs::RevocationScope::chain;
  }
  return certs::RevocationScope::chain;
}

// "off", "none", or "builtin[:N]" and "shared:NAME:SIZE" in any order; the loader has checked it. A shared cache wins.
certs::SessionCacheSettings session_cache(std::string_view text) {
  certs::SessionCacheSettings result;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    if (word == "off") result.kind = certs::SessionCacheKind::off;
    if (word.starts_with("builtin") && result.kind != certs::SessionCacheKind::shared) {
      result.kind = certs::SessionCacheKind::builtin;
      if (word.size() > 8) {
        result.builtin_sessions = static_cast<std::uint32_t>(config::parse_number(word.substr(8)).value_or(20480));
      }
    }
    if (word.starts_with("shared:")) {
      const std::size_t colon = word.rfind(':');
      result.kind = certs::SessionCacheKind::shared;
      result.name = word.substr(7, colon - 7);
      result.size = config::parse_size(word.substr(colon + 1)).value_or(kMiB);
    }
  }
  return result;
}

class ListenerSelector : public certs::SniSelector {
 public:
  ListenerSelector(std::shared_ptr<const config::Config> config, route::ServerNames names,
                   std::vector<std::shared_ptr<const certs::ServerContext>> contexts)
      : config_(std::move(config)), names_(std::move(names)), contexts_(std::move(contexts)) {}

  [[nodiscard]] std::shared_ptr<const certs::ServerContext> select(std::string_view name) const override {
    config::Regex::Captures captures;
    return contexts_[names_.find(name, captures).server->id];
  }

 private:
  std::shared_ptr<const config::Config> config_;  // the names' servers live in it
  route::ServerNames names_;
  std::vector<std::shared_ptr<const certs::ServerContext>> contexts_;  // by Server::id
};

std::string file_contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

certs::ServerTlsSettings server_tls_settings(const config::ServerSettings& settings) {
  const config::ServerSsl& ssl = settings.ssl;
  certs::ServerTlsSettings result;
  for (std::size_t i = 0; i < ssl.certificates.size(); ++i) {
    result.certificates.push_back({pem_source(ssl.certificates[i]), pem_source(ssl.certificate_keys[i])});
  }
  result.password_file = ssl.password_file;
  result.protocols = protocols(ssl.protocols);
  result.ciphers = ssl.ciphers;
  result.ecdh_curves = ssl.ecdh_curve;
  result.prefer_server_ciphers = ssl.prefer_server_ciphers;
  result.dhparam_file = ssl.dhparam;
  result.conf_commands = conf_commands(ssl.conf_commands);
  result.session_timeout = std::chrono::duration_cast<std::chrono::seconds>(ssl.session_timeout);
  result.session_cache = session_cache(ssl.session_cache);
  result.session_tickets = ssl.session_tickets;
  result.ticket_key_files = ssl.session_ticket_keys;
  result.verify_client = verify_client(ssl.verify_client);
  result.verify_depth = ssl.verify_depth;
  result.client_certificate = pem_source(ssl.client_certificate);
  result.trusted_certificate = pem_source(ssl.trusted_certificate);
  result.crl = pem_source(ssl.crl);
  result.ocsp = revocation_scope(ssl.ocsp);
  result.ocsp_responder = ssl.ocsp_responder;
  result.ocsp_cache = ssl.ocsp_cache;
  result.ocsp_cache_size = ssl.ocsp_cache_size;
  result.stapling = ssl.stapling;
  result.stapling_verify = ssl.stapling_verify;
  result.stapling_responder = ssl.stapling_responder;
  result.stapling_file = ssl.stapling_file;
  result.reject_handshake = ssl.reject_handshake;
  result.early_data = ssl.early_data;
  result.buffer_size = ssl.buffer_size;
  return result;
}

certs::ClientTlsSettings client_tls_settings(const config::ProxySsl& ssl) {
  certs::ClientTlsSettings result;
  result.verify = ssl.verify;
  result.verify_depth = ssl.verify_depth;
  result.trusted_certificate = pem_source(ssl.trusted_certificate);
  result.crl = pem_source(ssl.crl);
  result.send_server_name = ssl.server_name;
  result.session_reuse = ssl.session_reuse;
  result.protocols = protocols(ssl.protocols);
  result.ciphers = ssl.ciphers;
  if (!ssl.certificate.empty()) {
    const std::string& key = ssl.certificate_key.empty() ? ssl.certificate : ssl.certificate_key;
    result.certificate = certs::CertificatePair{pem_source(ssl.certificate), pem_source(key)};
  }
  result.password_file = ssl.password_file;
  result.conf_commands = conf_commands(ssl.conf_commands);
  return result;
}

std::string client_tls_key(const config::ProxySsl& ssl) {
  certs::Sha256 digest;
  digest.add(
      fmt::format("{} {} {} {} {}", ssl.verify, ssl.server_name, ssl.session_reuse, ssl.verify_depth, ssl.protocols));
  digest.add(ssl.ciphers);
  for (const auto& [name, value] : ssl.conf_commands) {
    digest.add(name);
    digest.add(value);
  }
  for (const std::string* path :
       {&ssl.trusted_certificate, &ssl.crl, &ssl.certificate, &ssl.certificate_key, &ssl.password_file}) {
    digest.add(*path);
    if (!path->empty()) digest.add(file_contents(*path));
  }
  const auto bytes = digest.finish();
  return {bytes.begin(), bytes.end()};
}

std::shared_ptr<const certs::SniSelector> make_sni_selector(
    std::shared_ptr<const config::Config> config, route::ServerNames names,
    std::vector<std::shared_ptr<const certs::ServerContext>> contexts) {
  return std::make_shared<const ListenerSelector>(std::move(config), std::move(names), std::move(contexts));
}

}  // namespace gatehouse::exchange
