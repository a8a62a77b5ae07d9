// Parts of a certificate as text.
#pragma once

#include <chrono>
#include <string>

#include <openssl/x509.h>

namespace gatehouse::certs {

[[nodiscard]] std::string rfc2253_text(const X509_NAME& name);   ///< "CN=a,O=b"
[[nodiscard]] std::string legacy_text(const X509_NAME& name);    ///< "/O=b/CN=a"
[[nodiscard]] std::string serial_text(const X509& certificate);  ///< upper case hexadecimal
[[nodiscard]] std::string sha1_text(const X509& certificate);    ///< of the DER form, lower case hexadecimal
[[nodiscard]] std::string pem_text(const X509& certificate);     ///< PEM with its last line end
[[nodiscard]] std::string time_text(const ASN1_TIME& time);      ///< "Jun 22 10:00:00 2026 GMT"
[[nodiscard]] std::string address_text(
    const ASN1_OCTET_STRING& bytes);  ///< "127.0.0.1", "::1"; empty if neither 4 nor 16 bytes
[[nodiscard]] std::chrono::system_clock::time_point to_time_point(const ASN1_TIME& time);

/// Lower case hexadecimal.
[[nodiscard]] std::string hex_text(const unsigned char* bytes, std::size_t size);

}  // namespace gatehouse::certs
