#include "certs/server_connection.hpp"

#include <array>
#include <cassert>

#include <fmt/format.h>

#include "certs/connection_state.hpp"

namespace gatehouse::certs {
namespace {

/// Failures that `optional_no_ca` lets pass: the chain doesn't end at an authority of ours.
bool is_optional_failure(long code) {
  switch (code) {
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_UNTRUSTED: return true;
    default: return false;
  }
}

}  // namespace

SslPtr new_server_connection(std::shared_ptr<const ServerContext> initial,
                             std::shared_ptr<const SniSelector> selector) {
  SslPtr ssl(SSL_new(initial->native()));
  if (!ssl) return nullptr;
  auto state = std::make_unique<ConnectionState>();
  state->selected = std::move(initial);
  state->selector = std::move(selector);
  if (!ConnectionState::attach(*ssl, std::move(state))) return nullptr;
  SSL_set_accept_state(ssl.get());
  return ssl;
}

const ServerContext& selected_context(const SSL& ssl) {
  const ConnectionState* state = ConnectionState::of(ssl);
  assert(state != nullptr && "made by new_server_connection()");
  return *state->selected;
}

std::string_view server_name(const SSL& ssl) {
  const ConnectionState* state = ConnectionState::of(ssl);
  return state != nullptr ? std::string_view(state->server_name) : std::string_view();
}

ClientVerification client_verification(const SSL& ssl, const ServerContext& required) {
  if (required.verify_client() == VerifyClient::off) return {};
  const long code = SSL_get_verify_result(&ssl);
  const bool tolerated = required.verify_client() == VerifyClient::optional_no_ca && is_optional_failure(code);
  if (code != X509_V_OK && !tolerated) {
    return {ClientVerdict::refused,
            fmt::format("client SSL certificate verify error: ({}:{})", code, X509_verify_cert_error_string(code))};
  }
  if (required.verify_client() == VerifyClient::on && SSL_get0_peer_certificate(&ssl) == nullptr) {
    return {ClientVerdict::required_absent, "client sent no required SSL certificate"};
  }
  if (const auto text = text_of(noted_revocation(ssl)); !text.empty()) {
    return {ClientVerdict::refused, fmt::format("client SSL certificate verify error: {}", text)};
  }
  return {};
}

void forget_session(SSL& ssl) { ServerCallbacks::forget(ssl); }

}  // namespace gatehouse::certs
