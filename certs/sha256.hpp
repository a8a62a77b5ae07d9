// SHA-256 over a sequence of parts, each with its length, so that no two sequences collide by shifting bytes between
// parts.
#pragma once

#include <array>
#include <memory>
#include <string_view>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "certs/openssl_types.hpp"

namespace gatehouse::certs {

class Sha256 {
 public:
  Sha256();
  void add(std::string_view bytes);
  void add(unsigned char byte);
  void add(const X509& certificate);  ///< its DER form
  /// The digest; throws std::runtime_error if OpenSSL has no SHA-256. Call once.
  [[nodiscard]] std::array<unsigned char, 32> finish();

 private:
  std::unique_ptr<EVP_MD_CTX, FreeWith<EVP_MD_CTX_free>> context_;
  bool healthy_ = false;
};

}  // namespace gatehouse::certs
