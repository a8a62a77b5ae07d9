#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>

#include "certs/describe.hpp"
#include "certs/error_queue.hpp"
#include "tests/unit/certs/tls_fixture.hpp"

namespace gatehouse::certs::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class UpstreamTest : public testing::Test {
 protected:
  UpstreamTest() {
    settings.verify = true;
    settings.trusted_certificate = authority.source();
    settings.send_server_name = true;
    selector->otherwise = build(origin_settings, state);
  }
  Conversation connect(const std::string& name, const std::string& peer = "192.0.2.1:443") {
    context = build(settings);
    return {context->new_connection(name, peer, &sessions), new_server_connection(selector->otherwise, selector)};
  }

  SharedTlsState state;
  Identity authority = make_authority("CA");
  Identity origin = make_identity({.alternatives = "DNS:origin.example,DNS:*.w.example,IP:192.0.2.1"}, &authority);
  ServerTlsSettings origin_settings{.certificates = {origin.pair()}};
  std::shared_ptr<MapSelector> selector = std::make_shared<MapSelector>();
  ClientTlsSettings settings;
  ClientSessionCache sessions;
  std::shared_ptr<const ClientContext> context;
};

TEST_F(UpstreamTest, CertificateOfAKnownAuthorityAndNameIsAccepted) {
  for (const std::string name :
       {"origin.example", "origin.example:8443", "x.w.example", "192.0.2.1", "192.0.2.1:443"}) {
    auto talk = connect(name);
    EXPECT_TRUE(talk.handshake()) << name << " " << upstream_verification_failure(talk.client());
    EXPECT_EQ(upstream_verification_failure(talk.client()), "");
  }
}

TEST_F(UpstreamTest, UnknownAuthorityIsReportedAsNginxDoes) {
  settings.trusted_certificate = make_authority("Other").source();
  auto talk = connect("origin.example");
  EXPECT_FALSE(talk.handshake());
  EXPECT_EQ(talk.client_reason, SSL_R_CERTIFICATE_VERIFY_FAILED);
  EXPECT_EQ(upstream_verification_failure(talk.client()),
            "upstream SSL certificate verify error: (20:unable to get local issuer certificate)");
}

TEST_F(UpstreamTest, WrongNameOrAddressIsReportedWithTheName) {
  for (const std::string name : {"evil.example", "w.example", "x.y.w.example", "192.0.2.2", "[2001:db8::1]:443"}) {
    auto talk = connect(name);
    EXPECT_FALSE(talk.handshake()) << name;
    EXPECT_THAT(upstream_verification_failure(talk.client()), StartsWith("upstream SSL certificate does not match \""))
        << name;
  }
  auto talk = connect("evil.example:8443");
  EXPECT_FALSE(talk.handshake());
  EXPECT_EQ(upstream_verification_failure(talk.client()), "upstream SSL certificate does not match \"evil.example\"");
}

TEST_F(UpstreamTest, WithoutVerificationAnyCertificateIsTaken) {
  settings.verify = false;
  auto talk = connect("evil.example");
  EXPECT_TRUE(talk.handshake());
  EXPECT_EQ(upstream_verification_failure(talk.client()), "");
}

TEST_F(UpstreamTest, NameThatCannotBeVerifiedMakesNoConnection) {
  context = build(settings);
  EXPECT_EQ(context->new_connection("", "192.0.2.1:443", &sessions), nullptr);
  EXPECT_EQ(context->new_connection("[::1", "[::1]:443", &sessions), nullptr);
  EXPECT_EQ(context->new_connection(std::string_view("origin.example\0x", 16), "192.0.2.1:443", &sessions), nullptr);
  EXPECT_EQ(context->new_connection("a b", "192.0.2.1:443", &sessions), nullptr);
}

TEST_F(UpstreamTest, ServerNameIsSentOnlyWhenAskedAndNeverForAnAddress) {
  auto named = connect("origin.example:443");
  ASSERT_TRUE(named.handshake());
  EXPECT_EQ(ssl_server_name(named.server()), "origin.example");
  auto address = connect("192.0.2.1");
  ASSERT_TRUE(address.handshake());
  EXPECT_EQ(ssl_server_name(address.server()), "");
  settings.send_server_name = false;
  auto silent = connect("origin.example");
  ASSERT_TRUE(silent.handshake());
  EXPECT_EQ(ssl_server_name(silent.server()), "");
}

TEST_F(UpstreamTest, SessionIsReusedForTheSamePeerAndNameOnly) {
  const auto reused = [&](const std::string& name, const std::string& peer) {
    auto talk = connect(name, peer);
    EXPECT_TRUE(talk.handshake());
    EXPECT_TRUE(talk.exchange());
    return ssl_session_reused(talk.server());
  };
  EXPECT_EQ(reused("origin.example", "192.0.2.1:443"), ".");
  EXPECT_EQ(reused("origin.example", "192.0.2.1:443"), "r");
  EXPECT_EQ(reused("origin.example", "192.0.2.2:443"), ".");
  EXPECT_EQ(reused("x.w.example", "192.0.2.1:443"), ".");
  settings.ciphers = "HIGH";
  EXPECT_EQ(reused("origin.example", "192.0.2.1:443"), ".");
  settings.session_reuse = false;
  EXPECT_EQ(reused("origin.example", "192.0.2.1:443"), ".");
}

TEST_F(UpstreamTest, PlaintextBeforeTheHandshakeFailsIt) {
  context = build(settings);
  const SslPtr ssl = context->new_connection("origin.example", "192.0.2.1:443", &sessions);
  BIO* here = nullptr;
  BIO* there = nullptr;
  ASSERT_EQ(BIO_new_bio_pair(&here, 0, &there, 0), 1);
  const BioPtr far(there);
  SSL_set_bio(ssl.get(), here, here);
  const std::string injected = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
  ASSERT_EQ(BIO_write(far.get(), injected.data(), static_cast<int>(injected.size())),
            static_cast<int>(injected.size()));
  const int result = SSL_do_handshake(ssl.get());
  ASSERT_LE(result, 0);
  const auto failure =
      judge_tls_failure(TlsSide::upstream, "SSL_do_handshake() failed", SSL_get_error(ssl.get(), result), 0);
  EXPECT_EQ(failure.reason, Reason::upstream_handshake);
  EXPECT_EQ(failure.level, TlsLogLevel::error);
  EXPECT_EQ(failure.text, "SSL_do_handshake() failed (SSL: error:0A00010B:SSL routines::wrong version number)");
  char byte = 0;
  EXPECT_LE(SSL_read(ssl.get(), &byte, 1), 0);
  ERR_clear_error();
}

TEST_F(UpstreamTest, ClientCertificateIsPresented) {
  const Identity proxy = make_identity({.common_name = "proxy", .alternatives = ""}, &authority);
  settings.certificate = proxy.pair("proxy");
  origin_settings.verify_client = VerifyClient::on;
  origin_settings.client_certificate = authority.source();
  selector->otherwise = build(origin_settings, state);
  auto talk = connect("origin.example");
  ASSERT_TRUE(talk.handshake());
  EXPECT_EQ(ssl_client_s_dn(talk.server()), "CN=proxy,O=Test");
}

TEST_F(UpstreamTest, VersionsAndConfCommandsAreObeyed) {
  settings.protocols = Protocols::tls1_2;
  settings.conf_commands = {{"Groups", "P-384:P-256"}};
  auto talk = connect("origin.example");
  ASSERT_TRUE(talk.handshake());
  EXPECT_EQ(ssl_protocol(talk.client()), "TLSv1.2");
  EXPECT_EQ(ssl_curve(talk.server()), "secp384r1");
}

TEST_F(UpstreamTest, AlpnIsOffered) {
  origin_settings.alpn = {"h2", "http/1.1"};
  selector->otherwise = build(origin_settings, state);
  settings.alpn = {"http/1.1"};
  auto talk = connect("origin.example");
  ASSERT_TRUE(talk.handshake());
  EXPECT_EQ(ssl_alpn_protocol(talk.client()), "http/1.1");
}

TEST_F(UpstreamTest, VerificationWithoutAuthoritiesIsAConfigurationError) {
  const auto built = ClientContext::build({.verify = true});
  ASSERT_FALSE(built);
  EXPECT_EQ(built.error().text, "no proxy_ssl_trusted_certificate for proxy_ssl_verify");
}

TEST(ClientSessionCacheTest, LeastRecentlyUsedSessionMakesRoom) {
  ClientSessionCache cache(2);
  const auto session = [] { return SessionPtr(SSL_SESSION_new()); };
  cache.store("a", session());
  cache.store("b", session());
  cache.store("a", session());
  cache.store("c", session());
  EXPECT_EQ(cache.size(), 2U);
  // An empty session can't be resumed, so a look-up drops it; what is still known shows in the size.
  EXPECT_EQ(cache.find("b"), nullptr);
  EXPECT_EQ(cache.size(), 2U);
  EXPECT_EQ(cache.find("a"), nullptr);
  EXPECT_EQ(cache.size(), 1U);
}

}  // namespace
}  // namespace gatehouse::certs::test
