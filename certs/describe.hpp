// A TLS connection in words: the values of nginx's `$ssl_*` variables. Pure functions; empty text where nginx has an
// empty value.
#pragma once

#include <chrono>
#include <string>

#include <openssl/ssl.h>

namespace gatehouse::certs {

[[nodiscard]] std::string ssl_protocol(const SSL& ssl);  ///< "TLSv1.3"
[[nodiscard]] std::string ssl_cipher(const SSL& ssl);    ///< "TLS_AES_256_GCM_SHA384"
[[nodiscard]] std::string ssl_ciphers(SSL& ssl);         ///< offered by the client, ":" between; unknown ones as 0xabcd
[[nodiscard]] std::string ssl_curve(SSL& ssl);           ///< "X25519", "prime256v1"; unknown ones as 0xabcd
[[nodiscard]] std::string ssl_curves(SSL& ssl);          ///< offered by the client, ":" between
[[nodiscard]] std::string ssl_alpn_protocol(const SSL& ssl);   ///< "h2"
[[nodiscard]] std::string ssl_server_name(const SSL& ssl);     ///< the name of the ClientHello
[[nodiscard]] std::string ssl_session_id(const SSL& ssl);      ///< hexadecimal
[[nodiscard]] std::string ssl_session_reused(const SSL& ssl);  ///< "r" or "."
[[nodiscard]] std::string ssl_early_data(const SSL& ssl);      ///< "1" while the handshake is incomplete

[[nodiscard]] std::string ssl_client_verify(const SSL& ssl);        ///< "SUCCESS", "FAILED:reason", "NONE"
[[nodiscard]] std::string ssl_client_s_dn(const SSL& ssl);          ///< RFC 2253
[[nodiscard]] std::string ssl_client_i_dn(const SSL& ssl);          ///< RFC 2253
[[nodiscard]] std::string ssl_client_s_dn_legacy(const SSL& ssl);   ///< "/C=.../CN=..."
[[nodiscard]] std::string ssl_client_i_dn_legacy(const SSL& ssl);   ///< "/C=.../CN=..."
[[nodiscard]] std::string ssl_client_serial(const SSL& ssl);        ///< upper case hexadecimal
[[nodiscard]] std::string ssl_client_fingerprint(const SSL& ssl);   ///< SHA-1, lower case hexadecimal
[[nodiscard]] std::string ssl_client_raw_cert(const SSL& ssl);      ///< PEM
[[nodiscard]] std::string ssl_client_cert(const SSL& ssl);          ///< PEM, a tab before each line but the first
[[nodiscard]] std::string ssl_client_escaped_cert(const SSL& ssl);  ///< PEM, URL-encoded
[[nodiscard]] std::string ssl_client_v_start(const SSL& ssl);       ///< "Jun 22 10:00:00 2026 GMT"
[[nodiscard]] std::string ssl_client_v_end(const SSL& ssl);
/// Days until the client's certificate expires, "0" if it has.
[[nodiscard]] std::string ssl_client_v_remain(const SSL& ssl, std::chrono::system_clock::time_point now);

}  // namespace gatehouse::certs
