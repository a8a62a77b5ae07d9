// One TLS connection from a client: which context it gets by its server name, and what it was told afterwards.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "certs/openssl_types.hpp"
#include "certs/server_context.hpp"

namespace gatehouse::certs {

/// Finds the server for a name from the ClientHello. Implemented by the configuration, immutable, called by any event
/// thread.
class SniSelector {
 public:
  virtual ~SniSelector() = default;

  /// `name`: lower case, without the trailing dot, free of controls, blanks and slashes; empty if the client sent none.
  /// Null refuses the handshake with `unrecognized_name`, as a context with `ssl_reject_handshake` does.
  [[nodiscard]] virtual std::shared_ptr<const ServerContext> select(std::string_view name) const = 0;
};

/// A new server-side SSL in accept state, without BIO or descriptor. It keeps `initial` (the listener's default server)
/// and `selector` alive until it is freed, so a reload never pulls them away. `selector` may be null: `initial` serves
/// every name. The choice is made in the ClientHello callback, before a session is looked up, so that a session of one
/// server can't be resumed under the client certificate policy of another (CVE-2025-23419). Null only if memory is
/// exhausted.
[[nodiscard]] SslPtr new_server_connection(std::shared_ptr<const ServerContext> initial,
                                           std::shared_ptr<const SniSelector> selector);

/// The context the connection runs under; the initial one before the ClientHello was read. Lives as long as `ssl`.
[[nodiscard]] const ServerContext& selected_context(const SSL& ssl);

/// The name of the ClientHello as SniSelector got it; empty if none. Lives as long as `ssl`.
[[nodiscard]] std::string_view server_name(const SSL& ssl);

/// Whether the client's certificate satisfies the selected server (after the handshake).
enum class ClientVerdict : std::uint8_t {
  accepted,         ///< verified, or nothing was asked
  refused,          ///< a certificate that fails verification: 400 (nginx's 495)
  required_absent,  ///< none although `ssl_verify_client on`: 400 (nginx's 496)
};
struct ClientVerification {
  ClientVerdict verdict = ClientVerdict::accepted;
  std::string text;  ///< for the error log, nginx's wording; empty if accepted
};

/// Judges under `required`, the server that the request is for: usually selected_context(), or one with
/// same_client_policy().
[[nodiscard]] ClientVerification client_verification(const SSL& ssl, const ServerContext& required);

/// Forgets the connection's session, as after a refused client certificate.
void forget_session(SSL& ssl);

}  // namespace gatehouse::certs
