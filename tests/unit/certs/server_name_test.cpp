#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>

#include "certs/describe.hpp"
#include "tests/unit/certs/tls_fixture.hpp"

namespace gatehouse::certs::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class ServerNameTest : public testing::Test {
 protected:
  ServerNameTest() {
    a = build(a_settings, state);
    b = build(b_settings, state);
    selector->servers = {{"a.example", a}, {"b.example", b}};
    selector->otherwise = a;
  }
  Conversation connect(const std::string& name, SSL_SESSION* session = nullptr) {
    return {plain_client(*client, name, session), new_server_connection(a, selector)};
  }

  SharedTlsState state;
  Identity a_identity = make_identity({});
  Identity b_identity = make_identity({.common_name = "b", .alternatives = "DNS:b.example"});
  ServerTlsSettings a_settings{.certificates = {a_identity.pair()}};
  ServerTlsSettings b_settings{.certificates = {b_identity.pair()}};
  std::shared_ptr<const ServerContext> a;
  std::shared_ptr<const ServerContext> b;
  std::shared_ptr<MapSelector> selector = std::make_shared<MapSelector>();
  SslContextPtr client = plain_client_context();
};

TEST_F(ServerNameTest, ShowsTheCertificateOfTheNamedServer) {
  for (const std::string name : {"a.example", "b.example"}) {
    auto talk = connect(name);
    ASSERT_TRUE(talk.handshake());
    EXPECT_EQ(shown_name(talk.client()), name);
    EXPECT_EQ(ssl_server_name(talk.server()), name);
  }
}

TEST_F(ServerNameTest, NameIsComparedWithoutCaseAndTrailingDot) {
  auto talk = connect("B.Example.");
  ASSERT_TRUE(talk.handshake());
  EXPECT_EQ(shown_name(talk.client()), "b.example");
  EXPECT_EQ(server_name(talk.server()), "b.example");
  EXPECT_EQ(&selected_context(talk.server()), b.get());
}

TEST_F(ServerNameTest, WithoutANameTheDefaultServerAnswers) {
  auto talk = connect("");
  ASSERT_TRUE(talk.handshake());
  EXPECT_EQ(shown_name(talk.client()), "a.example");
  EXPECT_EQ(server_name(talk.server()), "");
}

TEST_F(ServerNameTest, RejectHandshakeSendsUnrecognizedName) {
  selector->otherwise = build({.reject_handshake = true}, state);
  auto talk = connect("c.example");
  EXPECT_FALSE(talk.handshake());
  EXPECT_EQ(talk.client_reason, SSL_R_TLSV1_UNRECOGNIZED_NAME);
}

TEST_F(ServerNameTest, NameThatCanBeNoNameIsRefused) {
  for (const std::string name : {"a b", "a/b", "..", ".a", "a\x01", "caf\xc3\xa9"}) {
    auto talk = connect(name);
    EXPECT_FALSE(talk.handshake()) << name;
    EXPECT_EQ(talk.client_reason, SSL_R_TLSV1_UNRECOGNIZED_NAME) << name;
  }
}

TEST_F(ServerNameTest, VersionsCiphersAndCurvesAreTheChosenServers) {
  b_settings.protocols = Protocols::tls1_2;
  b_settings.ecdh_curves = "P-384";
  b_settings.ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384";
  selector->servers["b.example"] = build(b_settings, state);
  auto talk = connect("b.example");
  ASSERT_TRUE(talk.handshake());
  EXPECT_EQ(ssl_protocol(talk.server()), "TLSv1.2");
  EXPECT_EQ(ssl_curve(talk.server()), "secp384r1");
  EXPECT_EQ(ssl_cipher(talk.server()), "ECDHE-ECDSA-AES256-GCM-SHA384");
}

TEST_F(ServerNameTest, ChosenServerMayAllowMoreThanTheDefaultOne) {
  a_settings.protocols = Protocols::tls1_2;
  a_settings.ecdh_curves = "P-521";
  a = build(a_settings, state);
  auto talk = connect("b.example");
  ASSERT_TRUE(talk.handshake());
  EXPECT_EQ(ssl_protocol(talk.server()), "TLSv1.3");
  EXPECT_EQ(ssl_curve(talk.server()), "X25519");
}

TEST_F(ServerNameTest, ConfCommandsOfTheChosenServerHold) {
  b_settings.conf_commands = {{"Groups", "P-256"}, {"MaxProtocol", "TLSv1.2"}};
  selector->servers["b.example"] = build(b_settings, state);
  auto talk = connect("b.example");
  ASSERT_TRUE(talk.handshake());
  EXPECT_EQ(ssl_protocol(talk.server()), "TLSv1.2");
  EXPECT_EQ(ssl_curve(talk.server()), "prime256v1");
}

TEST_F(ServerNameTest, HelloRetryKeepsTheChoice) {
  b_settings.ecdh_curves = "P-384";
  selector->servers["b.example"] = build(b_settings, state);
  SSL_CTX_set1_groups_list(client.get(), "X25519:P-384");
  auto talk = connect("b.example");
  ASSERT_TRUE(talk.handshake());
  EXPECT_EQ(ssl_protocol(talk.server()), "TLSv1.3");
  EXPECT_EQ(ssl_curve(talk.server()), "secp384r1");
  EXPECT_EQ(ssl_curves(talk.server()), "X25519:secp384r1");
  EXPECT_EQ(server_name(talk.server()), "b.example");
}

TEST_F(ServerNameTest, HelloRetryWithAnotherNameIsRefused) {
  a_settings.ecdh_curves = b_settings.ecdh_curves = "P-384";
  selector->otherwise = selector->servers["a.example"] = build(a_settings, state);
  selector->servers["b.example"] = build(b_settings, state);
  SSL_CTX_set1_groups_list(client.get(), "X25519:P-384");
  auto talk = connect("b.example");
  SSL_do_handshake(&talk.client());
  SSL_do_handshake(&talk.server());  // asks for another hello
  SSL_set_tlsext_host_name(&talk.client(), "a.example");
  EXPECT_FALSE(talk.handshake());
  EXPECT_EQ(talk.client_reason, SSL_R_SSLV3_ALERT_ILLEGAL_PARAMETER);
}

TEST_F(ServerNameTest, BrokenServerNameExtensionIsADecodeError) {
  const SslPtr sender = plain_client(*client, "a.example");
  BIO* sent = BIO_new(BIO_s_mem());
  SSL_set_bio(sender.get(), BIO_new(BIO_s_mem()), sent);
  SSL_do_handshake(sender.get());
  char* start = nullptr;
  const long size = BIO_get_mem_data(sent, &start);
  const std::string hello(start, static_cast<std::size_t>(size));
  const std::size_t name = hello.find("a.example");
  ASSERT_NE(name, std::string::npos);
  // Before the name: list length (2), type (1), name length (2).
  for (const int offset : {-5, -4, -3, -2, -1}) {
    std::string broken = hello;
    broken[name + static_cast<std::size_t>(offset)] =
        static_cast<char>(broken[name + static_cast<std::size_t>(offset)] + 1);
    const SslPtr ssl = new_server_connection(a, selector);
    BIO* answer = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl.get(), BIO_new_mem_buf(broken.data(), static_cast<int>(broken.size())), answer);
    EXPECT_LE(SSL_do_handshake(ssl.get()), 0);
    const long answered = BIO_get_mem_data(answer, &start);
    // One record: type 21 alert, fatal, decode_error.
    ASSERT_EQ(answered, 7) << offset;
    EXPECT_EQ(start[0], SSL3_RT_ALERT);
    EXPECT_EQ(start[5], SSL3_AL_FATAL);
    EXPECT_EQ(start[6], SSL_AD_DECODE_ERROR) << offset;
  }
  ERR_clear_error();
}

TEST_F(ServerNameTest, RsaAndEcdsaStandSideBySide) {
  const Identity rsa = make_identity({.alternatives = "DNS:rsa.example", .kind = KeyKind::rsa});
  a_settings.certificates.push_back(rsa.pair("rsa"));
  selector->otherwise = build(a_settings, state);
  client = plain_client_context(TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(client.get(), "ECDHE-RSA-AES128-GCM-SHA256");
  auto with_rsa = connect("");
  ASSERT_TRUE(with_rsa.handshake());
  EXPECT_EQ(shown_name(with_rsa.client()), "rsa.example");
  SSL_CTX_set_cipher_list(client.get(), "ECDHE-ECDSA-AES128-GCM-SHA256");
  auto with_ecdsa = connect("");
  ASSERT_TRUE(with_ecdsa.handshake());
  EXPECT_EQ(shown_name(with_ecdsa.client()), "a.example");
}

TEST_F(ServerNameTest, ChainIsSentFromTheCertificateFile) {
  const Identity authority = make_authority("Intermediate");
  const Identity leaf = make_identity({}, &authority);
  auto pair = leaf.pair();
  pair.certificate.text += authority.certificate_pem;
  selector->otherwise = build({.certificates = {pair}}, state);
  auto talk = connect("");
  ASSERT_TRUE(talk.handshake());
  EXPECT_EQ(sk_X509_num(SSL_get_peer_cert_chain(&talk.client())), 2);
}

TEST_F(ServerNameTest, AlpnFollowsTheServersPreference) {
  b_settings.alpn = {"h2", "http/1.1"};
  selector->servers["b.example"] = build(b_settings, state);
  const unsigned char offered[] = "\x08http/1.1\x02h2";
  SSL_CTX_set_alpn_protos(client.get(), offered, sizeof(offered) - 1);
  auto to_b = connect("b.example");
  ASSERT_TRUE(to_b.handshake());
  EXPECT_EQ(ssl_alpn_protocol(to_b.server()), "h2");
  auto to_a = connect("a.example");
  ASSERT_TRUE(to_a.handshake());
  EXPECT_EQ(ssl_alpn_protocol(to_a.server()), "http/1.1");
}

TEST_F(ServerNameTest, NoCommonAlpnProtocolEndsTheHandshake) {
  const unsigned char offered[] =
      "\x03"
      "ftp";
  SSL_CTX_set_alpn_protos(client.get(), offered, sizeof(offered) - 1);
  auto talk = connect("a.example");
  EXPECT_FALSE(talk.handshake());
  EXPECT_EQ(talk.client_reason, SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL);
}

TEST_F(ServerNameTest, ConnectionKeepsItsConfigurationAfterAReload) {
  auto talk = connect("b.example");
  const std::weak_ptr<const ServerContext> old = b;
  a.reset();
  b.reset();
  selector.reset();
  ASSERT_TRUE(talk.handshake());
  EXPECT_TRUE(talk.exchange());
  EXPECT_EQ(&selected_context(talk.server()), old.lock().get());
}

TEST_F(ServerNameTest, RenegotiationIsRefused) {
  client = plain_client_context(TLS1_2_VERSION);
  auto talk = connect("a.example");
  ASSERT_TRUE(talk.handshake());
  EXPECT_EQ(SSL_renegotiate(&talk.client()), 1);
  SSL_do_handshake(&talk.client());
  char byte = 0;
  EXPECT_LE(SSL_read(&talk.server(), &byte, 1), 0);
  EXPECT_LE(SSL_read(&talk.client(), &byte, 1), 0);
  EXPECT_FALSE(SSL_session_reused(&talk.server()) != 0);
  EXPECT_EQ(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
  ERR_clear_error();
}

TEST_F(ServerNameTest, CompressionIsOffAndBuffersAreReleased) {
  auto talk = connect("a.example");
  ASSERT_TRUE(talk.handshake());
  EXPECT_NE(SSL_get_options(&talk.server()) & SSL_OP_NO_COMPRESSION, 0U);
  EXPECT_NE(SSL_get_mode(&talk.server()) & SSL_MODE_RELEASE_BUFFERS, 0);
}

}  // namespace
}  // namespace gatehouse::certs::test
