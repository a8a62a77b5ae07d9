// TLS towards clients: the settings of one server block, and the immutable context made from them.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "certs/certificate_info.hpp"
#include "certs/client_revocation.hpp"
#include "certs/load_error.hpp"
#include "certs/openssl_types.hpp"
#include "certs/session_cache.hpp"
#include "certs/shared_tls_state.hpp"
#include "certs/tls_settings.hpp"
#include "proxy/base/units.hpp"

namespace gatehouse::certs {

/// `ssl_verify_client`. A refused certificate doesn't end the handshake: it becomes a 400 (495, 496), see
/// client_verdict().
enum class VerifyClient : std::uint8_t { off, on, optional, optional_no_ca };

/// `ssl_session_cache`. `none`: sessions get an ID but are not kept; `off`: they are not offered at all.
enum class SessionCacheKind : std::uint8_t { none, off, builtin, shared };

struct SessionCacheSettings {
  SessionCacheKind kind = SessionCacheKind::none;
  std::string name{};                      ///< of a shared cache; outlives a reload
  ByteCount size = 0;                      ///< of a shared cache
  std::uint32_t builtin_sessions = 20480;  ///< of a builtin cache, OpenSSL's default
};

/// Everything the `ssl_*` directives of one server block say; each member's default is nginx's.
struct ServerTlsSettings {
  std::vector<CertificatePair>
      certificates{};           ///< `ssl_certificate`, `ssl_certificate_key`; RSA and ECDSA side by side
  std::string password_file{};  ///< `ssl_password_file`: one pass phrase a line, tried in order
  Protocols protocols = Protocols::standard;
  std::string ciphers{kDefaultCiphers};  ///< TLS 1.2 and older; TLS 1.3 suites by `conf_commands` Ciphersuites
  std::string ecdh_curves = "auto";
  bool prefer_server_ciphers = false;
  std::string dhparam_file{};
  std::vector<ConfCommand> conf_commands{};

  std::chrono::seconds session_timeout{300};
  SessionCacheSettings session_cache{};
  bool session_tickets = true;
  std::vector<std::string> ticket_key_files{};

  VerifyClient verify_client = VerifyClient::off;
  int verify_depth = 1;
  PemSource client_certificate{};   ///< `ssl_client_certificate`: trusted, and named to the client
  PemSource trusted_certificate{};  ///< `ssl_trusted_certificate`: trusted, not named
  PemSource crl{};

  RevocationScope ocsp = RevocationScope::off;  ///< `ssl_ocsp`
  std::string ocsp_responder{};                 ///< empty: the one that each certificate names
  std::string ocsp_cache{};                     ///< name of the cache of answers; outlives a reload
  ByteCount ocsp_cache_size = 0;                ///< 0: answers are not kept

  bool stapling = false;
  bool stapling_verify = false;
  std::string stapling_responder{};           ///< empty: the one that the certificate names
  std::string stapling_file{};                ///< DER OCSP response
  std::vector<std::string> alpn{"http/1.1"};  ///< in order of preference; "h2" first where HTTP/2 is on
  bool reject_handshake = false;
  bool early_data = false;  ///< TLS 1.3 early data (0-RTT); nothing here keeps it from being replayed, as in nginx
  ByteCount buffer_size = 16 * kKiB;  ///< longest TLS record we write
};

class FetchedStaple;
class StapledResponse;

/// The immutable TLS side of a server block. Shared by every thread; each connection keeps the one it was given.
class ServerContext {
 public:
  /// Loads every file and checks that keys fit their certificates. `state` must outlive no one: what is used of it is
  /// shared.
  [[nodiscard]] static LoadResult<std::shared_ptr<const ServerContext>> build(const ServerTlsSettings& settings,
                                                                              SharedTlsState& state);
  ~ServerContext();
  ServerContext(const ServerContext&) = delete;
  ServerContext& operator=(const ServerContext&) = delete;

  [[nodiscard]] SSL_CTX* native() const noexcept { return context_.get(); }
  [[nodiscard]] const std::vector<CertificateInfo>& certificates() const noexcept { return certificates_; }
  [[nodiscard]] const RevocationPolicy& revocation() const noexcept { return revocation_; }
  /// Staples that somebody has to refresh().
  [[nodiscard]] const std::vector<std::shared_ptr<FetchedStaple>>& fetched_staples() const noexcept {
    return fetched_staples_;
  }
  [[nodiscard]] VerifyClient verify_client() const noexcept { return verify_client_; }
  [[nodiscard]] bool rejects_handshake() const noexcept { return reject_handshake_; }
  [[nodiscard]] ByteCount buffer_size() const noexcept { return buffer_size_; }

  /// Things that work and should still be told: an expired certificate, a key that others may read.
  [[nodiscard]] const std::vector<std::string>& warnings() const noexcept { return warnings_; }

  /// Digest of who we are and whom we ask for a certificate how; a session resumes only under an equal one.
  [[nodiscard]] const std::array<unsigned char, 32>& session_id_context() const noexcept { return session_id_context_; }

  /// Whether a client let in under `other` has passed what this server asks (verification mode, depth, authorities,
  /// CRL). If not, a request for this server on a connection negotiated with `other` is answered 421 (RFC 9110
  /// section 15.5.20).
  [[nodiscard]] bool accepts_clients_of(const ServerContext& other) const noexcept;

 private:
  friend class ServerContextBuilder;
  friend struct ServerCallbacks;
  ServerContext();

  SslContextPtr context_;
  std::vector<CertificateInfo> certificates_;
  std::vector<std::string> warnings_;
  std::string groups_;               ///< as SSL_set1_groups_list() takes them; empty: OpenSSL's own
  std::vector<unsigned char> alpn_;  ///< wire format
  std::shared_ptr<TicketKeys> ticket_keys_;
  std::shared_ptr<SessionCache> session_cache_;  ///< null: sessions aren't kept
  std::unique_ptr<const StapledResponse> staple_;
  std::vector<std::shared_ptr<FetchedStaple>> fetched_staples_;
  RevocationPolicy revocation_;
  std::array<unsigned char, 32> session_id_context_{};
  std::array<unsigned char, 32> client_policy_{};
  VerifyClient verify_client_ = VerifyClient::off;
  bool reject_handshake_ = false;
  ByteCount buffer_size_ = 16 * kKiB;
};

}  // namespace gatehouse::certs
