#include "certs/server_context.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#include "certs/connection_state.hpp"
#include "certs/context_settings.hpp"
#include "certs/error_queue.hpp"
#include "certs/pem.hpp"
#include "certs/sha256.hpp"
#include "certs/stapling.hpp"

namespace gatehouse::certs {
namespace {

/// A verified or refused client certificate is judged after the handshake (client_verification), so that the client is
/// answered in HTTP and the operator's error page can explain.
int accept_every_certificate(int, X509_STORE_CTX*) { return 1; }

constexpr std::uint32_t kMostEarlyData = 16384;  // nginx's

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace

/// The steps from settings to context; each step tells why it failed.
class ServerContextBuilder {
 public:
  ServerContextBuilder(const ServerTlsSettings& settings, SharedTlsState& state)
      : settings_(settings), state_(state), made_(new ServerContext) {}

  LoadResult<std::shared_ptr<const ServerContext>> run() {
    ERR_clear_error();
    made_->context_.reset(SSL_CTX_new(TLS_server_method()));
    if (!made_->context_) return LoadError{with_openssl_errors("SSL_CTX_new() failed")};
    using Step = LoadStatus (ServerContextBuilder::*)();
    for (const Step step : {&ServerContextBuilder::set_basics, &ServerContextBuilder::set_certificates,
                            &ServerContextBuilder::set_key_exchange, &ServerContextBuilder::set_client_verification,
                            &ServerContextBuilder::set_sessions, &ServerContextBuilder::set_stapling,
                            &ServerContextBuilder::set_conf_commands, &ServerContextBuilder::set_identity}) {
      if (auto failure = (this->*step)()) return *std::move(failure);
    }
    ServerCallbacks::install(context());
    return std::shared_ptr<const ServerContext>(std::move(made_));
  }

 private:
  SSL_CTX& context() { return *made_->context_; }

  LoadStatus set_basics() {
    apply_basics(context(), settings_.protocols);
    if (settings_.prefer_server_ciphers) SSL_CTX_set_options(&context(), SSL_OP_CIPHER_SERVER_PREFERENCE);
    if (settings_.early_data) {
      SSL_CTX_set_max_early_data(&context(), kMostEarlyData);
      SSL_CTX_set_options(&context(), SSL_OP_NO_ANTI_REPLAY);  // or tickets would need a session cache
    }
    made_->reject_handshake_ = settings_.reject_handshake;
    made_->buffer_size_ = settings_.buffer_size;
    const auto fragment = std::clamp<ByteCount>(settings_.buffer_size, 512, SSL3_RT_MAX_PLAIN_LENGTH);
    SSL_CTX_set_max_send_fragment(&context(), static_cast<long>(fragment));
    auto alpn = alpn_wire_format(settings_.alpn);
    if (!alpn) return alpn.error();
    made_->alpn_ = *std::move(alpn);
    return apply_ciphers(context(), settings_.ciphers);
  }

  LoadStatus set_certificates() {
    if (settings_.certificates.empty() && !settings_.reject_handshake) {
      return LoadError{"no \"ssl_certificate\" is defined"};
    }
    auto passwords = load_passwords(settings_.password_file);
    if (!passwords) return passwords.error();
    LoadStatus failure;
    for (const CertificatePair& pair : settings_.certificates) {
      X509Ptr leaf;
      failure = add_certificate(context(), pair, *passwords, leaf);
      if (failure) break;
      made_->certificates_.push_back(inspect(*leaf, pair.certificate.path));
      identity_.add(*leaf);
      warn_about(made_->certificates_.back(), pair.key);
    }
    for (std::string& password : *passwords) wipe(password);
    return failure;
  }

  void warn_about(const CertificateInfo& certificate, const PemSource& key) {
    if (certificate.not_after <= std::chrono::system_clock::now()) {
      made_->warnings_.push_back(fmt::format("certificate \"{}\" has expired", certificate.path));
    } else if (certificate.not_before > std::chrono::system_clock::now()) {
      made_->warnings_.push_back(fmt::format("certificate \"{}\" is not valid yet", certificate.path));
    }
    struct stat status{};
    if (key.text.empty() && ::stat(key.path.c_str(), &status) == 0 && (status.st_mode & S_IROTH) != 0) {
      made_->warnings_.push_back(fmt::format("certificate key \"{}\" is readable by everybody", key.path));
    }
  }

  LoadStatus set_key_exchange() {
    if (settings_.ecdh_curves != "auto") {
      if (SSL_CTX_set1_curves_list(&context(), settings_.ecdh_curves.c_str()) != 1) {
        return LoadError{
            with_openssl_errors(fmt::format("SSL_CTX_set1_curves_list(\"{}\") failed", settings_.ecdh_curves))};
      }
      made_->groups_ = settings_.ecdh_curves;
    }
    if (settings_.dhparam_file.empty()) return std::nullopt;
    const auto failed = [this](std::string_view call) {
      return LoadError{with_openssl_errors(fmt::format("{}(\"{}\") failed", call, settings_.dhparam_file))};
    };
    const BioPtr file(BIO_new_file(settings_.dhparam_file.c_str(), "r"));
    if (!file) return failed("BIO_new_file");
    KeyPtr parameters(PEM_read_bio_Parameters(file.get(), nullptr));
    if (!parameters) return failed("PEM_read_bio_DHparams");
    if (SSL_CTX_set0_tmp_dh_pkey(&context(), parameters.get()) != 1) return failed("SSL_CTX_set0_tmp_dh_pkey");
    [[maybe_unused]] const EVP_PKEY* owned = parameters.release();  // the context owns it now
    return std::nullopt;
  }

  LoadStatus set_client_verification() {
    made_->verify_client_ = settings_.verify_client;
    policy_.add(static_cast<unsigned char>(settings_.verify_client));
    std::vector<X509Ptr> named;
    std::vector<X509Ptr> unnamed;
    if (is_set(settings_.client_certificate)) {
      if (auto failure = trust(context(), settings_.client_certificate, named)) return failure;
    }
    if (is_set(settings_.trusted_certificate)) {
      if (auto failure = trust(context(), settings_.trusted_certificate, unnamed)) return failure;
    }
    if (is_set(settings_.crl)) {
      if (auto failure = revoke(context(), settings_.crl)) return failure;
    }
    if (settings_.verify_client == VerifyClient::off) return std::nullopt;
    if (named.empty() && unnamed.empty() && settings_.verify_client != VerifyClient::optional_no_ca) {
      return LoadError{"no ssl_client_certificate or ssl_trusted_certificate for ssl_verify_client"};
    }
    SSL_CTX_set_verify(&context(), SSL_VERIFY_PEER, &accept_every_certificate);
    SSL_CTX_set_verify_depth(&context(), settings_.verify_depth);
    for (const X509Ptr& authority : named) SSL_CTX_add_client_CA(&context(), authority.get());

    made_->revocation_.scope = settings_.ocsp;
    made_->revocation_.responder = settings_.ocsp_responder;
    if (settings_.ocsp_cache_size != 0) {
      made_->revocation_.answers = state_.ocsp_cache(settings_.ocsp_cache, settings_.ocsp_cache_size);
    }
    policy_.add(static_cast<unsigned char>(settings_.ocsp));
    policy_.add(std::string_view(settings_.ocsp_responder));
    policy_.add(static_cast<unsigned char>(std::clamp(settings_.verify_depth, 0, 255)));
    for (const auto* authorities : {&named, &unnamed}) {
      policy_.add(static_cast<unsigned char>(authorities == &named ? 'n' : 'u'));
      for (const X509Ptr& authority : *authorities) policy_.add(*authority);
    }
    if (is_set(settings_.crl)) {
      const auto lists = read_pem(settings_.crl, "cannot load revocation list");
      if (!lists) return lists.error();
      policy_.add(std::string_view(*lists));
    }
    return std::nullopt;
  }

  LoadStatus set_sessions() {
    SSL_CTX_set_timeout(&context(), static_cast<long>(settings_.session_timeout.count()));
    // Never OpenSSL's own cache: it is one locked table for all threads and dies with the configuration.
    long mode = SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL | SSL_SESS_CACHE_NO_AUTO_CLEAR;
    const SessionCacheSettings& cache = settings_.session_cache;
    switch (cache.kind) {
      case SessionCacheKind::none: break;
      case SessionCacheKind::off: mode = SSL_SESS_CACHE_OFF; break;
      case SessionCacheKind::builtin:
        made_->session_cache_ = std::make_shared<SessionCache>(cache.builtin_sessions * SessionCache::kTypicalSession);
        break;
      case SessionCacheKind::shared: made_->session_cache_ = state_.session_cache(cache.name, cache.size); break;
    }
    SSL_CTX_set_session_cache_mode(&context(), mode);
    if (!settings_.session_tickets) SSL_CTX_set_options(&context(), SSL_OP_NO_TICKET);
    // Without tickets TLS 1.3 would still send handles into a cache that isn't there.
    if (!settings_.session_tickets && !made_->session_cache_) SSL_CTX_set_num_tickets(&context(), 0);
    if (settings_.ticket_key_files.empty()) {
      made_->ticket_keys_ = state_.ticket_keys();
      return std::nullopt;
    }
    auto keys = TicketKeys::from_files(settings_.ticket_key_files);
    if (!keys) return keys.error();
    made_->ticket_keys_ = *std::move(keys);
    return std::nullopt;
  }

  LoadStatus set_stapling() {
    if (!settings_.stapling) return std::nullopt;
    if (settings_.stapling_file.empty()) {
      fetch_staples();
      return std::nullopt;
    }
    auto staple = StapledResponse::from_file(settings_.stapling_file);
    if (!staple) return staple.error();
    made_->staple_ = std::make_unique<const StapledResponse>(*std::move(staple));
    return std::nullopt;
  }

  // One staple for each certificate that has an issuer here and a responder; for the others a warning, as in nginx.
  void fetch_staples() {
    int certificate = SSL_CTX_set_current_cert(&context(), SSL_CERT_SET_FIRST);
    for (std::size_t i = 0; certificate == 1;
         certificate = SSL_CTX_set_current_cert(&context(), SSL_CERT_SET_NEXT), ++i) {
      const std::string& path = made_->certificates_.at(i).path;
      const auto ignore = [&](std::string_view why) {
        made_->warnings_.push_back(fmt::format("\"ssl_stapling\" ignored, {} \"{}\"", why, path));
      };
      X509* const leaf = SSL_CTX_get0_certificate(&context());
      STACK_OF(X509)* sent = nullptr;
      SSL_CTX_get0_chain_certs(&context(), &sent);
      OcspQuestion question;
      question.issuer = find_issuer(*leaf, sent);
      if (!question.issuer) {
        ignore("issuer certificate not found for certificate");
        continue;
      }
      question.responder = settings_.stapling_responder.empty() ? responder_of(*leaf) : settings_.stapling_responder;
      if (question.responder.empty()) {
        ignore("no OCSP responder URL in the certificate");
        continue;
      }
      if (!question.responder.starts_with("http://")) {
        ignore(fmt::format("invalid URL prefix in OCSP responder \"{}\" in the certificate", question.responder));
        continue;
      }
      question.certificate = reference(*leaf);
      if (sent != nullptr) question.known.reset(X509_chain_up_ref(sent));
      question.trusted = reference(*SSL_CTX_get_cert_store(&context()));
      question.signature = settings_.stapling_verify ? OcspSignature::verified : OcspSignature::taken_on_trust;
      made_->fetched_staples_.push_back(std::make_shared<FetchedStaple>(std::move(question), path));
    }
  }

  X509Ptr find_issuer(X509& leaf, STACK_OF(X509) * sent) {
    for (int i = 0; i < sk_X509_num(sent); ++i) {
      X509* const candidate = sk_X509_value(sent, i);
      if (X509_check_issued(candidate, &leaf) != X509_V_OK) continue;
      return reference(*candidate);
    }
    const StoreContextPtr search(X509_STORE_CTX_new());
    X509* issuer = nullptr;
    if (search && X509_STORE_CTX_init(search.get(), SSL_CTX_get_cert_store(&context()), nullptr, nullptr) == 1) {
      X509_STORE_CTX_get1_issuer(&issuer, search.get(), &leaf);
    }
    ERR_clear_error();
    return X509Ptr(issuer);
  }

  LoadStatus set_conf_commands() {
    if (auto failure = apply_conf_commands(context(), settings_.conf_commands, SSL_CONF_FLAG_SERVER)) return failure;
    for (const ConfCommand& command : settings_.conf_commands) {
      // Remembered, because a connection that switches to this context has to be told.
      if (equal_ignoring_case(command.name, "Groups") || equal_ignoring_case(command.name, "Curves")) {
        made_->groups_ = command.value;
      }
    }
    return std::nullopt;
  }

  LoadStatus set_identity() {
    made_->client_policy_ = policy_.finish();
    identity_.add(std::string_view("gatehouse"));
    identity_.add(
        std::string_view(reinterpret_cast<const char*>(made_->client_policy_.data()), made_->client_policy_.size()));
    made_->session_id_context_ = identity_.finish();
    if (SSL_CTX_set_session_id_context(&context(), made_->session_id_context_.data(),
                                       made_->session_id_context_.size()) == 1) {
      return std::nullopt;
    }
    return LoadError{with_openssl_errors("SSL_CTX_set_session_id_context() failed")};
  }

  const ServerTlsSettings& settings_;
  SharedTlsState& state_;
  std::unique_ptr<ServerContext> made_;
  Sha256 identity_;
  Sha256 policy_;
};

ServerContext::ServerContext() = default;
ServerContext::~ServerContext() = default;

LoadResult<std::shared_ptr<const ServerContext>> ServerContext::build(const ServerTlsSettings& settings,
                                                                      SharedTlsState& state) {
  return ServerContextBuilder(settings, state).run();
}

bool ServerContext::accepts_clients_of(const ServerContext& other) const noexcept {
  return verify_client_ == VerifyClient::off || client_policy_ == other.client_policy_;
}

}  // namespace gatehouse::certs
