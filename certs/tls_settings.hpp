// Settings that TLS towards clients and TLS towards upstreams have in common.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::certs {

/// Protocol versions, combined with `|` (`ssl_protocols`). SSLv2 and SSLv3 don't exist here.
enum class Protocols : std::uint8_t {
  none = 0,
  tls1_0 = 1,
  tls1_1 = 2,
  tls1_2 = 4,
  tls1_3 = 8,
  standard = tls1_2 | tls1_3,
};

[[nodiscard]] constexpr Protocols operator|(Protocols a, Protocols b) noexcept {
  return static_cast<Protocols>(static_cast<std::uint8_t>(a) | static_cast<std::uint8_t>(b));
}
[[nodiscard]] constexpr bool contains(Protocols set, Protocols one) noexcept {
  return (static_cast<std::uint8_t>(set) & static_cast<std::uint8_t>(one)) != 0;
}

/// PEM text in a file, or in memory when it comes from elsewhere (a Kubernetes Secret).
struct PemSource {
  std::string path;  ///< the file; with `text` set, only the name used in messages
  std::string text;  ///< the PEM itself; empty: read `path`

  friend bool operator==(const PemSource&, const PemSource&) = default;
};

/// A certificate with its chain, leaf first, and the leaf's private key.
struct CertificatePair {
  PemSource certificate;
  PemSource key;

  friend bool operator==(const CertificatePair&, const CertificatePair&) = default;
};

/// One `ssl_conf_command name value`, handed to SSL_CONF_cmd().
struct ConfCommand {
  std::string name;
  std::string value;

  friend bool operator==(const ConfCommand&, const ConfCommand&) = default;
};

inline constexpr std::string_view kDefaultCiphers = "HIGH:!aNULL:!MD5";

}  // namespace gatehouse::certs
