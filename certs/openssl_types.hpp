// Owners of OpenSSL's objects, so that no function of this layer frees anything by hand.
#pragma once

#include <memory>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

namespace gatehouse::certs {

/// Deletes with the given OpenSSL function.
template <auto Free>
struct FreeWith {
  template <class T>
  void operator()(T* object) const noexcept {
    Free(object);
  }
};

/// Frees a connection and leaves its session resumable however the connection ended. OpenSSL would spoil it if no
/// close_notify was sent; that rule went with TLS 1.1 (RFC 4346 section 7.2.1), and fatal alerts have spoilt it before
/// this.
struct FreeConnection {
  void operator()(SSL* ssl) const noexcept {
    SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(ssl);
  }
};

using SslPtr = std::unique_ptr<SSL, FreeConnection>;
using SslContextPtr = std::unique_ptr<SSL_CTX, FreeWith<SSL_CTX_free>>;
using SessionPtr = std::unique_ptr<SSL_SESSION, FreeWith<SSL_SESSION_free>>;
using BioPtr = std::unique_ptr<BIO, FreeWith<BIO_free_all>>;
using X509Ptr = std::unique_ptr<X509, FreeWith<X509_free>>;
using X509CrlPtr = std::unique_ptr<X509_CRL, FreeWith<X509_CRL_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;

}  // namespace gatehouse::certs
