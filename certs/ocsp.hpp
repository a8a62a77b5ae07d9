// OCSP (RFC 6960): a responder is asked about a certificate, and what it answers is judged.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <openssl/ocsp.h>
#include <openssl/x509.h>

#include "certs/load_error.hpp"
#include "certs/openssl_types.hpp"

namespace gatehouse::certs {

using OcspResponsePtr = std::unique_ptr<OCSP_RESPONSE, FreeWith<OCSP_RESPONSE_free>>;
using OcspBasicPtr = std::unique_ptr<OCSP_BASICRESP, FreeWith<OCSP_BASICRESP_free>>;
using StorePtr = std::unique_ptr<X509_STORE, FreeWith<X509_STORE_free>>;

struct FreeChain {
  void operator()(STACK_OF(X509) * chain) const noexcept { sk_X509_pop_free(chain, X509_free); }
};
using ChainPtr = std::unique_ptr<STACK_OF(X509), FreeChain>;

using StoreContextPtr = std::unique_ptr<X509_STORE_CTX, FreeWith<X509_STORE_CTX_free>>;

/// One reference more to what OpenSSL counts.
[[nodiscard]] inline X509Ptr reference(X509& certificate) noexcept {
  X509_up_ref(&certificate);
  return X509Ptr(&certificate);
}
[[nodiscard]] inline StorePtr reference(X509_STORE& store) noexcept {
  X509_STORE_up_ref(&store);
  return StorePtr(&store);
}

/// What a responder says of one certificate.
enum class CertificateStatus : std::uint8_t { good, revoked, unknown };

struct OcspAnswer {
  CertificateStatus status = CertificateStatus::unknown;
  std::optional<std::chrono::system_clock::time_point> next_update;  ///< nothing: newer information is always available
  OcspResponsePtr response;
};

/// Who signs for a responder must be the issuer, or have its leave (RFC 6960 section 4.2.2.2).
enum class OcspSignature : std::uint8_t { verified, taken_on_trust };

/// A question that can be asked on any thread, and again. Its parts are references that keep the objects alive.
struct OcspQuestion {
  X509Ptr certificate;
  X509Ptr issuer;
  std::string responder;  ///< http://HOST[:PORT][/PATH]
  ChainPtr known;         ///< certificates that may stand between a signer and the store; may be null
  StorePtr trusted;       ///< where chains of signers end
  OcspSignature signature = OcspSignature::verified;
};

/// The first responder that a certificate names, which is an http:// URL as a rule; empty: none.
[[nodiscard]] std::string responder_of(const X509& certificate);

/// What identifies a certificate to a responder, as bytes: hashes of the issuer's name and key, and the serial number.
[[nodiscard]] std::string ocsp_key(const X509& certificate, const X509& issuer);

/// Asks by POST and waits up to `timeout` for the whole answer; names are resolved by the system. Blocks: not for an event thread.
/// An error tells what failed: the connection, HTTP, the response's own status, its signature, its age (5 minutes are allowed).
[[nodiscard]] LoadResult<OcspAnswer> ask_responder(const OcspQuestion& question, std::chrono::seconds timeout);

}  // namespace gatehouse::certs
