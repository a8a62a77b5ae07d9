#include <cerrno>

#include <gtest/gtest.h>

#include "tests/unit/io/stream_pairs.hpp"

namespace gatehouse::io {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::Loop;

class TlsStream : public testing::Test {
 protected:
  Loop loop_;
  Pair pair_ = tcp_pair(loop_.reactor);
  TlsContexts tls_;
};

Task<void> plain_bytes(Pair& pair, const TlsContexts& tls) {
  pair.server.start_tls(tls.server());
  auto sending = send_text(pair.client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  (void)co_await sending;
  auto shaking = shake_hands(pair.server);
  const auto outcome = co_await shaking;
  EXPECT_EQ(outcome.error().reason, Reason::io_failed);
}
TEST_F(TlsStream, PlainBytesFailTheHandshake) { loop_.run(plain_bytes(pair_, tls_)); }

Task<void> silence(Pair& pair, const TlsContexts& tls) {
  pair.server.start_tls(tls.server());
  auto shaking = shake_hands(pair.server, milliseconds(30));
  const auto outcome = co_await shaking;
  EXPECT_EQ(outcome.error().reason, Reason::timed_out);
}
TEST_F(TlsStream, ASilentPeerEndsTheHandshakeAtItsDeadline) { loop_.run(silence(pair_, tls_)); }

Task<void> end_in_handshake(Pair& pair, const TlsContexts& tls) {
  pair.server.start_tls(tls.server());
  Child<Result<void>> shaking(shake_hands(pair.server));
  auto sending = send_text(pair.client, std::string_view("\x16\x03\x01\x02\x00", 5));
  (void)co_await sending;
  pair.client.close();
  auto join = shaking.join();
  const auto outcome = co_await join;
  EXPECT_EQ(outcome.error().reason, Reason::end_of_stream);
}
TEST_F(TlsStream, APeerThatLeavesDuringTheHandshakeIsNoProtocolError) { loop_.run(end_in_handshake(pair_, tls_)); }

Task<Result<void>> shake_hands_forever(Stream& stream) {
  Handshake handshake(stream, Milliseconds::max());
  EXPECT_EQ(handshake.deadline(), TimePoint::max());
  const Result<void> outcome = co_await handshake;
  co_return outcome;
}
Task<void> no_deadline(Pair& pair, const TlsContexts& tls) {
  pair.client.start_tls(tls.client());
  pair.server.start_tls(tls.server());
  Child<Result<void>> server(shake_hands_forever(pair.server));
  auto client = shake_hands_forever(pair.client);
  const auto client_outcome = co_await client;
  auto join = server.join();
  const auto server_outcome = co_await join;
  EXPECT_TRUE(client_outcome.has_value());
  EXPECT_TRUE(server_outcome.has_value());
}
TEST_F(TlsStream, AHandshakeNeedsNoDeadline) { loop_.run(no_deadline(pair_, tls_)); }

Task<void> cancel_handshake(Pair& pair, const TlsContexts& tls) {
  pair.client.start_tls(tls.client());
  Child<Result<void>> shaking(shake_hands(pair.client));
  pair.client.cancel();
  auto join = shaking.join();
  const auto outcome = co_await join;
  EXPECT_EQ(outcome.error().reason, Reason::canceled);
}
TEST_F(TlsStream, AHandshakeCanBeCancelled) { loop_.run(cancel_handshake(pair_, tls_)); }

// A hello in pieces of one byte, as a slow or hostile client sends it: relayed between two pairs.
Task<Result<void>> relay_bytewise(Stream& from, Stream& to) {
  for (;;) {
    auto receiving = receive_some(from, 1);
    const auto byte = co_await receiving;
    if (!byte || byte->empty()) break;
    auto sending = send_text(to, *byte);
    const auto sent = co_await sending;
    if (!sent) break;
  }
  co_return Result<void>();
}
Task<void> bytewise(Pair& left, Pair& right, const TlsContexts& tls) {
  left.client.start_tls(tls.client());
  right.server.start_tls(tls.server());
  Child<Result<void>> up(relay_bytewise(left.server, right.client));
  Child<Result<void>> down(relay_bytewise(right.client, left.server));
  Child<Result<void>> server(shake_hands(right.server));
  auto client = shake_hands(left.client);
  const auto client_outcome = co_await client;
  EXPECT_TRUE(client_outcome.has_value());
  auto join_server = server.join();
  const auto server_outcome = co_await join_server;
  EXPECT_TRUE(server_outcome.has_value());
  auto sending = send_text(left.client, "hello");
  (void)co_await sending;
  auto receiving = receive_exactly(right.server, 5, 5);
  const auto text = co_await receiving;
  EXPECT_EQ(text.value(), "hello");
  left.server.cancel();
  right.client.cancel();
  auto join_up = up.join();
  (void)co_await join_up;
  auto join_down = down.join();
  (void)co_await join_down;
}
TEST_F(TlsStream, EveryMessageMayComeByteByByte) {
  Pair right = tcp_pair(loop_.reactor);
  loop_.run(bytewise(pair_, right, tls_));
}

Task<void> buffered(Pair& pair, const TlsContexts& tls) {
  auto starting = start_tls(pair, tls);
  co_await starting;
  for (const char* text : {"first", "second"}) {  // two records, which one read of the socket brings
    auto sending = send_text(pair.client, text);
    (void)co_await sending;
  }
  auto receiving = receive_some(pair.server, 100);
  const auto first = co_await receiving;
  EXPECT_EQ(first.value(), "first");
  EXPECT_TRUE(pair.server.has_buffered()) << "no edge will tell of the second record";
  auto again = receive_some(pair.server, 100);
  const auto second = co_await again;
  EXPECT_EQ(second.value(), "second");
  EXPECT_FALSE(pair.server.has_buffered());
}
TEST_F(TlsStream, TellsOfRecordsThatWereReadAhead) { loop_.run(buffered(pair_, tls_)); }

Task<void> garbage(Pair& pair, const TlsContexts& tls) {
  auto starting = start_tls(pair, tls);
  co_await starting;
  const std::string_view junk = "this is not a TLS record at all";
  EXPECT_EQ(::send(pair.client.socket().fd(), junk.data(), junk.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(junk.size()));
  auto receiving = receive_some(pair.server, 100);
  const auto outcome = co_await receiving;
  EXPECT_EQ(outcome.error(), (Error{Reason::io_failed, EPROTO}));
}
TEST_F(TlsStream, BytesThatAreNoRecordAreAnError) { loop_.run(garbage(pair_, tls_)); }

Task<void> ends(Pair& pair, const TlsContexts& tls, bool notify) {
  auto starting = start_tls(pair, tls);
  co_await starting;
  auto sending = send_text(pair.server, "last words");
  (void)co_await sending;
  if (notify)
    pair.server.close();
  else
    pair.server.socket().close();
  auto receiving = receive_exactly(pair.client, 100, 100);
  const auto text = co_await receiving;
  EXPECT_EQ(text.value(), "last words");
  EXPECT_EQ((SSL_get_shutdown(pair.client.ssl()) & SSL_RECEIVED_SHUTDOWN) != 0, notify);
}
TEST_F(TlsStream, CloseSendsCloseNotify) { loop_.run(ends(pair_, tls_, true)); }
TEST_F(TlsStream, AnEndWithoutCloseNotifyIsAnEndToo) { loop_.run(ends(pair_, tls_, false)); }

Task<void> reset(Pair& pair, const TlsContexts& tls) {
  auto starting = start_tls(pair, tls);
  co_await starting;
  Child<Result<std::string>> receiving(receive_some(pair.server, 10));
  pair.client.socket().set_reset_on_close();
  pair.client.socket().close();
  auto join = receiving.join();
  const auto outcome = co_await join;
  EXPECT_EQ(outcome.error(), (Error{Reason::io_failed, ECONNRESET}));
}
TEST_F(TlsStream, AResetIsAnError) { loop_.run(reset(pair_, tls_)); }

// The peer asks for new keys while the answer is blocked: neither direction may lose its place.
Task<void> key_update(Pair& pair, const TlsContexts& tls) {
  auto starting = start_tls(pair, tls);
  co_await starting;
  constexpr std::size_t kSize = 4 << 20;
  const std::string down = pattern(kSize, 6);
  Child<Result<std::size_t>> sending(send_text(pair.server, down));
  Child<Result<std::string>> asked(receive_exactly(pair.server, 5, 5));
  EXPECT_FALSE(sending.done());
  EXPECT_EQ(SSL_key_update(pair.client.ssl(), SSL_KEY_UPDATE_REQUESTED), 1);
  auto asking = send_text(pair.client, "again");
  (void)co_await asking;
  auto join_asked = asked.join();
  const auto question = co_await join_asked;
  EXPECT_EQ(question.value(), "again");
  auto receiving = receive_exactly(pair.client, kSize, 30000);
  const auto got = co_await receiving;
  EXPECT_TRUE(got && *got == down);
  auto join = sending.join();
  const auto sent = co_await join;
  EXPECT_EQ(sent.value(), kSize);
}
TEST_F(TlsStream, KeysMayBeUpdatedWhileASendIsBlocked) { loop_.run(key_update(pair_, tls_)); }

}  // namespace
}  // namespace gatehouse::io
