// What the operator wants to know of a loaded certificate: for metrics, warnings and the admin page.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include <openssl/x509.h>

namespace gatehouse::certs {

struct CertificateInfo {
  std::string path;                ///< as configured
  std::string subject;             ///< RFC 2253
  std::string issuer;              ///< RFC 2253
  std::string serial;              ///< upper case hexadecimal
  std::string sha1;                ///< fingerprint, lower case hexadecimal
  std::string key_type;            ///< "RSA", "EC", "ED25519"
  std::vector<std::string> names;  ///< DNS names and addresses of the subjectAltName; the common name if there are none
  std::chrono::system_clock::time_point not_before;
  std::chrono::system_clock::time_point not_after;
};

[[nodiscard]] CertificateInfo inspect(const X509& certificate, std::string path);

}  // namespace gatehouse::certs
