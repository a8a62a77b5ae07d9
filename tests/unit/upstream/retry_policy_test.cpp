#include "proxy/upstream/retry_policy.hpp"

#include <gtest/gtest.h>

namespace gatehouse::upstream {
namespace {

constexpr TimePoint kNow = TimePoint{} + std::chrono::hours(1);

/// A GET that was sent whole on a fresh connection to the first of three peers.
FailedAttempt failed(Reason reason, int status = 0) {
  FailedAttempt attempt;
  attempt.reason = reason;
  attempt.status = status;
  attempt.request = RequestProgress::sent;
  attempt.tries_limit = 3;
  return attempt;
}

FailedAttempt post(FailedAttempt attempt) {
  attempt.method = Idempotence::non_idempotent;
  return attempt;
}

FailedAttempt stale(FailedAttempt attempt) {
  attempt.connection = ConnectionUse::reused_silent;
  return attempt;
}

constexpr RetryDecision kNext{RetryAction::next_peer, PeerAccount::failure};
constexpr RetryDecision kNextUncounted{RetryAction::next_peer, PeerAccount::success};
constexpr RetryDecision kSamePeer{RetryAction::same_peer_new_connection, PeerAccount::untouched};
constexpr RetryDecision kPass{RetryAction::pass_response, PeerAccount::success};

RetryDecision give_up(PeerAccount account, int status, Reason reason) {
  return {RetryAction::give_up, account, status, reason};
}

TEST(RetryPolicy, DefaultsRetryErrorsAndTimeoutsOnly) {
  const RetryRules rules;
  for (const Reason reason :
       {Reason::connect_failed, Reason::connect_timeout, Reason::upstream_handshake, Reason::upstream_send,
        Reason::upstream_send_timeout, Reason::upstream_read, Reason::upstream_read_timeout, Reason::upstream_closed}) {
    EXPECT_EQ(decide_retry(rules, failed(reason)), kNext) << row(reason).label;
  }
  for (const Reason reason : {Reason::upstream_invalid_head, Reason::upstream_head_too_large,
                              Reason::upstream_bad_framing, Reason::upstream_bad_interim}) {
    EXPECT_EQ(decide_retry(rules, failed(reason)), give_up(PeerAccount::failure, 502, reason)) << row(reason).label;
    EXPECT_EQ(decide_retry({NextUpstream::invalid_header}, failed(reason)), kNext) << row(reason).label;
  }
  EXPECT_EQ(decide_retry(rules, failed(Reason::upstream_status, 503)), kPass);
}

TEST(RetryPolicy, OffStillCountsTheFailure) {
  const RetryRules off{NextUpstreamSet{}};
  EXPECT_EQ(decide_retry(off, failed(Reason::connect_failed)),
            give_up(PeerAccount::failure, 502, Reason::connect_failed));
  EXPECT_EQ(decide_retry(off, failed(Reason::upstream_read_timeout)),
            give_up(PeerAccount::failure, 504, Reason::upstream_read_timeout));
}

TEST(RetryPolicy, ListedStatusesMoveOnAndAllButRefusalsCount) {
  const struct {
    int status;
    NextUpstream word;
    RetryDecision listed;
  } rows[] = {
      {500, NextUpstream::http_500, kNext},          {502, NextUpstream::http_502, kNext},
      {503, NextUpstream::http_503, kNext},          {504, NextUpstream::http_504, kNext},
      {429, NextUpstream::http_429, kNext},          {403, NextUpstream::http_403, kNextUncounted},
      {404, NextUpstream::http_404, kNextUncounted},
  };
  for (const auto& each : rows) {
    for (const auto& other : rows) {
      EXPECT_EQ(decide_retry({other.word}, failed(Reason::upstream_status, each.status)),
                each.status == other.status ? each.listed : kPass);
    }
  }
  EXPECT_EQ(decide_retry({NextUpstream::http_500}, failed(Reason::upstream_status, 501)), kPass);
}

TEST(RetryPolicy, TheLastPeersAnswerIsPassedThroughUncounted) {
  FailedAttempt attempt = failed(Reason::upstream_status, 503);
  attempt.tries = 3;
  EXPECT_EQ(decide_retry({NextUpstream::http_503}, attempt), kPass);
}

TEST(RetryPolicy, TriesEndWithTheLimit) {
  FailedAttempt attempt = failed(Reason::connect_timeout);
  attempt.tries = 2;
  EXPECT_EQ(decide_retry({}, attempt), kNext);
  attempt.tries = 3;
  EXPECT_EQ(decide_retry({}, attempt), give_up(PeerAccount::failure, 504, Reason::connect_timeout));
}

TEST(RetryPolicy, TheTimeLimitIsInclusiveAndZeroMeansNone) {
  const RetryRules limited{RetryRules{}.conditions, std::chrono::seconds(5)};
  FailedAttempt attempt = failed(Reason::connect_failed);
  attempt.elapsed = Milliseconds(4999);
  EXPECT_EQ(decide_retry(limited, attempt), kNext);
  attempt.elapsed = Milliseconds(5000);
  EXPECT_EQ(decide_retry(limited, attempt).action, RetryAction::give_up);
  EXPECT_EQ(decide_retry(limited, stale(attempt)).action, RetryAction::give_up);
  attempt.elapsed = std::chrono::hours(1);
  EXPECT_EQ(decide_retry({}, attempt), kNext);
}

TEST(RetryPolicy, ASentPostNeedsNonIdempotent) {
  RetryRules rules;
  const FailedAttempt sent = post(failed(Reason::upstream_read));
  EXPECT_EQ(decide_retry(rules, sent), give_up(PeerAccount::failure, 502, Reason::upstream_read));
  FailedAttempt unsent = sent;
  unsent.request = RequestProgress::nothing_sent;
  EXPECT_EQ(decide_retry(rules, unsent), kNext);
  rules.conditions |= NextUpstream::http_503;
  EXPECT_EQ(decide_retry(rules, post(failed(Reason::upstream_status, 503))), kPass);
  rules.conditions |= NextUpstream::non_idempotent;
  EXPECT_EQ(decide_retry(rules, sent), kNext);
  EXPECT_EQ(decide_retry(rules, post(failed(Reason::upstream_status, 503))), kNext);
}

TEST(RetryPolicy, AConsumedBodyCannotBeSentAgain) {
  FailedAttempt attempt = failed(Reason::upstream_read);
  attempt.body = BodyReplay::consumed;
  EXPECT_EQ(decide_retry({}, attempt), give_up(PeerAccount::failure, 502, Reason::upstream_read));
  EXPECT_EQ(decide_retry({}, stale(attempt)), give_up(PeerAccount::untouched, 502, Reason::upstream_read));
  attempt.request = RequestProgress::nothing_sent;
  EXPECT_EQ(decide_retry({}, attempt), kNext);
}

TEST(RetryPolicy, NothingIsRepeatedOnceTheClientSawTheResponse) {
  FailedAttempt attempt = failed(Reason::upstream_closed);
  attempt.client = ClientProgress::response_begun;
  attempt.connection = ConnectionUse::reused;
  EXPECT_EQ(decide_retry({}, attempt), give_up(PeerAccount::success, 502, Reason::upstream_closed));
}

TEST(RetryPolicy, ReasonsThatAreNoPeersDoingEndTheExchangeAndBlameNoPeer) {
  for (const Reason reason : {Reason::no_live_upstream, Reason::unresolved, Reason::spill_failed, Reason::canceled}) {
    EXPECT_EQ(decide_retry({}, failed(reason)), give_up(PeerAccount::untouched, row(reason).status, reason));
  }
}

TEST(StaleConnection, AnIdempotentRequestIsRepeatedOnTheSamePeerWithoutBlame) {
  for (const Reason reason : {Reason::upstream_send, Reason::upstream_read, Reason::upstream_closed}) {
    EXPECT_EQ(decide_retry({}, stale(failed(reason))), kSamePeer) << row(reason).label;
    EXPECT_EQ(decide_retry({NextUpstreamSet{}}, stale(failed(reason))), kSamePeer)
        << "even with proxy_next_upstream off";
  }
  FailedAttempt only_peer = stale(failed(Reason::upstream_closed));
  only_peer.tries_limit = 1;
  EXPECT_EQ(decide_retry({}, only_peer), kSamePeer);
}

TEST(StaleConnection, APostIsRepeatedOnlyIfNoByteWasSentOrItIsAllowed) {
  FailedAttempt attempt = post(stale(failed(Reason::upstream_closed)));
  EXPECT_EQ(decide_retry({}, attempt), give_up(PeerAccount::untouched, 502, Reason::upstream_closed));
  EXPECT_EQ(decide_retry({NextUpstream::error | NextUpstream::non_idempotent}, attempt), kSamePeer);
  attempt.request = RequestProgress::nothing_sent;
  EXPECT_EQ(decide_retry({}, attempt), kSamePeer);
}

TEST(StaleConnection, ATimeoutOrAByteOfAResponseMakesItAnOrdinaryFailure) {
  EXPECT_EQ(decide_retry({}, stale(failed(Reason::upstream_read_timeout))), kNext);
  FailedAttempt answered = failed(Reason::upstream_closed);
  answered.connection = ConnectionUse::reused;
  EXPECT_EQ(decide_retry({}, answered), kNext);
}

TEST(RetryPolicy, ConditionsComeFromTheConfigurationsBits) {
  EXPECT_EQ(NextUpstreamSet::from_bits(0), NextUpstreamSet{});
  EXPECT_EQ(NextUpstreamSet::from_bits(0b11), NextUpstream::error | NextUpstream::timeout);
  EXPECT_EQ(NextUpstreamSet::from_bits(0xffff'f400), NextUpstreamSet(NextUpstream::non_idempotent));
}

TEST(RetryPolicy, NginxsListOfMethodsThatMayNotBeRepeated) {
  for (const char* method : {"POST", "LOCK", "PATCH"}) EXPECT_EQ(idempotence(method), Idempotence::non_idempotent);
  for (const char* method : {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PROPFIND", "post"}) {
    EXPECT_EQ(idempotence(method), Idempotence::idempotent) << method;
  }
}

TEST(RetryPolicy, AnEmptyBudgetTurnsARetryIntoTheEnd) {
  RetryBudget empty(RetryBudgetSpec{0, 0});
  EXPECT_EQ(decide_retry({}, failed(Reason::connect_timeout), empty, kNow),
            give_up(PeerAccount::failure, 504, Reason::connect_timeout));
  EXPECT_EQ(decide_retry({NextUpstream::http_503}, failed(Reason::upstream_status, 503), empty, kNow), kPass);
  EXPECT_EQ(decide_retry({}, stale(failed(Reason::upstream_closed)), empty, kNow), kSamePeer);
}

TEST(RetryPolicy, OnlyRetriesAtAnotherPeerAreCharged) {
  RetryBudget budget(RetryBudgetSpec{0, 1});  // ten in the window
  for (int i = 0; i < 100; ++i) {
    (void)decide_retry({}, stale(failed(Reason::upstream_closed)), budget, kNow);
    (void)decide_retry({}, failed(Reason::upstream_status, 404), budget, kNow);
  }
  for (int i = 0; i < 10; ++i) EXPECT_EQ(decide_retry({}, failed(Reason::connect_failed), budget, kNow), kNext);
  EXPECT_EQ(decide_retry({}, failed(Reason::connect_failed), budget, kNow).action, RetryAction::give_up);
}

}  // namespace
}  // namespace gatehouse::upstream
