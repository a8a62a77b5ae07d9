// The decision table, first matching row wins. "sent": bytes of the request may have reached the peer. "allowed": the
// method is idempotent, or nothing was sent, or `non_idempotent` is listed. "replayable": nothing was sent, or all of
// the body is buffered.
//
//   what happened                                   | condition                          | action           | account
//   ------------------------------------------------|------------------------------------|------------------|----------
//   response already begun at the client            |                                    | give up          | success
//   (1) not a failure of a peer (no live peer, our own) |                                    | give up          |
//   untouched status                                          | listed, tries left, in time,       | next peer        |
//   failure;
//                                                   |   allowed, replayable              |                  |  403,
//                                                   404: success
//   status                                          | otherwise                          | pass response    | success
//   (1) error, pooled connection, no response byte (2)  | in time, allowed, replayable       | same peer, fresh |
//   untouched error, pooled connection, no response byte (2)  | otherwise                          | give up          |
//   untouched error, timeout, invalid header                  | listed, tries left, in time,       | next peer        |
//   failure
//                                                   |   allowed, replayable              |                  |
//   error, timeout, invalid header                  | otherwise                          | give up          | failure
//
// (1) As nginx: ngx_http_upstream_finalize_request frees the peer without a failure. So the answer of the last peer,
// passed
//     through, doesn't count either.
// (2) The peer closed an idle connection just as we took it (RFC 9112 section 9.3.1). That is no sign of a sick peer,
// so it
//     isn't counted, takes no try, and is repeated even if `error` isn't listed: the request doesn't move to another
//     upstream. nginx counts it, and moves on. RFC 9110 section 9.2.2 lets a proxy repeat idempotent methods only: a
//     POST of which a byte was sent may have been acted on, and nothing can prove otherwise. The pool makes that rare:
//     a connection that became readable leaves it, and a last look (peek) precedes each reuse. The retry ends at the
//     first fresh connection, so there is at most one for each peer.
#include "proxy/upstream/retry_policy.hpp"

#include <optional>

namespace gatehouse::upstream {
namespace {

// The condition that a peer's failure falls under; nullopt for what is no peer's doing.
std::optional<NextUpstream> condition_of(Reason reason) noexcept {
  struct Row {
    Reason reason;
    NextUpstream condition;
  };
  static constexpr Row kRows[] = {
      {Reason::connect_failed, NextUpstream::error},
      {Reason::connect_timeout, NextUpstream::timeout},
      {Reason::upstream_handshake, NextUpstream::error},
      {Reason::upstream_send, NextUpstream::error},
      {Reason::upstream_send_timeout, NextUpstream::timeout},
      {Reason::upstream_read, NextUpstream::error},
      {Reason::upstream_read_timeout, NextUpstream::timeout},
      {Reason::upstream_closed, NextUpstream::error},
      {Reason::upstream_invalid_head, NextUpstream::invalid_header},
      {Reason::upstream_head_too_large, NextUpstream::invalid_header},
      {Reason::upstream_bad_framing, NextUpstream::invalid_header},
      {Reason::upstream_bad_interim, NextUpstream::invalid_header},
  };
  for (const Row& row : kRows) {
    if (row.reason == reason) return row.condition;
  }
  return std::nullopt;
}

std::optional<NextUpstream> condition_of_status(int status) noexcept {
  switch (status) {
    case 500: return NextUpstream::http_500;
    case 502: return NextUpstream::http_502;
    case 503: return NextUpstream::http_503;
    case 504: return NextUpstream::http_504;
    case 403: return NextUpstream::http_403;
    case 404: return NextUpstream::http_404;
    case 429: return NextUpstream::http_429;
    default: return std::nullopt;
  }
}

RetryDecision give_up(const FailedAttempt& failed, PeerAccount account) noexcept {
  return {RetryAction::give_up, account, row(failed.reason).status, failed.reason};
}

// Whether sending the request once more is possible and harmless, be it to this peer or another.
bool may_repeat(const RetryRules& rules, const FailedAttempt& failed) noexcept {
  if (rules.timeout > Milliseconds::zero() && failed.elapsed >= rules.timeout) return false;
  if (failed.request == RequestProgress::nothing_sent) return true;
  if (failed.body == BodyReplay::consumed) return false;
  return failed.method == Idempotence::idempotent || rules.conditions.contains(NextUpstream::non_idempotent);
}

RetryDecision decide_status(const RetryRules& rules, const FailedAttempt& failed) noexcept {
  const auto condition = condition_of_status(failed.status);
  const bool next = condition && rules.conditions.contains(*condition) && failed.tries < failed.tries_limit &&
                    may_repeat(rules, failed);
  if (!next) return {RetryAction::pass_response, PeerAccount::success};
  const bool refusal = *condition == NextUpstream::http_403 || *condition == NextUpstream::http_404;
  return {RetryAction::next_peer, refusal ? PeerAccount::success : PeerAccount::failure};
}

}  // namespace

Idempotence idempotence(std::string_view method) noexcept {
  const bool repeats = method != "POST" && method != "LOCK" && method != "PATCH";
  return repeats ? Idempotence::idempotent : Idempotence::non_idempotent;
}

RetryDecision decide_retry(const RetryRules& rules, const FailedAttempt& failed) noexcept {
  if (failed.client == ClientProgress::response_begun) return give_up(failed, PeerAccount::success);
  if (failed.reason == Reason::upstream_status) return decide_status(rules, failed);
  const auto condition = condition_of(failed.reason);
  if (!condition) return give_up(failed, PeerAccount::untouched);
  if (*condition == NextUpstream::error && failed.connection == ConnectionUse::reused_silent) {
    if (!may_repeat(rules, failed)) return give_up(failed, PeerAccount::untouched);
    return {RetryAction::same_peer_new_connection, PeerAccount::untouched};
  }
  const bool next =
      rules.conditions.contains(*condition) && failed.tries < failed.tries_limit && may_repeat(rules, failed);
  if (!next) return give_up(failed, PeerAccount::failure);
  return {RetryAction::next_peer, PeerAccount::failure};
}

RetryDecision decide_retry(const RetryRules& rules, const FailedAttempt& failed, RetryBudget& budget,
                           TimePoint now) noexcept {
  const RetryDecision decision = decide_retry(rules, failed);
  if (decision.action != RetryAction::next_peer || budget.try_spend(now)) return decision;
  if (failed.reason == Reason::upstream_status) return {RetryAction::pass_response, PeerAccount::success};
  return give_up(failed, decision.account);
}

}  // namespace gatehouse::upstream
