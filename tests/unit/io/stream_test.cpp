#include "proxy/io/stream.hpp"

#include <cerrno>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/io/stream_pairs.hpp"

namespace gatehouse::io {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::Loop;

// ---- what holds for every kind of stream

enum class Kind : std::uint8_t { unix_socket, tcp, tls12, tls13 };

class EveryStream : public testing::TestWithParam<Kind> {
 protected:
  using Body = Task<void> (*)(Pair&);

  void run(Body body) {
    Loop loop;
    Pair pair = GetParam() == Kind::unix_socket ? unix_pair(loop.reactor) : tcp_pair(loop.reactor);
    const bool tls = GetParam() == Kind::tls12 || GetParam() == Kind::tls13;
    if (GetParam() == Kind::tls12) tls_.limit_version(TLS1_2_VERSION);
    loop.run(prepare_and_run(pair, tls ? &tls_ : nullptr, body));
  }

 private:
  static Task<void> prepare_and_run(Pair& pair, const TlsContexts* tls, Body body) {
    if (tls != nullptr) {
      auto starting = start_tls(pair, *tls);
      co_await starting;
    }
    auto running = body(pair);
    co_await running;
  }
  TlsContexts tls_;
};

std::string name_of(const testing::TestParamInfo<Kind>& tested) {
  switch (tested.param) {
    case Kind::unix_socket: return "Unix";
    case Kind::tcp: return "Tcp";
    case Kind::tls12: return "Tls12";
    case Kind::tls13: return "Tls13";
  }
  return {};
}

INSTANTIATE_TEST_SUITE_P(Kinds, EveryStream, testing::Values(Kind::unix_socket, Kind::tcp, Kind::tls12, Kind::tls13),
                         name_of);

Task<void> small_steps(Pair& pair) {
  auto sending = send_text(pair.client, "hello, world");
  const auto sent = co_await sending;
  EXPECT_EQ(sent.value(), 12U);
  std::string all;
  while (all.size() < 12) {
    auto receiving = receive_some(pair.server, 5);
    const auto some = co_await receiving;
    EXPECT_TRUE(some && !some->empty() && some->size() <= 5);
    if (!some || some->empty()) break;
    all += *some;
  }
  EXPECT_EQ(all, "hello, world");
  EXPECT_FALSE(pair.server.has_buffered());
}
TEST_P(EveryStream, GivesWhatDidNotFitIntoOneBufferToTheNext) { run(small_steps); }

Task<void> both_ways(Pair& pair) {
  constexpr std::size_t kSize = 4 << 20;
  const std::string up = pattern(kSize, 1);
  const std::string down = pattern(kSize, 2);
  Child<Result<std::size_t>> client_sends(send_text(pair.client, up));
  Child<Result<std::size_t>> server_sends(send_text(pair.server, down));
  EXPECT_FALSE(client_sends.done()) << "the transfer was to be larger than the kernel's buffers";
  EXPECT_FALSE(server_sends.done());
  Child<Result<std::string>> client_receives(receive_exactly(pair.client, kSize, 10000));
  Child<Result<std::string>> server_receives(receive_exactly(pair.server, kSize, 70000));
  auto join_up = server_receives.join();
  const auto got_up = co_await join_up;
  auto join_down = client_receives.join();
  const auto got_down = co_await join_down;
  EXPECT_TRUE(got_up && *got_up == up);
  EXPECT_TRUE(got_down && *got_down == down);
  auto join_client = client_sends.join();
  const auto client_sent = co_await join_client;
  auto join_server = server_sends.join();
  const auto server_sent = co_await join_server;
  EXPECT_EQ(client_sent.value(), kSize);
  EXPECT_EQ(server_sent.value(), kSize);
}
TEST_P(EveryStream, MovesMuchInBothDirectionsAtOnce) { run(both_ways); }

Task<Result<std::size_t>> send_parts(Stream& stream, std::vector<iovec>& parts) {
  Send send(stream, parts, seconds(10));
  const Result<std::size_t> outcome = co_await send;
  EXPECT_TRUE(send.parts.empty());
  co_return outcome;
}

Task<void> many_parts(Pair& pair) {
  const std::string text = pattern(3 << 20, 3);
  std::vector<iovec> parts;
  std::size_t at = 0;
  for (std::size_t i = 0; at < text.size(); ++i) {
    // Empty ones, small ones that TLS gathers, and some larger than a record.
    const std::size_t wanted = i % 7 == 0 ? 0 : i % 11 == 0 ? 40000 : i % 300;
    const std::size_t size = std::min(wanted, text.size() - at);
    parts.push_back({const_cast<char*>(text.data()) + at, size});
    at += size;
  }
  parts.push_back({nullptr, 0});
  EXPECT_GT(parts.size(), 500U);
  Child<Result<std::size_t>> sending(send_parts(pair.client, parts));
  auto receiving = receive_exactly(pair.server, text.size(), 33333);
  const auto got = co_await receiving;
  EXPECT_TRUE(got && *got == text);
  auto join = sending.join();
  const auto sent = co_await join;
  EXPECT_EQ(sent.value(), text.size());
}
TEST_P(EveryStream, SendsManyPartsOverManyPartialWrites) { run(many_parts); }

Task<void> nothing_to_send(Pair& pair) {
  std::vector<iovec> parts{{nullptr, 0}, {nullptr, 0}};
  auto sending = send_parts(pair.client, parts);
  const auto sent = co_await sending;
  EXPECT_EQ(sent.value(), 0U);
}
TEST_P(EveryStream, SendingNothingIsDoneAtOnce) { run(nothing_to_send); }

Task<void> end_after_data(Pair& pair) {
  const std::string text = pattern(100000, 4);
  Child<Result<std::string>> receiving(receive_exactly(pair.client, text.size() + 1, 777));
  auto sending = send_text(pair.server, text);
  const auto sent = co_await sending;
  EXPECT_TRUE(sent.has_value());
  pair.server.close();
  auto join = receiving.join();
  const auto got = co_await join;
  EXPECT_TRUE(got && *got == text);
  for (int i = 0; i < 2; ++i) {  // the end stays the end
    auto again = receive_some(pair.client, 10);
    const auto end = co_await again;
    EXPECT_TRUE(end && end->empty());
  }
}
TEST_P(EveryStream, EndsAfterTheLastByteAndStaysEnded) { run(end_after_data); }

Task<void> end_while_waiting(Pair& pair) {
  Child<Result<std::string>> receiving(receive_some(pair.server, 10));
  EXPECT_FALSE(receiving.done());
  pair.client.close();
  auto join = receiving.join();
  const auto end = co_await join;
  EXPECT_TRUE(end && end->empty());
}
TEST_P(EveryStream, TheEndWakesWhoReceives) { run(end_while_waiting); }

Task<void> receive_timeout(Pair& pair) {
  const TimePoint start = pair.server.socket().reactor().now();
  auto receiving = receive_some(pair.server, 10, milliseconds(30));
  const auto late = co_await receiving;
  EXPECT_EQ(late.error().reason, Reason::timed_out);
  EXPECT_GE(pair.server.socket().reactor().now() - start, milliseconds(30));
  auto sending = send_text(pair.client, "late");
  (void)co_await sending;
  auto again = receive_some(pair.server, 10);
  const auto text = co_await again;
  EXPECT_EQ(text.value(), "late");
}
TEST_P(EveryStream, AReceiveThatTimedOutLosesNothing) { run(receive_timeout); }

Task<void> send_timeout(Pair& pair) {
  const std::string text(32 << 20, 'x');
  auto sending = send_text(pair.client, text, milliseconds(60));
  const auto late = co_await sending;
  EXPECT_EQ(late.error().reason, Reason::timed_out);
}
TEST_P(EveryStream, ASendToOneWhoDoesNotReadTimesOut) { run(send_timeout); }

Task<void> cancel_both(Pair& pair) {
  const std::string text(32 << 20, 'x');
  Child<Result<std::string>> receiving(receive_some(pair.client, 10));
  Child<Result<std::size_t>> sending(send_text(pair.client, text));
  EXPECT_FALSE(receiving.done() || sending.done());
  pair.client.cancel();
  EXPECT_FALSE(receiving.done() || sending.done()) << "resumed from within cancel()";
  auto join_receive = receiving.join();
  const auto received = co_await join_receive;
  auto join_send = sending.join();
  const auto sent = co_await join_send;
  EXPECT_EQ(received.error().reason, Reason::canceled);
  EXPECT_EQ(sent.error().reason, Reason::canceled);
}
TEST_P(EveryStream, CancelEndsBothDirections) { run(cancel_both); }

Task<Result<std::size_t>> send_then_close(Stream& stream, std::string_view text) {
  auto sending = send_text(stream, text);
  const Result<std::size_t> outcome = co_await sending;
  stream.close();  // while the loop still delivers the event that ended the send
  co_return outcome;
}

Task<void> close_from_the_event(Pair& pair) {
  const std::string text = pattern(6 << 20, 5);
  // The server sends: a client that closes with TLS 1.3's session tickets unread would reset the connection.
  Child<Result<std::size_t>> sending(send_then_close(pair.server, text));
  EXPECT_FALSE(sending.done());
  auto receiving = receive_exactly(pair.client, text.size() + 1, 50000);
  const auto got = co_await receiving;
  EXPECT_TRUE(got && *got == text);
  auto join = sending.join();
  const auto sent = co_await join;
  EXPECT_EQ(sent.value(), text.size());
}
TEST_P(EveryStream, WhoIsResumedByAnEventMayCloseTheStream) { run(close_from_the_event); }

Task<void> wait_then_receive(Pair& pair) {
  Child<Result<std::size_t>> sending(send_text(pair.client, "x"));
  auto waiting = wait_readable(pair.server, seconds(10));
  const auto ready = co_await waiting;
  EXPECT_TRUE(ready.has_value());
  auto receiving = receive_some(pair.server, 10);
  const auto text = co_await receiving;
  EXPECT_EQ(text.value(), "x");
  auto idle = wait_readable(pair.server, milliseconds(20));
  const auto nothing = co_await idle;
  EXPECT_EQ(nothing.error().reason, Reason::timed_out);
  auto join = sending.join();
  (void)co_await join;
}
TEST_P(EveryStream, WaitsForInputWithoutABuffer) { run(wait_then_receive); }

Task<void> moved_streams(Pair& pair) {
  Stream client(std::move(pair.client));
  Stream server;
  server = std::move(pair.server);
  EXPECT_FALSE(pair.server.is_open());  // NOLINT(bugprone-use-after-move): closed by contract
  auto sending = send_text(client, "moved");
  (void)co_await sending;
  auto receiving = receive_some(server, 10);
  const auto text = co_await receiving;
  EXPECT_EQ(text.value(), "moved");
}
TEST_P(EveryStream, MayBeMovedBetweenOperations) { run(moved_streams); }

// ---- plain sockets

Task<void> reset_while_waiting(Pair& pair) {
  Child<Result<std::string>> receiving(receive_some(pair.server, 10));
  pair.client.socket().set_reset_on_close();
  pair.client.close();
  auto join = receiving.join();
  const auto outcome = co_await join;
  EXPECT_EQ(outcome.error(), (Error{Reason::io_failed, ECONNRESET}));
  auto sending = send_text(pair.server, "into the void");
  const auto sent = co_await sending;
  EXPECT_EQ(sent.error(), (Error{Reason::io_failed, EPIPE}));
}
TEST(TcpStream, AResetIsAnErrorAndNoSignal) {
  Loop loop;
  Pair pair = tcp_pair(loop.reactor);
  loop.run(reset_while_waiting(pair));
}

Task<void> half_close(Pair& pair) {
  auto sending = send_text(pair.client, "question");
  (void)co_await sending;
  pair.client.socket().shutdown_write();
  auto question = receive_exactly(pair.server, 100, 100);
  const auto asked = co_await question;
  EXPECT_EQ(asked.value(), "question");
  auto answering = send_text(pair.server, "answer");
  (void)co_await answering;
  auto answer = receive_some(pair.client, 100);
  const auto answered = co_await answer;
  EXPECT_EQ(answered.value(), "answer");
}
TEST(TcpStream, AHalfClosedPeerStillGetsItsAnswer) {
  Loop loop;
  Pair pair = tcp_pair(loop.reactor);
  loop.run(half_close(pair));
}

Task<void> quiet(Pair& pair) {
  EXPECT_TRUE(pair.server.socket().looks_quiet());
  EXPECT_TRUE(pair.server.socket().is_quiet());
  auto sending = send_text(pair.client, "unasked");
  (void)co_await sending;
  EXPECT_FALSE(pair.server.socket().is_quiet()) << "the kernel knows before the loop does";
  auto waiting = wait_readable(pair.server, seconds(10));
  (void)co_await waiting;
  EXPECT_FALSE(pair.server.socket().looks_quiet());
  auto receiving = receive_some(pair.server, 100);
  (void)co_await receiving;
  EXPECT_TRUE(pair.server.socket().looks_quiet());
  pair.client.close();
  EXPECT_FALSE(pair.server.socket().is_quiet());
  auto ending = wait_readable(pair.server, seconds(10));
  (void)co_await ending;
  EXPECT_FALSE(pair.server.socket().looks_quiet());
}
TEST(TcpStream, KnowsWhetherAnIdleConnectionIsStillQuiet) {
  Loop loop;
  Pair pair = tcp_pair(loop.reactor);
  loop.run(quiet(pair));
}

TEST(Send, BelowTheMinimumRateFailsAfterTheGrace) {
  Loop loop;
  Pair pair = unix_pair(loop.reactor);
  std::string text(100000, 'x');
  for (const bool slow : {true, false}) {
    iovec part{text.data(), text.size()};
    SendPace pace{.least = 1000};
    Send send(pair.client, {&part, 1}, seconds(60), &pace);
    send.waiter = std::noop_coroutine();
    send.sent = slow ? 5000 : 15000;
    send.waiting_since = loop.reactor.now() - seconds(10);
    const bool over = send.try_once();
    EXPECT_EQ(send.failure().reason, slow ? Reason::body_too_slow : Reason::none);
    EXPECT_EQ(over, slow || send.parts.empty());
  }
}

TEST(SendPace, AddsUpWhatManyShortSendsWaited) {
  SendPace pace{.least = 1000};
  for (int i = 0; i < 30; ++i) {
    EXPECT_FALSE(pace.too_slow(Milliseconds{100}, 50)) << i;
    pace.waited += Milliseconds{100};
    pace.sent += i < 20 ? 200 : 50;
  }
  EXPECT_FALSE(pace.too_slow(seconds(2), 500)) << "within the grace";
  EXPECT_TRUE(pace.too_slow(seconds(3), 50));
  EXPECT_FALSE(pace.too_slow(seconds(3), 2000)) << "what it took at once counts for it";
  EXPECT_EQ(pace.left(seconds(1), 0), seconds(1)) << "of the grace";
  EXPECT_EQ(pace.left(seconds(1), 5500), seconds(6)) << "of the ten seconds that ten thousand bytes are good for";
  EXPECT_GT(SendPace{}.left(seconds(1000), 0), seconds(1000)) << "no minimum";
}

Task<void> connect_to(Reactor& reactor, const SocketAddress& address, Error& outcome) {
  auto connecting = start_connect(reactor, address, nullptr);
  if (!connecting) {
    outcome = connecting.error();
    co_return;
  }
  if (!connecting->in_progress) co_return;
  WaitConnected waiting(connecting->socket, seconds(10));
  const auto connected = co_await waiting;
  if (!connected) outcome = connected.error();
}

TEST(Connect, ReachesAListenerAndTellsWhyItDoesNot) {
  Loop loop;
  Error outcome{Reason::bug};
  SocketAddress address;
  {
    const Acceptor acceptor;
    address = acceptor.address();
    outcome = {};
    loop.run(connect_to(loop.reactor, address, outcome));
    EXPECT_EQ(outcome, Error{});
  }
  Loop second;
  second.run(connect_to(second.reactor, address, outcome));
  EXPECT_EQ(outcome, (Error{Reason::connect_failed, ECONNREFUSED}));
  Loop third;
  third.run(connect_to(third.reactor, SocketAddress::unix_path("/nonexistent/socket"), outcome));
  EXPECT_EQ(outcome, (Error{Reason::connect_failed, ENOENT}));
}

TEST(Connect, FromAnAddressThatIsNotOursFails) {
  Loop loop;
  const auto foreign = SocketAddress::ipv4({192, 0, 2, 1}, 0);
  const auto connecting = start_connect(loop.reactor, SocketAddress::ipv4({127, 0, 0, 1}, 9), &foreign);
  ASSERT_FALSE(connecting);
  EXPECT_EQ(connecting.error(), (Error{Reason::connect_failed, EADDRNOTAVAIL}));
}

}  // namespace
}  // namespace gatehouse::io
