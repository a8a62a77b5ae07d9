#include "certs/connection_state.hpp"

#include <algorithm>
#include <optional>
#include <string_view>

#include <openssl/crypto.h>
#include <openssl/err.h>

#include "certs/stapling.hpp"

namespace gatehouse::certs {
namespace {

/// OpenSSL's own choice, spelled out for connections that leave a context with configured curves.
constexpr const char* kDefaultGroups = "X25519:P-256:X448:P-521:P-384";
constexpr std::size_t kMaxHostName = 255;

void free_state(void*, void* state, CRYPTO_EX_DATA*, int, long, void*) { delete static_cast<ConnectionState*>(state); }

/// OpenSSL numbers its ex_data slots per process; the number is taken once.
int state_slot() {
  static const int slot = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, &free_state);
  return slot;
}

enum class NameStatus : std::uint8_t { ok, malformed_extension, unusable_name };

/// Reads the host name of RFC 6066 section 3 (exactly one entry, type host_name) in the form SniSelector wants it.
NameStatus read_server_name(SSL* ssl, std::string& name) {
  name.clear();
  const unsigned char* bytes = nullptr;
  std::size_t size = 0;
  if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &bytes, &size) != 1) return NameStatus::ok;
  const auto number_at = [bytes](std::size_t at) { return std::size_t{bytes[at]} << 8 | bytes[at + 1]; };
  if (size < 5 || number_at(0) != size - 2) return NameStatus::malformed_extension;
  if (bytes[2] != TLSEXT_NAMETYPE_host_name || number_at(3) != size - 5) return NameStatus::malformed_extension;
  std::string_view raw(reinterpret_cast<const char*>(bytes) + 5, size - 5);
  if (raw.empty()) return NameStatus::malformed_extension;
  if (raw.size() > kMaxHostName) return NameStatus::unusable_name;
  if (raw.back() == '.') raw.remove_suffix(1);
  if (raw.empty() || raw.front() == '.' || raw.find("..") != raw.npos) return NameStatus::unusable_name;
  name.reserve(raw.size());
  for (const char c : raw) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte >= 0x7f || byte == '/' || byte == '\\') return NameStatus::unusable_name;
    name += static_cast<char>(byte >= 'A' && byte <= 'Z' ? byte + ('a' - 'A') : byte);
  }
  return NameStatus::ok;
}

std::string_view as_text(const unsigned char* bytes, unsigned int size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

}  // namespace

ConnectionState* ConnectionState::of(const SSL& ssl) noexcept {
  return static_cast<ConnectionState*>(SSL_get_ex_data(&ssl, state_slot()));
}

bool ConnectionState::attach(SSL& ssl, std::unique_ptr<ConnectionState> state) {
  if (SSL_set_ex_data(&ssl, state_slot(), state.get()) != 1) return false;
  [[maybe_unused]] const ConnectionState* owned = state.release();  // free_state() deletes it
  return true;
}

void ServerCallbacks::install(SSL_CTX& context) {
  SSL_CTX_set_client_hello_cb(&context, &on_client_hello, nullptr);
  SSL_CTX_set_tlsext_servername_callback(&context, &on_server_name);
  SSL_CTX_set_alpn_select_cb(&context, &on_alpn, nullptr);
  SSL_CTX_set_tlsext_ticket_key_evp_cb(&context, &on_ticket);
  SSL_CTX_sess_set_new_cb(&context, &on_new_session);
  SSL_CTX_sess_set_get_cb(&context, &on_find_session);
  SSL_CTX_set_tlsext_status_cb(&context, &on_status_request);
}

bool ServerCallbacks::switch_context(SSL& ssl, const ServerContext& to) {
  SSL_CTX* context = to.native();
  const bool configured_groups = !ConnectionState::of(ssl)->selected->groups_.empty();
  if (SSL_set_SSL_CTX(&ssl, context) != context) return false;
  // SSL_set_SSL_CTX() takes over the certificates and little else; an SSL copied the rest from its first context at its
  // birth.
  SSL_set_verify(&ssl, SSL_CTX_get_verify_mode(context), SSL_CTX_get_verify_callback(context));
  SSL_set_verify_depth(&ssl, SSL_CTX_get_verify_depth(context));
  SSL_clear_options(&ssl, SSL_get_options(&ssl) & ~SSL_CTX_get_options(context));
  SSL_set_options(&ssl, SSL_CTX_get_options(context));
  if (SSL_set_min_proto_version(&ssl, SSL_CTX_get_min_proto_version(context)) != 1) return false;
  if (SSL_set_max_proto_version(&ssl, SSL_CTX_get_max_proto_version(context)) != 1) return false;
  if (SSL_set_max_early_data(&ssl, SSL_CTX_get_max_early_data(context)) != 1) return false;
  if (SSL_set_num_tickets(&ssl, SSL_CTX_get_num_tickets(context)) != 1) return false;
  if (SSL_set_max_send_fragment(
          &ssl, static_cast<long>(std::clamp<ByteCount>(to.buffer_size_, 512, SSL3_RT_MAX_PLAIN_LENGTH))) != 1) {
    return false;
  }
  if (!to.groups_.empty() || configured_groups) {
    const char* groups = to.groups_.empty() ? kDefaultGroups : to.groups_.c_str();
    if (SSL_set1_groups_list(&ssl, groups) != 1) return false;
  }
  return SSL_set_session_id_context(&ssl, to.session_id_context_.data(), to.session_id_context_.size()) == 1;
}

int ServerCallbacks::on_client_hello(SSL* ssl, int* alert, void*) {
  const auto refuse = [alert](int description) {
    *alert = description;
    return SSL_CLIENT_HELLO_ERROR;
  };
  ConnectionState* state = ConnectionState::of(*ssl);
  if (state == nullptr) return refuse(SSL_AD_INTERNAL_ERROR);
  std::string name;
  switch (read_server_name(ssl, name)) {
    case NameStatus::ok: break;
    case NameStatus::malformed_extension: return refuse(SSL_AD_DECODE_ERROR);
    case NameStatus::unusable_name: return refuse(SSL_AD_UNRECOGNIZED_NAME);
  }
  if (state->hello_seen) {
    // The second hello after a HelloRetryRequest; changing the name between the two would part the choice from what is
    // logged.
    return name == state->server_name ? SSL_CLIENT_HELLO_SUCCESS : refuse(SSL_AD_ILLEGAL_PARAMETER);
  }
  state->hello_seen = true;
  state->server_name = std::move(name);
  auto choice = state->selector ? state->selector->select(state->server_name) : state->selected;
  if (!choice || choice->rejects_handshake()) return refuse(SSL_AD_UNRECOGNIZED_NAME);
  if (choice != state->selected) {
    if (!switch_context(*ssl, *choice)) return refuse(SSL_AD_INTERNAL_ERROR);
    state->selected = std::move(choice);
  }
  return SSL_CLIENT_HELLO_SUCCESS;
}

int ServerCallbacks::on_server_name(SSL* ssl, int*, void*) {
  // The choice is made; this only acknowledges the name to the client.
  const ConnectionState* state = ConnectionState::of(*ssl);
  return state == nullptr || state->server_name.empty() ? SSL_TLSEXT_ERR_NOACK : SSL_TLSEXT_ERR_OK;
}

int ServerCallbacks::on_alpn(SSL* ssl, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                             unsigned int in_size, void*) {
  const ConnectionState* state = ConnectionState::of(*ssl);
  if (state == nullptr) return SSL_TLSEXT_ERR_ALERT_FATAL;
  const std::vector<unsigned char>& ours = state->selected->alpn_;
  if (ours.empty()) return SSL_TLSEXT_ERR_NOACK;
  unsigned char* chosen = nullptr;
  const int found =
      SSL_select_next_proto(&chosen, out_size, ours.data(), static_cast<unsigned int>(ours.size()), in, in_size);
  // No common protocol ends the handshake (RFC 7301 section 3.2): otherwise another protocol's bytes could be sent to
  // us.
  if (found != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

int ServerCallbacks::on_ticket(SSL* ssl, unsigned char* key_name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                               EVP_MAC_CTX* mac, int encrypt) {
  const ConnectionState* state = ConnectionState::of(*ssl);
  if (state == nullptr) return -1;
  const int result = state->selected->ticket_keys_->prepare(key_name, iv, cipher, mac, encrypt);
  // TLS 1.3 clients use a ticket once (RFC 8446 appendix C.4), so each resumption brings a new one.
  return result == 1 && encrypt == 0 && SSL_version(ssl) == TLS1_3_VERSION ? 2 : result;
}

int ServerCallbacks::on_new_session(SSL* ssl, SSL_SESSION* session) {
  const ConnectionState* state = ConnectionState::of(*ssl);
  if (state == nullptr || !state->selected->session_cache_) return 0;
  // With stateless tickets a TLS 1.3 session lives in the ticket; OpenSSL only tells us about it.
  if (SSL_version(ssl) == TLS1_3_VERSION && (SSL_get_options(ssl) & SSL_OP_NO_TICKET) == 0) return 0;
  unsigned int id_size = 0;
  const unsigned char* id = SSL_SESSION_get_id(session, &id_size);
  const int size = i2d_SSL_SESSION(session, nullptr);
  if (id_size == 0 || size <= 0 || static_cast<std::size_t>(size) > SessionCache::kMaxSession) return 0;
  std::vector<unsigned char> bytes(static_cast<std::size_t>(size));
  unsigned char* end = bytes.data();
  if (i2d_SSL_SESSION(session, &end) == size) {
    const auto expires = std::chrono::system_clock::from_time_t(SSL_SESSION_get_time(session)) +
                         std::chrono::seconds(SSL_SESSION_get_timeout(session));
    state->selected->session_cache_->store(as_text(id, id_size), bytes, expires);
  }
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return 0;  // we keep no reference
}

void ServerCallbacks::forget(SSL& ssl) {
  const ConnectionState* state = ConnectionState::of(ssl);
  const SSL_SESSION* session = SSL_get0_session(&ssl);
  if (state == nullptr || session == nullptr || !state->selected->session_cache_) return;
  unsigned int size = 0;
  const unsigned char* id = SSL_SESSION_get_id(session, &size);
  state->selected->session_cache_->remove(as_text(id, size));
}

SSL_SESSION* ServerCallbacks::on_find_session(SSL* ssl, const unsigned char* id, int size, int* copy) {
  *copy = 0;  // OpenSSL gets the only reference
  const ConnectionState* state = ConnectionState::of(*ssl);
  if (state == nullptr || !state->selected->session_cache_ || size <= 0) return nullptr;
  auto bytes = state->selected->session_cache_->find(as_text(id, static_cast<unsigned int>(size)),
                                                     std::chrono::system_clock::now());
  if (!bytes) return nullptr;
  const unsigned char* start = bytes->data();
  SSL_SESSION* session = d2i_SSL_SESSION(nullptr, &start, static_cast<long>(bytes->size()));
  OPENSSL_cleanse(bytes->data(), bytes->size());
  return session;
}

int ServerCallbacks::on_status_request(SSL* ssl, void*) {
  const ConnectionState* state = ConnectionState::of(*ssl);
  const X509* certificate = SSL_get_certificate(ssl);
  if (state == nullptr || certificate == nullptr) return SSL_TLSEXT_ERR_NOACK;
  const auto now = std::chrono::system_clock::now();
  const ServerContext& server = *state->selected;
  std::shared_ptr<const StapledResponse> fetched;  // keeps what `der` points into
  const std::vector<unsigned char>* der = server.staple_ ? server.staple_->for_certificate(*certificate, now) : nullptr;
  for (const auto& one : server.fetched_staples_) {
    if (der != nullptr) break;
    fetched = one->current();
    if (fetched) der = fetched->for_certificate(*certificate, now);
  }
  if (der == nullptr) return SSL_TLSEXT_ERR_NOACK;
  auto* copy = static_cast<unsigned char*>(OPENSSL_memdup(der->data(), der->size()));
  if (copy == nullptr) return SSL_TLSEXT_ERR_NOACK;
  SSL_set_tlsext_status_ocsp_resp(ssl, copy, static_cast<long>(der->size()));  // owned by the SSL now
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace gatehouse::certs
