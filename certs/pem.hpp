// Reading certificates, keys, authorities and revocation lists from PEM; every failure worded as nginx words it.
#pragma once

#include <string>
#include <vector>

#include <openssl/x509.h>

#include "certs/load_error.hpp"
#include "certs/openssl_types.hpp"
#include "certs/tls_settings.hpp"

namespace gatehouse::certs {

/// The PEM text of a source: its own, or the file's. `what` begins the message ("cannot load certificate").
[[nodiscard]] LoadResult<std::string> read_pem(const PemSource& source, const std::string& what);

/// Leaf first, then its chain.
[[nodiscard]] LoadResult<std::vector<X509Ptr>> load_chain(const PemSource& source);

/// Pass phrases, one a line; a line may hold anything but a line end. Empty path: none.
[[nodiscard]] LoadResult<std::vector<std::string>> load_passwords(const std::string& path);

/// The private key; an encrypted one is tried with each of `passwords`. Never asks at a terminal.
[[nodiscard]] LoadResult<KeyPtr> load_key(const PemSource& source, const std::vector<std::string>& passwords);

/// Every certificate of the source, for a trust store; an error if there is none.
[[nodiscard]] LoadResult<std::vector<X509Ptr>> load_authorities(const PemSource& source);

/// Every revocation list of the source; an error if there is none.
[[nodiscard]] LoadResult<std::vector<X509CrlPtr>> load_crls(const PemSource& source);

[[nodiscard]] inline bool is_set(const PemSource& source) noexcept {
  return !source.path.empty() || !source.text.empty();
}

/// Overwrites secret text before it is freed.
void wipe(std::string& secret) noexcept;

}  // namespace gatehouse::certs
