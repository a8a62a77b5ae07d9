// ssl_ocsp: whether a client's certificate was revoked meanwhile, asked of its issuer's responder behind the handshake.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <openssl/ssl.h>

#include "certs/ocsp.hpp"
#include "certs/session_cache.hpp"

namespace gatehouse::certs {

/// Which certificates of a client's chain are asked about; the root that ends it never is.
enum class RevocationScope : std::uint8_t { off, leaf, chain };

/// What one server block asks for.
struct RevocationPolicy {
  RevocationScope scope = RevocationScope::off;
  std::string responder{};                  ///< empty: the one that each certificate names
  std::shared_ptr<SessionCache> answers{};  ///< keeps them until their nextUpdate; null: they are not kept
};

/// How a check ended. What isn't `good` refuses the client's requests (nginx's 495).
enum class RevocationVerdict : std::uint8_t { good, revoked, unknown, failed };

/// nginx's words for a verdict, in the error log and in $ssl_client_verify; empty for `good`.
[[nodiscard]] std::string_view text_of(RevocationVerdict verdict) noexcept;

/// One client's check. Made on the connection's thread, run on one that may block, and independent of the SSL meanwhile.
class RevocationCheck {
 public:
  /// Nothing when there is nothing to ask: no policy, no certificate, or one that wasn't verified, which is refused or let through
  /// for that reason.
  [[nodiscard]] static std::optional<RevocationCheck> of(const SSL& ssl);

  struct Result {
    RevocationVerdict verdict = RevocationVerdict::good;
    std::string failure;  ///< for the error log when the verdict is `failed`
  };
  /// Asks for each certificate in turn, at most `timeout` for each, and ends at the first that isn't good. Blocks.
  [[nodiscard]] Result run(std::chrono::seconds timeout) const;

 private:
  RevocationCheck() = default;
  [[nodiscard]] Result ask(const X509& certificate, const X509& issuer, std::chrono::seconds timeout) const;

  RevocationPolicy policy_;
  X509Ptr leaf_;
  ChainPtr sent_;  ///< what came with the leaf; null after a resumption
  StorePtr trusted_;
};

/// Makes the verdict the connection's, where client_verification() finds it.
void note_revocation(SSL& ssl, RevocationVerdict verdict);
/// The verdict that was noted; `good` if none was.
[[nodiscard]] RevocationVerdict noted_revocation(const SSL& ssl) noexcept;

}  // namespace gatehouse::certs
