#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>

#include "certs/describe.hpp"
#include "tests/unit/certs/tls_fixture.hpp"

namespace gatehouse::certs::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class ClientCertificateTest : public testing::Test {
 protected:
  void present(const Identity& shown) {
    SSL_CTX_use_certificate(client.get(), shown.certificate.get());
    SSL_CTX_use_PrivateKey(client.get(), shown.key.get());
  }
  Conversation connect(VerifyClient verify) {
    settings.verify_client = verify;
    settings.client_certificate = authority.source();
    context = build(settings, state);
    Conversation talk(plain_client(*client), new_server_connection(context, nullptr));
    EXPECT_TRUE(talk.handshake());
    return talk;
  }

  SharedTlsState state;
  Identity identity = make_identity({});
  Identity authority = make_authority("CA");
  Identity good = make_identity({.common_name = "good client", .alternatives = ""}, &authority);
  Identity stranger = make_identity({.common_name = "stranger", .alternatives = ""});
  ServerTlsSettings settings{.certificates = {identity.pair()}};
  std::shared_ptr<const ServerContext> context;
  SslContextPtr client = plain_client_context();
};

TEST_F(ClientCertificateTest, VerifiedCertificateIsDescribed) {
  present(good);
  auto talk = connect(VerifyClient::on);
  EXPECT_EQ(client_verification(talk.server(), *context).verdict, ClientVerdict::accepted);
  EXPECT_EQ(ssl_client_verify(talk.server()), "SUCCESS");
  EXPECT_EQ(ssl_client_s_dn(talk.server()), "CN=good client,O=Test");
  EXPECT_EQ(ssl_client_i_dn(talk.server()), "CN=CA,O=Test");
  EXPECT_EQ(ssl_client_s_dn_legacy(talk.server()), "/O=Test/CN=good client");
  EXPECT_EQ(ssl_client_i_dn_legacy(talk.server()), "/O=Test/CN=CA");
  EXPECT_EQ(ssl_client_raw_cert(talk.server()), good.certificate_pem);
  EXPECT_THAT(ssl_client_cert(talk.server()), StartsWith("-----BEGIN CERTIFICATE-----\n\tMII"));
  EXPECT_THAT(ssl_client_cert(talk.server()), testing::EndsWith("\n\t-----END CERTIFICATE-----"));
  EXPECT_THAT(ssl_client_escaped_cert(talk.server()), StartsWith("-----BEGIN%20CERTIFICATE-----%0AMII"));
  EXPECT_EQ(ssl_client_fingerprint(talk.server()).size(), 40U);
  EXPECT_EQ(ssl_client_serial(talk.server()), inspect(*good.certificate, "").serial);
  EXPECT_THAT(ssl_client_v_start(talk.server()), HasSubstr(" GMT"));
  EXPECT_THAT(ssl_client_v_end(talk.server()), HasSubstr(" GMT"));
  const auto now = std::chrono::system_clock::now();
  EXPECT_EQ(ssl_client_v_remain(talk.server(), now), "29");
  EXPECT_EQ(ssl_client_v_remain(talk.server(), now + std::chrono::hours(24 * 31)), "0");
}

TEST_F(ClientCertificateTest, MissingCertificateIsRefusedOnlyWhereItIsRequired) {
  auto required = connect(VerifyClient::on);
  const auto refused = client_verification(required.server(), *context);
  EXPECT_EQ(refused.verdict, ClientVerdict::required_absent);
  EXPECT_EQ(refused.text, "client sent no required SSL certificate");
  EXPECT_EQ(ssl_client_verify(required.server()), "NONE");
  EXPECT_EQ(
      ssl_client_s_dn(required.server()) + ssl_client_cert(required.server()) + ssl_client_serial(required.server()),
      "");
  auto optional = connect(VerifyClient::optional);
  EXPECT_EQ(client_verification(optional.server(), *context).verdict, ClientVerdict::accepted);
}

TEST_F(ClientCertificateTest, UnknownCertificateIsRefusedUnlessNoAuthorityIsAskedFor) {
  present(stranger);
  auto optional = connect(VerifyClient::optional);
  const auto refused = client_verification(optional.server(), *context);
  EXPECT_EQ(refused.verdict, ClientVerdict::refused);
  EXPECT_EQ(refused.text, "client SSL certificate verify error: (18:self-signed certificate)");
  EXPECT_EQ(ssl_client_verify(optional.server()), "FAILED:self-signed certificate");
  auto lax = connect(VerifyClient::optional_no_ca);
  EXPECT_EQ(client_verification(lax.server(), *context).verdict, ClientVerdict::accepted);
  EXPECT_EQ(ssl_client_verify(lax.server()), "FAILED:self-signed certificate");
}

TEST_F(ClientCertificateTest, ExpiredCertificateIsRefusedEvenWithoutAuthority) {
  const Identity old =
      make_identity({.common_name = "old", .alternatives = "", .first_day = -9, .last_day = -2}, &authority);
  present(old);
  auto lax = connect(VerifyClient::optional_no_ca);
  EXPECT_EQ(client_verification(lax.server(), *context).text,
            "client SSL certificate verify error: (10:certificate has expired)");
}

TEST_F(ClientCertificateTest, RevokedCertificateIsRefused) {
  const X509CrlPtr list(X509_CRL_new());
  X509_CRL_set_version(list.get(), 1);
  X509_CRL_set_issuer_name(list.get(), X509_get_subject_name(authority.certificate.get()));
  const std::unique_ptr<ASN1_TIME, FreeWith<ASN1_TIME_free>> now(ASN1_TIME_set(nullptr, time(nullptr) - 60));
  const std::unique_ptr<ASN1_TIME, FreeWith<ASN1_TIME_free>> later(ASN1_TIME_set(nullptr, time(nullptr) + 86400));
  X509_CRL_set1_lastUpdate(list.get(), now.get());
  X509_CRL_set1_nextUpdate(list.get(), later.get());
  X509_REVOKED* entry = X509_REVOKED_new();
  X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(good.certificate.get()));
  X509_REVOKED_set_revocationDate(entry, now.get());
  X509_CRL_add0_revoked(list.get(), entry);
  X509_CRL_sign(list.get(), authority.key.get(), EVP_sha256());
  const BioPtr sink(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509_CRL(sink.get(), list.get());
  char* start = nullptr;
  const long size = BIO_get_mem_data(sink.get(), &start);
  settings.crl = {"crl.pem", std::string(start, static_cast<std::size_t>(size))};
  present(good);
  auto revoked = connect(VerifyClient::on);
  EXPECT_EQ(ssl_client_verify(revoked.server()), "FAILED:certificate revoked");
  const Identity another = make_identity({.common_name = "another", .alternatives = ""}, &authority);
  present(another);
  auto fine = connect(VerifyClient::on);
  EXPECT_EQ(ssl_client_verify(fine.server()), "SUCCESS");
}

TEST_F(ClientCertificateTest, ServerReachedByNameAsksThoughTheDefaultOneDoesNot) {
  present(good);
  const auto open = build(settings, state);
  settings.verify_client = VerifyClient::on;
  settings.client_certificate = authority.source();
  auto selector = std::make_shared<MapSelector>();
  selector->otherwise = open;
  selector->servers["b.example"] = build(settings, state);
  Conversation talk(plain_client(*client, "b.example"), new_server_connection(open, selector));
  ASSERT_TRUE(talk.handshake());
  EXPECT_EQ(ssl_client_verify(talk.server()), "SUCCESS");
  const auto* names = SSL_get0_peer_CA_list(&talk.client());
  ASSERT_NE(names, nullptr);
  EXPECT_EQ(sk_X509_NAME_num(names), 1);
}

TEST_F(ClientCertificateTest, ConnectionIsDescribed) {
  auto talk = connect(VerifyClient::off);
  EXPECT_EQ(ssl_protocol(talk.server()), "TLSv1.3");
  EXPECT_EQ(ssl_cipher(talk.server()), "TLS_AES_256_GCM_SHA384");
  EXPECT_THAT(ssl_ciphers(talk.server()), StartsWith("TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:"));
  EXPECT_THAT(ssl_curves(talk.server()), StartsWith("X25519:prime256v1:"));
  EXPECT_EQ(ssl_early_data(talk.server()), "");
  EXPECT_EQ(ssl_alpn_protocol(talk.server()), "");
  EXPECT_EQ(ssl_server_name(talk.server()), "");
  EXPECT_EQ(ssl_session_reused(talk.server()), ".");
  const SslPtr fresh = new_server_connection(context, nullptr);
  EXPECT_EQ(ssl_early_data(*fresh), "1");
  EXPECT_EQ(ssl_cipher(*fresh) + ssl_ciphers(*fresh) + ssl_curve(*fresh) + ssl_curves(*fresh) + ssl_session_id(*fresh),
            "");
}

}  // namespace
}  // namespace gatehouse::certs::test
