// What a context towards clients and one towards upstreams are given alike.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "certs/load_error.hpp"
#include "certs/openssl_types.hpp"
#include "certs/tls_settings.hpp"

namespace gatehouse::certs {

/// Nothing, or why it failed.
using LoadStatus = std::optional<LoadError>;

/// Options and modes every context has: no compression, no renegotiation, buffers released while idle, versions as
/// asked.
void apply_basics(SSL_CTX& context, Protocols protocols);

[[nodiscard]] LoadStatus apply_ciphers(SSL_CTX& context, const std::string& ciphers);

/// Runs each command through SSL_CONF_cmd() for a `side` of SSL_CONF_FLAG_SERVER or SSL_CONF_FLAG_CLIENT.
[[nodiscard]] LoadStatus apply_conf_commands(SSL_CTX& context, const std::vector<ConfCommand>& commands, unsigned side);

/// Adds the pair; the key must be the certificate's. On success `leaf` owns the certificate for whoever wants to look
/// at it.
[[nodiscard]] LoadStatus add_certificate(SSL_CTX& context, const CertificatePair& pair,
                                         const std::vector<std::string>& passwords, X509Ptr& leaf);

/// Trusts every certificate of `source`; returns them in `authorities` too.
[[nodiscard]] LoadStatus trust(SSL_CTX& context, const PemSource& source, std::vector<X509Ptr>& authorities);

/// Loads revocation lists and makes every certificate of a chain be checked against them.
[[nodiscard]] LoadStatus revoke(SSL_CTX& context, const PemSource& source);

/// Protocol names in ALPN's wire format (RFC 7301 section 3.1). Names of 1 to 255 bytes; others make an error.
[[nodiscard]] LoadResult<std::vector<unsigned char>> alpn_wire_format(std::span<const std::string> protocols);

}  // namespace gatehouse::certs
