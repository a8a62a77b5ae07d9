#include "certs/client_revocation.hpp"

#include <array>

#include <openssl/err.h>

#include "certs/connection_state.hpp"
#include "certs/error_queue.hpp"

namespace gatehouse::certs {
namespace {

// From the leaf to its root; null when none leads there. A resumed session has the leaf alone, so the chain is found anew.
ChainPtr chain_of(X509* leaf, STACK_OF(X509) * sent, X509_STORE* trusted) {
  const StoreContextPtr context(X509_STORE_CTX_new());
  if (!context || X509_STORE_CTX_init(context.get(), trusted, leaf, sent) != 1) return nullptr;
  X509_STORE_CTX_set_purpose(context.get(), X509_PURPOSE_SSL_CLIENT);
  if (X509_verify_cert(context.get()) != 1) return nullptr;
  return ChainPtr(X509_STORE_CTX_get1_chain(context.get()));
}

std::optional<RevocationVerdict> remembered(SessionCache& answers, std::string_view key) {
  const auto known = answers.find(key, std::chrono::system_clock::now());
  if (!known || known->size() != 1) return std::nullopt;
  return static_cast<RevocationVerdict>(known->front());
}

}  // namespace

std::string_view text_of(RevocationVerdict verdict) noexcept {
  switch (verdict) {
    case RevocationVerdict::good: break;
    case RevocationVerdict::revoked: return "certificate revoked";
    case RevocationVerdict::unknown: return "certificate status unknown";
    case RevocationVerdict::failed: return "certificate status request failed";
  }
  return {};
}

std::optional<RevocationCheck> RevocationCheck::of(const SSL& ssl) {
  const ConnectionState* state = ConnectionState::of(ssl);
  if (state == nullptr) return std::nullopt;
  const ServerContext& server = *state->selected;
  if (server.revocation().scope == RevocationScope::off || server.verify_client() == VerifyClient::off)
    return std::nullopt;
  X509* const leaf = SSL_get0_peer_certificate(&ssl);
  if (leaf == nullptr || SSL_get_verify_result(&ssl) != X509_V_OK) return std::nullopt;
  RevocationCheck check;
  check.policy_ = server.revocation();
  check.leaf_ = reference(*leaf);
  if (STACK_OF(X509)* const sent = SSL_get_peer_cert_chain(&ssl)) check.sent_.reset(X509_chain_up_ref(sent));
  check.trusted_ = reference(*SSL_CTX_get_cert_store(server.native()));
  return check;
}

RevocationCheck::Result RevocationCheck::run(std::chrono::seconds timeout) const {
  ERR_clear_error();
  const ChainPtr chain = chain_of(leaf_.get(), sent_.get(), trusted_.get());
  const int length = chain ? sk_X509_num(chain.get()) : 0;
  if (length < 2) {
    // A root of ours may be a client itself: nobody but itself could revoke it.
    if (length == 1) return {};
    return {RevocationVerdict::failed, with_openssl_errors("no chain leads from the client's certificate to a root")};
  }
  const int last = policy_.scope == RevocationScope::leaf ? 1 : length - 1;
  for (int i = 0; i < last; ++i) {
    Result result = ask(*sk_X509_value(chain.get(), i), *sk_X509_value(chain.get(), i + 1), timeout);
    if (result.verdict != RevocationVerdict::good) return result;
  }
  return {};
}

RevocationCheck::Result RevocationCheck::ask(const X509& certificate, const X509& issuer,
                                             std::chrono::seconds timeout) const {
  const std::string key = policy_.answers ? ocsp_key(certificate, issuer) : std::string();
  if (policy_.answers) {
    if (const auto verdict = remembered(*policy_.answers, key)) return {*verdict, {}};
  }
  OcspQuestion question;
  question.certificate = reference(const_cast<X509&>(certificate));  // counts its references, nothing else changes
  question.issuer = reference(const_cast<X509&>(issuer));
  question.responder = policy_.responder.empty() ? responder_of(certificate) : policy_.responder;
  if (question.responder.empty()) return {RevocationVerdict::failed, "no OCSP responder URL in certificate"};
  if (sent_) question.known.reset(X509_chain_up_ref(sent_.get()));
  question.trusted = reference(*trusted_);
  const auto answer = ask_responder(question, timeout);
  if (!answer) return {RevocationVerdict::failed, answer.error().text};
  Result result;
  if (answer->status == CertificateStatus::revoked) result.verdict = RevocationVerdict::revoked;
  if (answer->status == CertificateStatus::unknown) result.verdict = RevocationVerdict::unknown;
  // Without a nextUpdate there is newer information at any time (RFC 6960 section 4.2.2.1).
  if (policy_.answers && answer->next_update) {
    const std::array<unsigned char, 1> value{static_cast<unsigned char>(result.verdict)};
    policy_.answers->store(key, value, *answer->next_update);
  }
  return result;
}

void note_revocation(SSL& ssl, RevocationVerdict verdict) {
  if (ConnectionState* state = ConnectionState::of(ssl)) state->revocation = verdict;
}

RevocationVerdict noted_revocation(const SSL& ssl) noexcept {
  const ConnectionState* state = ConnectionState::of(ssl);
  return state != nullptr ? state->revocation : RevocationVerdict::good;
}

}  // namespace gatehouse::certs
