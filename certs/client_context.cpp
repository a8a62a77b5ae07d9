#include "certs/client_context.hpp"

#include <algorithm>
#include <utility>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "certs/context_settings.hpp"
#include "certs/error_queue.hpp"
#include "certs/pem.hpp"
#include "certs/sha256.hpp"

namespace gatehouse::certs {
namespace {

/// What a client-side SSL carries with it; owned by the SSL.
struct UpstreamState {
  ClientSessionCache* sessions = nullptr;
  std::string session_key;
  std::string name;
};

void free_state(void*, void* state, CRYPTO_EX_DATA*, int, long, void*) { delete static_cast<UpstreamState*>(state); }

int state_slot() {
  static const int slot = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, &free_state);
  return slot;
}

const UpstreamState* state_of(const SSL& ssl) {
  return static_cast<const UpstreamState*>(SSL_get_ex_data(&ssl, state_slot()));
}

int keep_session(SSL* ssl, SSL_SESSION* session) {
  const UpstreamState* state = state_of(*ssl);
  if (state == nullptr || state->sessions == nullptr) return 0;
  state->sessions->store(state->session_key, SessionPtr(session));
  return 1;  // the reference is the cache's now
}

/// `proxy_ssl_name` without port, brackets and the root's dot: "[::1]:8443" -> "::1", "a.example:443" -> "a.example".
std::string_view bare_name(std::string_view name) {
  if (!name.empty() && name.front() == '[') {
    const auto end = name.find(']');
    return end == name.npos ? std::string_view() : name.substr(1, end - 1);
  }
  const auto colon = name.find(':');
  if (colon != name.npos && name.find(':', colon + 1) == name.npos) name = name.substr(0, colon);
  if (!name.empty() && name.back() == '.') name.remove_suffix(1);
  return name;
}

bool is_usable(std::string_view name) {
  return name.size() <= 255 &&
         std::all_of(name.begin(), name.end(), [](char c) { return c > 0x20 && c < 0x7f && c != '/'; });
}

bool is_address(const std::string& name) {
  in6_addr scratch{};
  return inet_pton(AF_INET, name.c_str(), &scratch) == 1 || inet_pton(AF_INET6, name.c_str(), &scratch) == 1;
}

}  // namespace

class ClientContextBuilder {
 public:
  explicit ClientContextBuilder(const ClientTlsSettings& settings) : settings_(settings), made_(new ClientContext) {}

  LoadResult<std::shared_ptr<const ClientContext>> run() {
    ERR_clear_error();
    made_->context_.reset(SSL_CTX_new(TLS_client_method()));
    if (!made_->context_) return LoadError{with_openssl_errors("SSL_CTX_new() failed")};
    using Step = LoadStatus (ClientContextBuilder::*)();
    for (const Step step : {&ClientContextBuilder::set_basics, &ClientContextBuilder::set_certificate,
                            &ClientContextBuilder::set_verification, &ClientContextBuilder::set_sessions}) {
      if (auto failure = (this->*step)()) return *std::move(failure);
    }
    return std::shared_ptr<const ClientContext>(std::move(made_));
  }

 private:
  SSL_CTX& context() { return *made_->context_; }

  LoadStatus set_basics() {
    made_->send_server_name_ = settings_.send_server_name;
    apply_basics(context(), settings_.protocols);
    identity_.add(static_cast<unsigned char>(settings_.protocols));
    identity_.add(std::string_view(settings_.ciphers));
    if (auto failure = apply_ciphers(context(), settings_.ciphers)) return failure;
    const auto alpn = alpn_wire_format(settings_.alpn);
    if (!alpn) return alpn.error();
    identity_.add(std::string_view(reinterpret_cast<const char*>(alpn->data()), alpn->size()));
    // Zero is success here, unlike everywhere else in OpenSSL.
    if (!alpn->empty() && SSL_CTX_set_alpn_protos(&context(), alpn->data(), static_cast<unsigned>(alpn->size())) != 0) {
      return LoadError{with_openssl_errors("SSL_CTX_set_alpn_protos() failed")};
    }
    return std::nullopt;
  }

  LoadStatus set_certificate() {
    if (!settings_.certificate) return std::nullopt;
    auto passwords = load_passwords(settings_.password_file);
    if (!passwords) return passwords.error();
    X509Ptr leaf;
    auto failure = add_certificate(context(), *settings_.certificate, *passwords, leaf);
    for (std::string& password : *passwords) wipe(password);
    if (!failure) identity_.add(*leaf);
    return failure;
  }

  LoadStatus set_verification() {
    made_->verify_ = settings_.verify;
    identity_.add(static_cast<unsigned char>(settings_.verify ? 1 : 0));
    if (!settings_.verify) {
      SSL_CTX_set_verify(&context(), SSL_VERIFY_NONE, nullptr);
      return std::nullopt;
    }
    if (!is_set(settings_.trusted_certificate)) {
      return LoadError{"no proxy_ssl_trusted_certificate for proxy_ssl_verify"};
    }
    std::vector<X509Ptr> authorities;
    if (auto failure = trust(context(), settings_.trusted_certificate, authorities)) return failure;
    for (const X509Ptr& authority : authorities) identity_.add(*authority);
    if (is_set(settings_.crl)) {
      if (auto failure = revoke(context(), settings_.crl)) return failure;
      const auto lists = read_pem(settings_.crl, "cannot load revocation list");
      if (!lists) return lists.error();
      identity_.add(std::string_view(*lists));
    }
    identity_.add(static_cast<unsigned char>(std::clamp(settings_.verify_depth, 0, 255)));
    // A wrong certificate ends the handshake: nothing of the request is sent, and the origin's log tells why.
    SSL_CTX_set_verify(&context(), SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_verify_depth(&context(), settings_.verify_depth);
    return std::nullopt;
  }

  LoadStatus set_sessions() {
    if (auto failure = apply_conf_commands(context(), settings_.conf_commands, SSL_CONF_FLAG_CLIENT)) return failure;
    for (const ConfCommand& command : settings_.conf_commands) {
      identity_.add(std::string_view(command.name));
      identity_.add(std::string_view(command.value));
    }
    const auto digest = identity_.finish();
    made_->fingerprint_.assign(digest.begin(), digest.end());
    made_->session_reuse_ = settings_.session_reuse;
    SSL_CTX_set_session_cache_mode(
        &context(), settings_.session_reuse ? SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL : SSL_SESS_CACHE_OFF);
    if (settings_.session_reuse) SSL_CTX_sess_set_new_cb(&context(), &keep_session);
    return std::nullopt;
  }

  const ClientTlsSettings& settings_;
  std::unique_ptr<ClientContext> made_;
  Sha256 identity_;
};

ClientContext::ClientContext() = default;
ClientContext::~ClientContext() = default;

LoadResult<std::shared_ptr<const ClientContext>> ClientContext::build(const ClientTlsSettings& settings) {
  return ClientContextBuilder(settings).run();
}

SslPtr ClientContext::new_connection(std::string_view name, std::string_view peer, ClientSessionCache* sessions) const {
  auto state = std::make_unique<UpstreamState>();
  state->name = bare_name(name);
  if (!is_usable(state->name) || (verify_ && state->name.empty())) return nullptr;
  SslPtr ssl(SSL_new(context_.get()));
  if (!ssl) return nullptr;

  const bool address = is_address(state->name);
  // An address never goes into SNI (RFC 6066 section 3).
  if (send_server_name_ && !address && !state->name.empty() &&
      SSL_set_tlsext_host_name(ssl.get(), state->name.c_str()) != 1) {
    return nullptr;
  }
  if (verify_) {
    X509_VERIFY_PARAM* param = SSL_get0_param(ssl.get());
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    const int set = address ? X509_VERIFY_PARAM_set1_ip_asc(param, state->name.c_str())
                            : X509_VERIFY_PARAM_set1_host(param, state->name.data(), state->name.size());
    if (set != 1) return nullptr;
  }
  if (session_reuse_ && sessions != nullptr) {
    state->sessions = sessions;
    // A blank can be in neither name nor address, so two different pairs never make one key.
    state->session_key = fmt::format("{}{} {}", fingerprint_, peer, state->name);
    if (SSL_SESSION* session = sessions->find(state->session_key)) {
      if (SSL_set_session(ssl.get(), session) != 1) return nullptr;
    }
  }
  if (SSL_set_ex_data(ssl.get(), state_slot(), state.get()) != 1) return nullptr;
  [[maybe_unused]] const UpstreamState* owned = state.release();  // free_state() deletes it
  SSL_set_connect_state(ssl.get());
  return ssl;
}

std::string upstream_verification_failure(const SSL& ssl) {
  if ((SSL_get_verify_mode(&ssl) & SSL_VERIFY_PEER) == 0) return {};
  const long code = SSL_get_verify_result(&ssl);
  if (code == X509_V_OK) return {};
  if (code == X509_V_ERR_HOSTNAME_MISMATCH || code == X509_V_ERR_IP_ADDRESS_MISMATCH) {
    const UpstreamState* state = state_of(ssl);
    return fmt::format("upstream SSL certificate does not match \"{}\"", state != nullptr ? state->name : "");
  }
  return fmt::format("upstream SSL certificate verify error: ({}:{})", code, X509_verify_cert_error_string(code));
}

}  // namespace gatehouse::certs
