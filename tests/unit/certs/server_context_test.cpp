#include "certs/server_context.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/unit/certs/tls_fixture.hpp"

namespace gatehouse::certs::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

class ServerContextTest : public testing::Test {
 protected:
  std::string failure() {
    const auto built = ServerContext::build(settings, state);
    return built ? std::string() : built.error().text;
  }

  TemporaryDirectory directory;
  SharedTlsState state;
  Identity identity = make_identity({});
  ServerTlsSettings settings{.certificates = {identity.pair()}};
};

TEST_F(ServerContextTest, LoadsCertificateAndKeyFromFiles) {
  const auto certificate = directory.write("a.crt", identity.certificate_pem);
  const auto key = directory.write("a.key", identity.key_pem);
  ::chmod(key.c_str(), 0600);
  settings.certificates = {{{certificate, {}}, {key, {}}}};
  const auto context = build(settings, state);
  ASSERT_EQ(context->certificates().size(), 1U);
  EXPECT_EQ(context->certificates()[0].path, certificate);
  EXPECT_EQ(context->certificates()[0].subject, "CN=a.example,O=Test");
  EXPECT_EQ(context->certificates()[0].key_type, "EC");
  EXPECT_THAT(context->certificates()[0].names, ElementsAre("a.example"));
  EXPECT_GT(context->certificates()[0].not_after, std::chrono::system_clock::now() + std::chrono::hours(29 * 24));
  EXPECT_THAT(context->warnings(), IsEmpty());
}

TEST_F(ServerContextTest, NamesTheMissingCertificateFileAsNginxDoes) {
  settings.certificates = {{{"/nowhere/a.crt", {}}, {"/nowhere/a.key", {}}}};
  EXPECT_THAT(failure(),
              StartsWith("cannot load certificate \"/nowhere/a.crt\": BIO_new_file() failed (SSL: error:80000002:"
                         "system library::No such file or directory:calling fopen(/nowhere/a.crt, r)"));
}

TEST_F(ServerContextTest, NamesTheFileThatHoldsNoCertificate) {
  settings.certificates[0].certificate.text = "hello";
  EXPECT_THAT(failure(),
              AllOf(StartsWith("cannot load certificate \"test.crt\": PEM_read_bio_X509_AUX() failed (SSL: error:"),
                    HasSubstr("no start line")));
}

TEST_F(ServerContextTest, RefusesAChainThatBreaksOffInTheMiddle) {
  settings.certificates[0].certificate.text += identity.certificate_pem.substr(0, 200);
  EXPECT_THAT(failure(), StartsWith("cannot load certificate \"test.crt\": PEM_read_bio_X509() failed"));
}

TEST_F(ServerContextTest, RefusesAKeyOfAnotherCertificate) {
  settings.certificates[0].key.text = make_identity({}).key_pem;
  EXPECT_EQ(failure(),
            "SSL_CTX_use_PrivateKey(\"test.key\") failed (SSL: error:05800074:x509 certificate routines::key values "
            "mismatch)");
}

TEST_F(ServerContextTest, RefusesAKeyOfAnotherType) {
  settings.certificates[0].key.text = make_identity({.kind = KeyKind::rsa}).key_pem;
  EXPECT_THAT(failure(),
              AllOf(StartsWith("SSL_CTX_use_PrivateKey(\"test.key\") failed"), HasSubstr("key type mismatch")));
}

TEST_F(ServerContextTest, OpensAnEncryptedKeyWithTheRightPassPhraseOfTheFile) {
  settings.certificates[0].key.text = to_pem(*identity.key, "open sesame");
  EXPECT_THAT(failure(), StartsWith("cannot load certificate key \"test.key\": PEM_read_bio_PrivateKey() failed"));
  settings.password_file = directory.write("passwords", "wrong\nopen sesame\r\n");
  EXPECT_EQ(failure(), "");
}

TEST_F(ServerContextTest, NeedsACertificateUnlessItRejectsEveryHandshake) {
  settings.certificates.clear();
  EXPECT_EQ(failure(), "no \"ssl_certificate\" is defined");
  settings.reject_handshake = true;
  EXPECT_EQ(failure(), "");
}

TEST_F(ServerContextTest, NamesTheSettingThatOpenSslRefuses) {
  settings.ciphers = "NO-SUCH-CIPHER";
  EXPECT_THAT(failure(), StartsWith("SSL_CTX_set_cipher_list(\"NO-SUCH-CIPHER\") failed (SSL: error:"));
  settings.ciphers = "HIGH";
  settings.ecdh_curves = "no-such-curve";
  EXPECT_THAT(failure(), StartsWith("SSL_CTX_set1_curves_list(\"no-such-curve\") failed"));
  settings.ecdh_curves = "X25519:prime256v1";
  settings.conf_commands = {{"NoSuchCommand", "x"}};
  EXPECT_THAT(failure(), StartsWith("SSL_CONF_cmd(\"NoSuchCommand\", \"x\") failed"));
  settings.conf_commands = {{"Ciphersuites", "TLS_AES_128_GCM_SHA256"}};
  EXPECT_EQ(failure(), "");
  settings.dhparam_file = directory.write("dh.pem", "nothing");
  EXPECT_THAT(failure(), StartsWith("PEM_read_bio_DHparams(\"" + directory.path("dh.pem") + "\") failed"));
}

TEST_F(ServerContextTest, RefusesTicketKeysOfAWrongSize) {
  settings.ticket_key_files = {directory.write("ticket.key", std::string(47, 'k'))};
  EXPECT_EQ(failure(), "\"" + directory.path("ticket.key") + "\" must be 48 or 80 bytes");
  settings.ticket_key_files = {directory.write("long.key", std::string(81, 'k'))};
  EXPECT_THAT(failure(), HasSubstr("must be 48 or 80 bytes"));
}

TEST_F(ServerContextTest, NeedsAuthoritiesToVerifyClients) {
  settings.verify_client = VerifyClient::on;
  EXPECT_EQ(failure(), "no ssl_client_certificate or ssl_trusted_certificate for ssl_verify_client");
  settings.verify_client = VerifyClient::optional_no_ca;
  EXPECT_EQ(failure(), "");
}

TEST_F(ServerContextTest, WarnsOfExpiredCertificatesAndOfKeysEverybodyReads) {
  const Identity old = make_identity({.first_day = -9, .last_day = -2});
  const auto key = directory.write("old.key", old.key_pem);
  ::chmod(key.c_str(), 0644);
  settings.certificates = {{{"old.crt", old.certificate_pem}, {key, {}}}};
  EXPECT_THAT(
      build(settings, state)->warnings(),
      ElementsAre("certificate \"old.crt\" has expired", "certificate key \"" + key + "\" is readable by everybody"));
}

TEST_F(ServerContextTest, ClientsArePassedOnOnlyBetweenServersOfOnePolicy) {
  const Identity authority = make_authority("CA");
  const Identity other = make_authority("Other CA");
  const auto open = build(settings, state);
  settings.verify_client = VerifyClient::on;
  settings.client_certificate = authority.source();
  const auto strict = build(settings, state);
  const auto same = build(settings, state);
  settings.client_certificate = other.source();
  const auto another = build(settings, state);
  settings.verify_client = VerifyClient::optional;
  const auto lax = build(settings, state);
  EXPECT_TRUE(strict->accepts_clients_of(*same));
  EXPECT_TRUE(open->accepts_clients_of(*strict));
  EXPECT_FALSE(strict->accepts_clients_of(*open));
  EXPECT_FALSE(strict->accepts_clients_of(*another));
  EXPECT_FALSE(another->accepts_clients_of(*lax));
  EXPECT_EQ(strict->session_id_context(), same->session_id_context());
  EXPECT_NE(strict->session_id_context(), open->session_id_context());
}

}  // namespace
}  // namespace gatehouse::certs::test
