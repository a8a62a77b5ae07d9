// Certificates made on the spot, and handshakes over an in-memory BIO pair.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "certs/client_context.hpp"
#include "certs/openssl_types.hpp"
#include "certs/server_connection.hpp"
#include "certs/server_context.hpp"

namespace gatehouse::certs::test {

enum class KeyKind { ec, rsa };

/// A certificate with its key, in memory and as PEM.
struct Identity {
  X509Ptr certificate;
  KeyPtr key;
  std::string certificate_pem;
  std::string key_pem;

  [[nodiscard]] CertificatePair pair(const std::string& name = "test") const {
    return {{name + ".crt", certificate_pem}, {name + ".key", key_pem}};
  }
  [[nodiscard]] PemSource source() const { return {"ca.crt", certificate_pem}; }
};

struct IdentityOptions {
  std::string common_name = "a.example";
  std::string alternatives = "DNS:a.example";  ///< empty: none
  KeyKind kind = KeyKind::ec;
  int first_day = -1;
  int last_day = 30;
  bool authority = false;
};

/// Signed by `issuer`, by itself if null.
Identity make_identity(const IdentityOptions& options, const Identity* issuer = nullptr);
Identity make_authority(const std::string& name);
std::string to_pem(const EVP_PKEY& key, const char* password = nullptr);

/// A directory that goes with the test.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] std::string path(const std::string& name) const { return (root_ / name).string(); }
  std::string write(const std::string& name, std::string_view content) const;

 private:
  std::filesystem::path root_;
};

/// A selector over a plain map; `otherwise` serves the rest (null refuses).
class MapSelector : public SniSelector {
 public:
  std::map<std::string, std::shared_ptr<const ServerContext>, std::less<>> servers;
  std::shared_ptr<const ServerContext> otherwise;
  [[nodiscard]] std::shared_ptr<const ServerContext> select(std::string_view name) const override {
    const auto found = servers.find(name);
    return found == servers.end() ? otherwise : found->second;
  }
};

/// Builds, failing the test loudly if that doesn't work.
std::shared_ptr<const ServerContext> build(const ServerTlsSettings& settings, SharedTlsState& state);
std::shared_ptr<const ClientContext> build(const ClientTlsSettings& settings);

/// Both ends of one connection.
class Conversation {
 public:
  Conversation(SslPtr client, SslPtr server);
  /// Runs both ends until they are done or one fails; true if both finished.
  bool handshake();
  /// Sends a byte each way, so that TLS 1.3 tickets arrive.
  bool exchange();
  void shut_down();
  [[nodiscard]] SSL& client() { return *client_; }
  [[nodiscard]] SSL& server() { return *server_; }
  /// Reason codes of the first error each end met, 0 for none.
  int client_reason = 0;
  int server_reason = 0;

 private:
  SslPtr client_;
  SslPtr server_;
};

/// A plain client that verifies nothing, with the name as SNI if not empty.
SslPtr plain_client(SSL_CTX& context, const std::string& name = {}, SSL_SESSION* session = nullptr);
SslContextPtr plain_client_context(int max_version = 0);

/// Common name of the certificate the client was shown.
std::string shown_name(SSL& client);

}  // namespace gatehouse::certs::test
