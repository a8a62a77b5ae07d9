// Sessions: who may resume where (CVE-2025-23419), and what keeps them.
#include <gtest/gtest.h>

#include "certs/describe.hpp"
#include "tests/unit/certs/tls_fixture.hpp"

namespace gatehouse::certs::test {
namespace {

struct Way {
  const char* name;
  int max_version;
  bool tickets;
};

void PrintTo(const Way& way, std::ostream* out) { *out << way.name; }

/// Every way a session can come back: TLS 1.2 and 1.3, by ticket and by our cache.
class ResumptionTest : public testing::TestWithParam<Way> {
 protected:
  ResumptionTest() {
    SSL_CTX_set_session_cache_mode(client.get(), SSL_SESS_CACHE_CLIENT);
    SSL_CTX_sess_set_new_cb(client.get(), [](SSL* ssl, SSL_SESSION* session) {
      static_cast<ResumptionTest*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)))->kept.reset(session);
      return 1;
    });
    SSL_CTX_set_app_data(client.get(), this);
    SSL_CTX_use_certificate(client.get(), client_identity.certificate.get());
    SSL_CTX_use_PrivateKey(client.get(), client_identity.key.get());
  }

  ServerTlsSettings settings_for(VerifyClient verify) {
    ServerTlsSettings settings;
    settings.certificates = {identity.pair()};
    settings.session_tickets = GetParam().tickets;
    settings.session_cache.kind = SessionCacheKind::shared;
    settings.session_cache.name = "SSL";
    settings.session_cache.size = kMiB;
    settings.verify_client = verify;
    settings.client_certificate = authority.source();
    return settings;
  }

  std::shared_ptr<MapSelector> two_servers(VerifyClient a, VerifyClient b) {
    auto selector = std::make_shared<MapSelector>();
    selector->servers["a.example"] = selector->otherwise = build(settings_for(a), state);
    selector->servers["b.example"] = build(settings_for(b), state);
    return selector;
  }

  /// Connects with the last session kept, if any; "r" or "." as the server sees it, "failed" otherwise.
  std::string connect(const std::shared_ptr<MapSelector>& selector, const std::string& name) {
    Conversation talk(plain_client(*client, name, kept.get()), new_server_connection(selector->otherwise, selector));
    if (!talk.handshake() || !talk.exchange()) return "failed";
    last_verify = ssl_client_verify(talk.server());
    if (forget) forget_session(talk.server());
    talk.shut_down();
    return ssl_session_reused(talk.server());
  }

  SharedTlsState state;
  Identity identity = make_identity({.alternatives = "DNS:*.example"});
  Identity authority = make_authority("CA");
  Identity client_identity = make_identity({.common_name = "client", .alternatives = ""}, &authority);
  SslContextPtr client = plain_client_context(GetParam().max_version);
  SessionPtr kept;
  std::string last_verify;
  bool forget = false;
};

TEST_P(ResumptionTest, SameServerResumes) {
  const auto selector = two_servers(VerifyClient::off, VerifyClient::off);
  EXPECT_EQ(connect(selector, "a.example"), ".");
  EXPECT_EQ(connect(selector, "a.example"), "r");
  EXPECT_EQ(connect(selector, "a.example"), "r");
}

TEST_P(ResumptionTest, ServersOfEqualPolicyAndCertificateShareSessions) {
  const auto selector = two_servers(VerifyClient::off, VerifyClient::off);
  EXPECT_EQ(connect(selector, "b.example"), ".");
  EXPECT_EQ(connect(selector, "a.example"), "r");
}

TEST_P(ResumptionTest, SessionWithoutClientCertificateNeverEntersAServerThatVerifies) {
  const auto selector = two_servers(VerifyClient::off, VerifyClient::on);
  EXPECT_EQ(connect(selector, "a.example"), ".");
  EXPECT_EQ(last_verify, "NONE");
  EXPECT_EQ(connect(selector, "b.example"), ".");
  EXPECT_EQ(last_verify, "SUCCESS");
}

TEST_P(ResumptionTest, SessionOfOneClientPolicyNeverEntersAnother) {
  const auto selector = two_servers(VerifyClient::optional, VerifyClient::on);
  EXPECT_EQ(connect(selector, "a.example"), ".");
  EXPECT_EQ(connect(selector, "b.example"), ".");
  kept.reset();
  EXPECT_EQ(connect(selector, "b.example"), ".");
  EXPECT_EQ(connect(selector, "a.example"), ".");
}

TEST_P(ResumptionTest, ResumedSessionKeepsTheClientsCertificate) {
  const auto selector = two_servers(VerifyClient::on, VerifyClient::on);
  EXPECT_EQ(connect(selector, "b.example"), ".");
  EXPECT_EQ(connect(selector, "b.example"), "r");
  EXPECT_EQ(last_verify, "SUCCESS");
}

TEST_P(ResumptionTest, SessionsOutliveAReload) {
  EXPECT_EQ(connect(two_servers(VerifyClient::on, VerifyClient::off), "a.example"), ".");
  const auto before = two_servers(VerifyClient::on, VerifyClient::off);
  EXPECT_EQ(connect(before, "a.example"), GetParam().tickets ? "r" : ".");
  EXPECT_EQ(connect(two_servers(VerifyClient::on, VerifyClient::off), "a.example"), "r");
}

TEST_P(ResumptionTest, ChangedAuthoritiesEndOldSessions) {
  auto trusting = [this](const std::string& extra) {
    auto settings = settings_for(VerifyClient::on);
    settings.trusted_certificate = {"extra.crt", extra};
    auto selector = std::make_shared<MapSelector>();
    selector->otherwise = build(settings, state);
    return selector;
  };
  EXPECT_EQ(connect(trusting(make_authority("X").certificate_pem), "a.example"), ".");
  EXPECT_EQ(connect(trusting(make_authority("Y").certificate_pem), "a.example"), ".");
}

TEST_P(ResumptionTest, ForgottenSessionIsNotResumed) {
  const auto selector = two_servers(VerifyClient::off, VerifyClient::off);
  forget = true;
  EXPECT_EQ(connect(selector, "a.example"), ".");
  // A stateless ticket can't be called back; its verification result goes with it instead.
  EXPECT_EQ(connect(selector, "a.example"), GetParam().tickets ? "r" : ".");
}

TEST_P(ResumptionTest, WithoutTicketsAndCacheNothingResumes) {
  auto settings = settings_for(VerifyClient::off);
  settings.session_tickets = false;
  settings.session_cache.kind = SessionCacheKind::none;
  auto selector = std::make_shared<MapSelector>();
  selector->otherwise = build(settings, state);
  EXPECT_EQ(connect(selector, "a.example"), ".");
  EXPECT_EQ(connect(selector, "a.example"), ".");
}

TEST_P(ResumptionTest, TicketPolicyIsTheChosenServers) {
  auto selector = two_servers(VerifyClient::off, VerifyClient::off);
  auto settings = settings_for(VerifyClient::off);
  settings.certificates = {make_identity({}).pair()};
  settings.session_tickets = !GetParam().tickets;
  selector->servers["b.example"] = build(settings, state);
  EXPECT_EQ(connect(selector, "b.example"), ".");
  ASSERT_NE(kept, nullptr);
  const bool ticket = SSL_SESSION_has_ticket(kept.get()) == 1;
  // In TLS 1.3 even a session of the cache is handed out in the shape of a ticket.
  EXPECT_EQ(ticket, settings.session_tickets || GetParam().max_version == TLS1_3_VERSION);
  EXPECT_EQ(state.cache_figures().at("SSL").sessions > 0, !settings.session_tickets);
  EXPECT_EQ(connect(selector, "b.example"), "r");
}

INSTANTIATE_TEST_SUITE_P(Ways, ResumptionTest,
                         testing::Values(Way{"Tls12Ticket", TLS1_2_VERSION, true},
                                         Way{"Tls12Cache", TLS1_2_VERSION, false},
                                         Way{"Tls13Ticket", TLS1_3_VERSION, true},
                                         Way{"Tls13Cache", TLS1_3_VERSION, false}),
                         [](const auto& way) { return std::string(way.param.name); });

}  // namespace
}  // namespace gatehouse::certs::test
