// What follows a failed attempt at an upstream: another peer, the same peer on a new connection, or the end.
#pragma once

#include <cstdint>
#include <string_view>

#include "proxy/base/error.hpp"
#include "proxy/base/units.hpp"
#include "proxy/upstream/retry_budget.hpp"

namespace gatehouse::upstream {

/// The words of `proxy_next_upstream`; `off` is the empty set.
enum class NextUpstream : std::uint16_t {
  error = 1 << 0,
  timeout = 1 << 1,
  invalid_header = 1 << 2,
  http_500 = 1 << 3,
  http_502 = 1 << 4,
  http_503 = 1 << 5,
  http_504 = 1 << 6,
  http_403 = 1 << 7,
  http_404 = 1 << 8,
  http_429 = 1 << 9,
  non_idempotent = 1 << 10,
};

/// A set of NextUpstream words.
class NextUpstreamSet {
 public:
  constexpr NextUpstreamSet() = default;
  // Implicit: a word is the set of itself.
  constexpr NextUpstreamSet(NextUpstream word) : bits_(static_cast<std::uint16_t>(word)) {}  // NOLINT
  /// From the configuration's bits, which are those of NextUpstream; others are ignored.
  [[nodiscard]] static constexpr NextUpstreamSet from_bits(std::uint32_t bits) {
    NextUpstreamSet set;
    set.bits_ = static_cast<std::uint16_t>(bits & 0x7ff);
    return set;
  }
  [[nodiscard]] constexpr bool contains(NextUpstream word) const {
    return (bits_ & static_cast<std::uint16_t>(word)) != 0;
  }
  constexpr NextUpstreamSet& operator|=(NextUpstreamSet other) {
    bits_ = static_cast<std::uint16_t>(bits_ | other.bits_);
    return *this;
  }
  friend constexpr NextUpstreamSet operator|(NextUpstreamSet a, NextUpstreamSet b) { return a |= b; }
  friend constexpr bool operator==(NextUpstreamSet, NextUpstreamSet) = default;

 private:
  std::uint16_t bits_ = 0;
};

constexpr NextUpstreamSet operator|(NextUpstream a, NextUpstream b) { return NextUpstreamSet(a) | NextUpstreamSet(b); }

/// `proxy_next_upstream*` of a location, with nginx's defaults.
struct RetryRules {
  NextUpstreamSet conditions = NextUpstream::error | NextUpstream::timeout;
  Milliseconds timeout{0};  ///< since the first try; 0: no limit
};

/// Whether repeating a request that may have been acted on is harmless: by nginx's list, POST, LOCK and PATCH are not.
enum class Idempotence : std::uint8_t { idempotent, non_idempotent };
[[nodiscard]] Idempotence idempotence(std::string_view method) noexcept;

/// How much of the request went out in the failed attempt.
enum class RequestProgress : std::uint8_t {
  nothing_sent,  ///< no byte was accepted by the kernel (connect or handshake failed, or the first write did)
  sent,          ///< at least one byte may have reached the peer
};

/// Whether the whole request can be sent again.
enum class BodyReplay : std::uint8_t {
  possible,  ///< no body, or all of it is buffered
  consumed,  ///< streamed (proxy_request_buffering off) and bytes are gone
};

/// What the client has seen so far.
enum class ClientProgress : std::uint8_t { nothing_sent, response_begun };

/// What the failed attempt ran on.
enum class ConnectionUse : std::uint8_t {
  fresh,          ///< made for this attempt
  reused_silent,  ///< from the pool, and not one byte of a response came
  reused,         ///< from the pool, and bytes of a response came
};

/// Everything that decides what follows a failed attempt.
struct FailedAttempt {
  Reason reason = Reason::none;  ///< a reason whose blame is upstream
  int status = 0;                ///< the peer's answer when reason is upstream_status; ask about any status >= 300
  Idempotence method = Idempotence::idempotent;
  RequestProgress request = RequestProgress::nothing_sent;
  BodyReplay body = BodyReplay::possible;
  ClientProgress client = ClientProgress::nothing_sent;
  ConnectionUse connection = ConnectionUse::fresh;
  std::uint32_t tries = 1;        ///< peers tried so far, this one included; a stale connection's retry is no new try
  std::uint32_t tries_limit = 1;  ///< Cluster::tries()
  Milliseconds elapsed{0};        ///< since the first try began
};

/// What to do next.
enum class RetryAction : std::uint8_t {
  next_peer,                 ///< release this peer, pick another
  same_peer_new_connection,  ///< keep this peer, never take its connection from the pool
  pass_response,             ///< give the client the answer that the peer gave
  give_up,                   ///< answer the client with `status`, or cut it if its response has begun
};

/// What the failed attempt means for its peer: which of Cluster's calls to make.
enum class PeerAccount : std::uint8_t {
  failure,    ///< on_failure()
  success,    ///< on_success(): it answered
  untouched,  ///< neither: says nothing about the peer
};

/// The verdict on a failed attempt.
struct RetryDecision {
  RetryAction action = RetryAction::give_up;
  PeerAccount account = PeerAccount::untouched;
  int status = 0;                ///< for give_up: what the client is told (nginx's: 504 for a timeout, 502 otherwise)
  Reason reason = Reason::none;  ///< why the exchange ends, for the log; only for give_up

  friend bool operator==(const RetryDecision&, const RetryDecision&) = default;
};

/// Decides by nginx's rules (ngx_http_upstream_next, ngx_http_upstream_test_next) plus one for stale pooled
/// connections; the table stands in retry_policy.cpp. Pure.
[[nodiscard]] RetryDecision decide_retry(const RetryRules& rules, const FailedAttempt& failed) noexcept;

/// The same under a budget: a retry at another peer that the budget can't pay becomes the end of the exchange.
[[nodiscard]] RetryDecision decide_retry(const RetryRules& rules, const FailedAttempt& failed, RetryBudget& budget,
                                         TimePoint now) noexcept;

}  // namespace gatehouse::upstream
