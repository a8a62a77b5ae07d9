// TLS towards upstreams: the `proxy_ssl_*` settings, and the immutable context made from them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "certs/client_session_cache.hpp"
#include "certs/load_error.hpp"
#include "certs/openssl_types.hpp"
#include "certs/tls_settings.hpp"

namespace gatehouse::certs {

/// Everything `proxy_ssl_*` says except the name, which may hold variables; each member's default is nginx's.
struct ClientTlsSettings {
  bool verify = false;
  int verify_depth = 1;
  PemSource trusted_certificate{};
  PemSource crl{};
  bool send_server_name = false;  ///< `proxy_ssl_server_name`
  bool session_reuse = true;
  Protocols protocols = Protocols::standard;
  std::string ciphers = "DEFAULT";
  std::optional<CertificatePair> certificate{};
  std::string password_file{};
  std::vector<ConfCommand> conf_commands{};
  std::vector<std::string> alpn{};  ///< offered to the upstream, in order; empty: no extension
};

/// The immutable TLS side towards upstreams. Shared by every thread.
class ClientContext {
 public:
  [[nodiscard]] static LoadResult<std::shared_ptr<const ClientContext>> build(const ClientTlsSettings& settings);
  ~ClientContext();
  ClientContext(const ClientContext&) = delete;
  ClientContext& operator=(const ClientContext&) = delete;

  [[nodiscard]] SSL_CTX* native() const noexcept { return context_.get(); }
  [[nodiscard]] bool verifies() const noexcept { return verify_; }

  /// A new client-side SSL in connect state, without BIO or descriptor.
  /// `name`: `proxy_ssl_name` after expansion; a port and brackets are cut off. It is sent as SNI (unless it is an
  /// address) and the certificate is verified against it. `peer`: the address connected to; part of the session's key.
  /// `sessions`: this thread's cache, null for no reuse. Null only if memory is exhausted or the name can't be a name
  /// at all.
  [[nodiscard]] SslPtr new_connection(std::string_view name, std::string_view peer, ClientSessionCache* sessions) const;

 private:
  friend class ClientContextBuilder;
  ClientContext();

  SslContextPtr context_;
  bool verify_ = false;
  bool send_server_name_ = false;
  bool session_reuse_ = true;
  std::string fingerprint_;  ///< digest of the settings; keeps sessions of different policies apart, and equal ones
                             ///< over reloads
};

/// Why the upstream's certificate was refused, in nginx's wording:
/// `upstream SSL certificate verify error: (20:unable to get local issuer certificate)` or
/// `upstream SSL certificate does not match "name"`. Empty if verification wasn't the reason. Call it after a failed
/// handshake.
[[nodiscard]] std::string upstream_verification_failure(const SSL& ssl);

}  // namespace gatehouse::certs
