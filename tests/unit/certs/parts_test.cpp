// Ticket keys, the session cache, the error queue, stapling.
#include <set>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>

#include "certs/error_queue.hpp"
#include "certs/session_cache.hpp"
#include "certs/shared_tls_state.hpp"
#include "certs/stapling.hpp"
#include "certs/ticket_keys.hpp"
#include "tests/unit/certs/tls_fixture.hpp"

namespace gatehouse::certs::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;

WallTime fake_now;
WallTime read_fake_now() { return fake_now; }

/// One call of the ticket key callback.
class TicketCall {
 public:
  int run(TicketKeys& keys, int encrypt) {
    const std::unique_ptr<EVP_CIPHER_CTX, FreeWith<EVP_CIPHER_CTX_free>> cipher(EVP_CIPHER_CTX_new());
    const std::unique_ptr<EVP_MAC, FreeWith<EVP_MAC_free>> hmac(EVP_MAC_fetch(nullptr, "HMAC", nullptr));
    const std::unique_ptr<EVP_MAC_CTX, FreeWith<EVP_MAC_CTX_free>> mac(EVP_MAC_CTX_new(hmac.get()));
    return keys.prepare(name, iv, cipher.get(), mac.get(), encrypt);
  }
  unsigned char name[16] = {};
  unsigned char iv[EVP_MAX_IV_LENGTH] = {};
};

TEST(TicketKeysTest, OldKeyDecryptsForOneMorePeriodAndThenIsGone) {
  fake_now = WallTime(1000h);
  const auto keys = TicketKeys::rotating(&read_fake_now);
  TicketCall call;
  ASSERT_EQ(call.run(*keys, 1), 1);
  EXPECT_EQ(call.run(*keys, 0), 1);
  fake_now += 11h;
  EXPECT_EQ(call.run(*keys, 0), 1);
  fake_now += 2h;
  EXPECT_EQ(call.run(*keys, 0), 2);  // decrypts, and asks for a new ticket
  fake_now += 13h;
  EXPECT_EQ(call.run(*keys, 0), 0);
}

TEST(TicketKeysTest, LongSilenceOrAClockSetBackLeavesNoOldKey) {
  fake_now = WallTime(1000h);
  const auto keys = TicketKeys::rotating(&read_fake_now);
  TicketCall call;
  ASSERT_EQ(call.run(*keys, 1), 1);
  fake_now += 25h;
  EXPECT_EQ(call.run(*keys, 0), 0);
  ASSERT_EQ(call.run(*keys, 1), 1);
  fake_now -= 1h;
  EXPECT_EQ(call.run(*keys, 0), 0);
}

TEST(TicketKeysTest, FirstFileEncryptsAndEveryFileDecrypts) {
  const TemporaryDirectory directory;
  const std::string small = directory.write("48", std::string(16, 'a') + std::string(32, 's'));
  const std::string large = directory.write("80", std::string(16, 'b') + std::string(64, 'l'));
  auto before = TicketKeys::from_files(std::vector{small});
  auto after = TicketKeys::from_files(std::vector{large, small});
  ASSERT_TRUE(before);
  ASSERT_TRUE(after);
  TicketCall call;
  ASSERT_EQ(call.run(**before, 1), 1);
  EXPECT_EQ(call.name[0], 'a');
  EXPECT_EQ(call.run(**after, 0), 2);
  ASSERT_EQ(call.run(**after, 1), 1);
  EXPECT_EQ(call.name[0], 'b');
  EXPECT_EQ(call.run(**before, 0), 0);
  EXPECT_THAT(TicketKeys::from_files(std::vector{directory.path("none")}).error().text,
              HasSubstr("failed (2: No such file or directory)"));
}

TEST(TicketKeysTest, TicketMadeWithOneFileIsOpenedByAnotherProcessWithTheSameFile) {
  const TemporaryDirectory directory;
  const Identity identity = make_identity({});
  for (const std::size_t size : {48U, 80U}) {
    const std::string file = directory.write("key" + std::to_string(size), std::string(size, 'k'));
    const auto client = plain_client_context(TLS1_2_VERSION);
    ServerTlsSettings settings{.certificates = {identity.pair()}};
    settings.ticket_key_files = {file};
    SharedTlsState here;
    SharedTlsState there;
    Conversation first(plain_client(*client), new_server_connection(build(settings, here), nullptr));
    ASSERT_TRUE(first.handshake());
    const SessionPtr session(SSL_get1_session(&first.client()));
    Conversation second(plain_client(*client, "", session.get()),
                        new_server_connection(build(settings, there), nullptr));
    ASSERT_TRUE(second.handshake());
    EXPECT_EQ(SSL_session_reused(&second.client()), 1) << size;
    settings.ticket_key_files.clear();
    Conversation third(plain_client(*client, "", session.get()),
                       new_server_connection(build(settings, there), nullptr));
    ASSERT_TRUE(third.handshake());
    EXPECT_EQ(SSL_session_reused(&third.client()), 0) << size;
  }
}

class SessionCacheTest : public testing::Test {
 protected:
  static bool store(SessionCache& cache, const std::string& id, std::size_t size = 150) {
    return cache.store(id, std::vector<unsigned char>(size, 's'), WallTime(10s));
  }
};

TEST_F(SessionCacheTest, HoldsAboutFourThousandSessionsPerMebibyteAndNoMore) {
  SessionCache cache(kMiB);
  for (int i = 0; i < 10000; ++i) ASSERT_TRUE(store(cache, "session " + std::to_string(i)));
  EXPECT_GT(cache.figures().sessions, 3900U);
  EXPECT_LE(cache.figures().sessions, 4096U);
  EXPECT_LE(cache.figures().bytes, kMiB);
  EXPECT_EQ(cache.figures().sessions + cache.figures().evictions, 10000U);
  EXPECT_TRUE(cache.find("session 9999", WallTime(1s)).has_value());
  EXPECT_FALSE(cache.find("session 0", WallTime(1s)).has_value());
}

TEST_F(SessionCacheTest, ExpiredAndRemovedSessionsAreNotFound) {
  SessionCache cache(kMiB);
  ASSERT_TRUE(store(cache, "a"));
  EXPECT_EQ(cache.find("a", WallTime(9s)).value().size(), 150U);
  EXPECT_FALSE(cache.find("a", WallTime(10s)).has_value());
  EXPECT_EQ(cache.figures().sessions, 0U);
  ASSERT_TRUE(store(cache, "b"));
  cache.remove("b");
  cache.remove("b");
  EXPECT_FALSE(cache.find("b", WallTime(1s)).has_value());
  EXPECT_EQ(cache.figures().bytes, 0U);
  EXPECT_EQ(cache.figures().hits, 1U);
  EXPECT_EQ(cache.figures().misses, 2U);
}

TEST_F(SessionCacheTest, StoringAgainReplaces) {
  SessionCache cache(kMiB);
  ASSERT_TRUE(store(cache, "a", 100));
  ASSERT_TRUE(store(cache, "a", 2000));
  EXPECT_EQ(cache.find("a", WallTime(1s)).value().size(), 2000U);
  EXPECT_EQ(cache.figures().sessions, 1U);
}

TEST_F(SessionCacheTest, RefusesWhatIsTooLong) {
  SessionCache cache(kMiB);
  EXPECT_FALSE(store(cache, "a", SessionCache::kMaxSession + 1));
  EXPECT_TRUE(store(cache, "a", SessionCache::kMaxSession));
  SessionCache tiny(1024);
  EXPECT_FALSE(store(tiny, "a"));
}

TEST_F(SessionCacheTest, ThreadsShareIt) {
  SessionCache cache(64 * kKiB);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&cache, t] {
      for (int i = 0; i < 2000; ++i) {
        store(cache, std::to_string(i));
        const auto found = cache.find(std::to_string((i * 7 + t) % 2000), WallTime(1s));
        if (found && found->size() != 150) ADD_FAILURE();
        if (i % 5 == t) cache.remove(std::to_string(i));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_LE(cache.figures().bytes, 64 * kKiB);
}

TEST_F(SessionCacheTest, SharedCacheLivesOnByNameWhileItIsUsedAndIsResized) {
  SharedTlsState state;
  auto first = state.session_cache("SSL", kMiB);
  ASSERT_TRUE(store(*first, "a"));
  EXPECT_EQ(state.session_cache("SSL", kMiB).get(), first.get());
  EXPECT_NE(state.session_cache("other", kMiB).get(), first.get());
  EXPECT_EQ(state.cache_figures().size(), 1U);
  EXPECT_EQ(state.session_cache("SSL", 0).get(), first.get());
  EXPECT_EQ(first->figures().sessions, 0U);
}

TEST(ErrorQueueTest, IsDrainedIntoNginxsWording) {
  ERR_clear_error();
  EXPECT_EQ(drain_openssl_errors(), "");
  ERR_raise(ERR_LIB_SSL, SSL_R_UNEXPECTED_EOF_WHILE_READING);
  EXPECT_EQ(drain_openssl_errors(), "(SSL: error:0A000126:SSL routines::unexpected eof while reading)");
  ERR_raise(ERR_LIB_SSL, SSL_R_NO_SHARED_CIPHER);
  ERR_raise_data(ERR_LIB_SSL, SSL_R_UNEXPECTED_MESSAGE, "why");
  EXPECT_EQ(with_openssl_errors("x() failed"),
            "x() failed (SSL: error:0A0000C1:SSL routines::no shared cipher error:0A0000F4:SSL routines::unexpected "
            "message:why)");
  EXPECT_EQ(ERR_peek_error(), 0U);
}

TEST(ErrorQueueTest, WhatAClientCanCauseIsInfoAndOurOwnFaultsAreCritical) {
  const auto judge = [](int library, int reason) {
    ERR_clear_error();
    ERR_raise(library, reason);
    return judge_tls_failure(TlsSide::downstream, "SSL_do_handshake() failed", SSL_ERROR_SSL, 0);
  };
  for (const int reason : {SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_CALLBACK_FAILED, SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN,
                           SSL_R_TLSV1_ALERT_UNKNOWN_CA, SSL_R_NO_SHARED_CIPHER}) {
    EXPECT_EQ(judge(ERR_LIB_SSL, reason).level, TlsLogLevel::info) << reason;
    EXPECT_EQ(judge(ERR_LIB_SSL, reason).reason, Reason::handshake_failed);
  }
  EXPECT_EQ(judge(ERR_LIB_SSL, SSL_R_LIBRARY_BUG).level, TlsLogLevel::critical);
  EXPECT_EQ(judge(ERR_LIB_EVP, 100).level, TlsLogLevel::critical);
  EXPECT_EQ(judge(ERR_LIB_SSL, SSL_R_HTTP_REQUEST).reason, Reason::plain_http_on_tls);
  ERR_clear_error();
}

TEST(ErrorQueueTest, ClosedConnectionsAreNoAlarm) {
  ERR_clear_error();
  const auto closed = judge_tls_failure(TlsSide::downstream, "SSL_do_handshake() failed", SSL_ERROR_SYSCALL, 0);
  EXPECT_EQ(closed.level, TlsLogLevel::info);
  EXPECT_EQ(closed.text, "peer closed connection in SSL handshake");
  const auto reset = judge_tls_failure(TlsSide::downstream, "SSL_do_handshake() failed", SSL_ERROR_SYSCALL, ECONNRESET);
  EXPECT_EQ(reset.level, TlsLogLevel::info);
  EXPECT_EQ(reset.text, "SSL_do_handshake() failed (104: Connection reset by peer)");
  EXPECT_EQ(judge_tls_failure(TlsSide::downstream, "x", SSL_ERROR_SYSCALL, EBADF).level, TlsLogLevel::critical);
  EXPECT_EQ(judge_tls_failure(TlsSide::upstream, "x", SSL_ERROR_SYSCALL, ECONNRESET).level, TlsLogLevel::error);
}

TEST(ErrorQueueTest, HttpOnATlsPortIsToldApart) {
  SharedTlsState state;
  const auto context = build(ServerTlsSettings{.certificates = {make_identity({}).pair()}}, state);
  for (const std::string request : {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\n\r\n"}) {
    EXPECT_FALSE(may_start_tls(static_cast<unsigned char>(request[0])));
    const SslPtr ssl = new_server_connection(context, nullptr);
    BIO* reader = BIO_new_mem_buf(request.data(), static_cast<int>(request.size()));
    SSL_set_bio(ssl.get(), reader, BIO_new(BIO_s_mem()));
    const int result = SSL_do_handshake(ssl.get());
    const auto failure =
        judge_tls_failure(TlsSide::downstream, "SSL_do_handshake() failed", SSL_get_error(ssl.get(), result), 0);
    EXPECT_EQ(failure.reason, Reason::plain_http_on_tls);
    EXPECT_EQ(failure.level, TlsLogLevel::info);
  }
  EXPECT_TRUE(may_start_tls(0x16));
}

class StaplingTest : public testing::Test {
 protected:
  /// A response about `identity`, signed by its authority.
  std::string respond(const Identity& about, int status, long valid_seconds) {
    OCSP_BASICRESP* basic = OCSP_BASICRESP_new();
    OCSP_CERTID* id = OCSP_cert_to_id(EVP_sha1(), about.certificate.get(), authority.certificate.get());
    ASN1_TIME* now = ASN1_TIME_set(nullptr, time(nullptr) - 3600);
    ASN1_TIME* next = ASN1_TIME_set(nullptr, time(nullptr) + valid_seconds);
    OCSP_basic_add1_status(basic, id, status, 0, nullptr, now, next);
    OCSP_basic_sign(basic, authority.certificate.get(), authority.key.get(), EVP_sha256(), nullptr, 0);
    OCSP_RESPONSE* response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    unsigned char* der = nullptr;
    const int size = i2d_OCSP_RESPONSE(response, &der);
    std::string bytes(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
    OPENSSL_free(der);
    OCSP_RESPONSE_free(response);
    OCSP_BASICRESP_free(basic);
    OCSP_CERTID_free(id);
    ASN1_TIME_free(now);
    ASN1_TIME_free(next);
    return directory.write("staple.der", bytes);
  }
  /// What the client is stapled.
  std::string stapled(const std::string& file) {
    ServerTlsSettings settings{.certificates = {leaf.pair()}};
    settings.stapling = true;
    settings.stapling_file = file;
    const auto client = plain_client_context();
    SslPtr end = plain_client(*client);
    SSL_set_tlsext_status_type(end.get(), TLSEXT_STATUSTYPE_ocsp);
    Conversation talk(std::move(end), new_server_connection(build(settings, state), nullptr));
    EXPECT_TRUE(talk.handshake());
    const unsigned char* der = nullptr;
    const long size = SSL_get_tlsext_status_ocsp_resp(&talk.client(), &der);
    return size > 0 ? std::string(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size)) : std::string();
  }

  TemporaryDirectory directory;
  SharedTlsState state;
  Identity authority = make_authority("CA");
  Identity leaf = make_identity({}, &authority);
};

TEST_F(StaplingTest, CurrentResponseAboutTheCertificateIsSent) {
  const std::string file = respond(leaf, V_OCSP_CERTSTATUS_GOOD, 3600);
  EXPECT_FALSE(stapled(file).empty());
}

TEST_F(StaplingTest, OutdatedResponseOrOneAboutAnotherCertificateIsNotSent) {
  EXPECT_EQ(stapled(respond(leaf, V_OCSP_CERTSTATUS_GOOD, -60)), "");
  EXPECT_EQ(stapled(respond(make_identity({}, &authority), V_OCSP_CERTSTATUS_GOOD, 3600)), "");
}

TEST_F(StaplingTest, FileThatIsNoResponseIsAnError) {
  EXPECT_THAT(StapledResponse::from_file(directory.write("x.der", "no")).error().text,
              StartsWith("d2i_OCSP_RESPONSE_bio(\"" + directory.path("x.der") + "\") failed (SSL: error:"));
  EXPECT_THAT(StapledResponse::from_file(directory.path("none")).error().text, StartsWith("BIO_new_file(\""));
  EXPECT_THAT(
      StapledResponse::from_file(directory.write("later.der", std::string("\x30\x03\x0a\x01\x03", 5))).error().text,
      HasSubstr("is not successful (3: trylater)"));
}

}  // namespace
}  // namespace gatehouse::certs::test
