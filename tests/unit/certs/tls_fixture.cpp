#include "tests/unit/certs/tls_fixture.hpp"

#include <fstream>
#include <stdexcept>

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "certs/x509_text.hpp"

namespace gatehouse::certs::test {
namespace {

long next_serial = 1000;

void require(bool ok, const char* what) {
  if (!ok) throw std::runtime_error(what);
}

std::string drain(BIO* sink) {
  char* start = nullptr;
  const long size = BIO_get_mem_data(sink, &start);
  return {start, static_cast<std::size_t>(size)};
}

void add_extension(X509* certificate, int nid, const std::string& value) {
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str());
  require(extension != nullptr, "extension");
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

int first_reason() {
  const unsigned long code = ERR_peek_error();
  ERR_clear_error();
  return ERR_GET_REASON(code);
}

/// Whether the operation may go on; notes the reason otherwise.
bool keeps_going(SSL* ssl, int result, int& reason) {
  if (result == 1) return true;
  const int error = SSL_get_error(ssl, result);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return true;
  reason = first_reason();
  if (reason == 0) reason = -1;
  return false;
}

}  // namespace

std::string to_pem(const EVP_PKEY& key, const char* password) {
  const BioPtr sink(BIO_new(BIO_s_mem()));
  PEM_write_bio_PKCS8PrivateKey(sink.get(), &key, password != nullptr ? EVP_aes_256_cbc() : nullptr, nullptr, 0,
                                nullptr, const_cast<char*>(password));
  return drain(sink.get());
}

Identity make_identity(const IdentityOptions& options, const Identity* issuer) {
  Identity made;
  made.key.reset(options.kind == KeyKind::ec ? EVP_EC_gen("P-256") : EVP_RSA_gen(2048));
  made.certificate.reset(X509_new());
  X509* certificate = made.certificate.get();
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++next_serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate), options.first_day * 86400L);
  X509_gmtime_adj(X509_getm_notAfter(certificate), options.last_day * 86400L);
  X509_set_pubkey(certificate, made.key.get());
  X509_NAME* subject = X509_get_subject_name(certificate);
  const auto* name = reinterpret_cast<const unsigned char*>(options.common_name.c_str());
  X509_NAME_add_entry_by_NID(subject, NID_organizationName, MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>("Test"), -1, -1, 0);
  X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8, name, -1, -1, 0);
  X509_set_issuer_name(certificate, issuer != nullptr ? X509_get_subject_name(issuer->certificate.get()) : subject);
  if (options.authority) add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
  if (!options.alternatives.empty()) add_extension(certificate, NID_subject_alt_name, options.alternatives);
  require(X509_sign(certificate, issuer != nullptr ? issuer->key.get() : made.key.get(), EVP_sha256()) > 0, "sign");
  made.certificate_pem = pem_text(*certificate);
  made.key_pem = to_pem(*made.key);
  return made;
}

Identity make_authority(const std::string& name) {
  return make_identity({.common_name = name, .alternatives = "", .last_day = 365, .authority = true});
}

TemporaryDirectory::TemporaryDirectory() {
  std::string pattern = (std::filesystem::temp_directory_path() / "gatehouse-certs-XXXXXX").string();
  require(mkdtemp(pattern.data()) != nullptr, "mkdtemp");
  root_ = pattern;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(root_, ignored);
}

std::string TemporaryDirectory::write(const std::string& name, std::string_view content) const {
  std::ofstream(path(name), std::ios::binary) << content;
  return path(name);
}

std::shared_ptr<const ServerContext> build(const ServerTlsSettings& settings, SharedTlsState& state) {
  auto built = ServerContext::build(settings, state);
  if (!built) throw std::runtime_error(built.error().text);
  return *built;
}

std::shared_ptr<const ClientContext> build(const ClientTlsSettings& settings) {
  auto built = ClientContext::build(settings);
  if (!built) throw std::runtime_error(built.error().text);
  return *built;
}

Conversation::Conversation(SslPtr client, SslPtr server) : client_(std::move(client)), server_(std::move(server)) {
  require(client_ && server_, "no SSL");
  BIO* here = nullptr;
  BIO* there = nullptr;
  require(BIO_new_bio_pair(&here, 1 << 17, &there, 1 << 17) == 1, "BIO pair");
  SSL_set_bio(client_.get(), here, here);
  SSL_set_bio(server_.get(), there, there);
}

bool Conversation::handshake() {
  ERR_clear_error();
  for (int turn = 0; turn < 20; ++turn) {
    // A failed end has written its alert; the other one still has to read it.
    const bool client_on =
        client_reason == 0 && keeps_going(client_.get(), SSL_do_handshake(client_.get()), client_reason);
    const bool server_on =
        server_reason == 0 && keeps_going(server_.get(), SSL_do_handshake(server_.get()), server_reason);
    if (!client_on && !server_on) return false;
    if (client_on && server_on && SSL_is_init_finished(client_.get()) && SSL_is_init_finished(server_.get()))
      return true;
  }
  return false;
}

bool Conversation::exchange() {
  char byte = 'x';
  if (SSL_write(server_.get(), &byte, 1) != 1) return false;
  const int read = SSL_read(client_.get(), &byte, 1);
  if (read != 1) {
    keeps_going(client_.get(), read, client_reason);
    return false;
  }
  return SSL_write(client_.get(), &byte, 1) == 1 && SSL_read(server_.get(), &byte, 1) == 1;
}

void Conversation::shut_down() {
  SSL_shutdown(client_.get());
  SSL_shutdown(server_.get());
  SSL_shutdown(client_.get());
}

SslPtr plain_client(SSL_CTX& context, const std::string& name, SSL_SESSION* session) {
  SslPtr ssl(SSL_new(&context));
  if (!name.empty()) SSL_set_tlsext_host_name(ssl.get(), name.c_str());
  if (session != nullptr) SSL_set_session(ssl.get(), session);
  SSL_set_connect_state(ssl.get());
  return ssl;
}

SslContextPtr plain_client_context(int max_version) {
  SslContextPtr context(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_max_proto_version(context.get(), max_version);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  return context;
}

std::string shown_name(SSL& client) {
  const X509* shown = SSL_get0_peer_certificate(&client);
  return shown != nullptr ? inspect(*shown, "").names.at(0) : "";
}

}  // namespace gatehouse::certs::test
