// What a server-side SSL carries with it, and the OpenSSL callbacks that work on it. Internal to this layer.
#pragma once

#include <memory>
#include <string>

#include <openssl/ssl.h>

#include "certs/client_revocation.hpp"
#include "certs/server_connection.hpp"
#include "certs/server_context.hpp"

namespace gatehouse::certs {

/// Owned by its SSL (ex_data) and freed with it.
struct ConnectionState {
  std::shared_ptr<const ServerContext> selected;
  std::shared_ptr<const SniSelector> selector;
  std::string server_name;
  bool hello_seen = false;
  RevocationVerdict revocation = RevocationVerdict::good;

  [[nodiscard]] static ConnectionState* of(const SSL& ssl) noexcept;
  /// Takes ownership; false if memory is exhausted.
  [[nodiscard]] static bool attach(SSL& ssl, std::unique_ptr<ConnectionState> state);
};

/// The callbacks every server context is given. They find their context through the connection, never through the
/// SSL_CTX they were set on, because OpenSSL keeps asking the first SSL_CTX about sessions and tickets after a switch.
struct ServerCallbacks {
  static void install(SSL_CTX& context);
  static void forget(SSL& ssl);

 private:
  static int on_client_hello(SSL* ssl, int* alert, void*);
  static int on_server_name(SSL* ssl, int* alert, void*);
  static int on_alpn(SSL* ssl, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                     unsigned int in_size, void*);
  static int on_ticket(SSL* ssl, unsigned char* key_name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac,
                       int encrypt);
  static int on_new_session(SSL* ssl, SSL_SESSION* session);
  static SSL_SESSION* on_find_session(SSL* ssl, const unsigned char* id, int size, int* copy);
  static int on_status_request(SSL* ssl, void*);
  static bool switch_context(SSL& ssl, const ServerContext& to);
};

}  // namespace gatehouse::certs
