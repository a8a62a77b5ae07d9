#include <fmt/format.h>

#include "proxy/exchange/read_body.hpp"
#include "proxy/exchange/upstream/upstream_run.hpp"

namespace gatehouse::exchange {

std::uint32_t stale_words(Reason reason) {
  switch (reason) {
    case Reason::connect_timeout:
    case Reason::upstream_send_timeout:
    case Reason::upstream_read_timeout: return config::next_timeout;
    case Reason::upstream_invalid_head:
    case Reason::upstream_head_too_large:
    case Reason::upstream_bad_framing:
    case Reason::upstream_bad_interim: return config::next_invalid_header;
    default: return config::next_error;
  }
}

std::uint32_t stale_words(int status) {
  switch (status) {
    case 500: return config::next_http_500;
    case 502: return config::next_http_502;
    case 503: return config::next_http_503;
    case 504: return config::next_http_504;
    case 403: return config::next_http_403;
    case 404: return config::next_http_404;
    case 429: return config::next_http_429;
    default: return 0;
  }
}

bool UpstreamRun::is_retriable_status(int status) const {
  return (ex_.settings().proxy_next_upstream & stale_words(status)) != 0;
}

void UpstreamRun::log_failure(Error error) {
  if (error.reason == Reason::upstream_status) return;
  std::string text = describe(error);
  switch (error.reason) {
    case Reason::connect_failed: text += " while connecting to upstream"; break;
    case Reason::connect_timeout:
      text = "upstream timed out (110: Connection timed out) while connecting to upstream";
      break;
    case Reason::upstream_handshake:
      text =
          fmt::format("{} while SSL handshaking to upstream", ex_.detail.empty() ? std::string_view(text) : ex_.detail);
      break;
    case Reason::upstream_send:
      text = fmt::format("send() failed ({}: {}) while sending request to upstream", error.os_error,
                         std::generic_category().message(error.os_error));
      break;
    case Reason::upstream_send_timeout:
      text = "upstream timed out (110: Connection timed out) while sending request to upstream";
      break;
    case Reason::upstream_read_timeout:
      text = "upstream timed out (110: Connection timed out) while reading response header from upstream";
      break;
    case Reason::upstream_read:
      text = fmt::format("recv() failed ({}: {}) while reading response header from upstream", error.os_error,
                         std::generic_category().message(error.os_error));
      break;
    default: text += " while reading response header from upstream"; break;
  }
  ex_.log(LogLevel::error, text);
}

// Accounts for the failure and says whether another attempt follows; if not, the exchange has its answer.
bool UpstreamRun::retry(const AttemptEnd& end) {
  current().response_time = elapsed(try_began_);
  if (end.error.reason == Reason::client_closed || ex_.downstream.client_gone()) {
    if (peer_) cluster().on_success(*peer_);
    ex_.log(LogLevel::info, "client prematurely closed connection, so upstream connection is closed too");
    ex_.reason = Reason::client_closed;
    ex_.response.status = 499;
    ex_.downstream.abort();
    return false;
  }
  if (row(end.error.reason).blame != Blame::upstream) {
    if (peer_) cluster().on_success(*peer_);
    fail_reading_body(ex_, end.error);
    return false;
  }
  log_failure(end.error);
  ex_.debug("http next upstream: {}", row(end.error.reason).text);
  if (end.error.reason == Reason::connect_timeout || end.error.reason == Reason::upstream_read_timeout) {
    current().status = current().status == 0 ? 504 : current().status;
  } else if (current().status == 0) {
    current().status = 502;
  }
  const upstream::RetryRules rules{upstream::NextUpstreamSet::from_bits(ex_.settings().proxy_next_upstream),
                                   ex_.settings().proxy_next_upstream_timeout};
  upstream::FailedAttempt failed;
  failed.reason = end.error.reason;
  failed.status = end.status;
  failed.method = upstream::idempotence(ex_.method_text);
  failed.request = request_sent_ ? upstream::RequestProgress::sent : upstream::RequestProgress::nothing_sent;
  failed.body = streamed_bytes_gone_ ? upstream::BodyReplay::consumed : upstream::BodyReplay::possible;
  failed.client =
      ex_.downstream.head_sent() ? upstream::ClientProgress::response_begun : upstream::ClientProgress::nothing_sent;
  failed.connection = !reused_              ? upstream::ConnectionUse::fresh
                      : response_byte_seen_ ? upstream::ConnectionUse::reused
                                            : upstream::ConnectionUse::reused_silent;
  failed.tries = tries_;
  failed.tries_limit = tries_limit_;
  failed.elapsed = elapsed(first_try_);
  const auto decision = upstream::decide_retry(rules, failed, target_.cluster->retry_budget(), ex_.now());
  switch (decision.account) {
    case upstream::PeerAccount::failure:
      if (cluster().on_failure(*peer_, ex_.now()) == upstream::FailureEffect::disabled) {
        ex_.log(LogLevel::warn, "upstream server temporarily disabled");
      }
      break;
    case upstream::PeerAccount::success: cluster().on_success(*peer_); break;
    case upstream::PeerAccount::untouched: break;
  }
  switch (decision.action) {
    case upstream::RetryAction::same_peer_new_connection:
      only_fresh_ = true;
      ex_.tries.pop_back();
      ex_.thread.metrics.upstream_retries.add();
      return true;
    case upstream::RetryAction::next_peer: {
      only_fresh_ = false;
      upstream::PeerLease failed_peer = std::exchange(peer_, {});
      if (pick()) {
        ex_.thread.metrics.upstream_retries.add();
        return true;
      }
      // Nobody is left to ask: a listed status is passed on after all.
      peer_ = std::move(failed_peer);
      break;
    }
    case upstream::RetryAction::pass_response: return false;
    case upstream::RetryAction::give_up: break;
  }
  const Reason why = decision.reason != Reason::none ? decision.reason : end.error.reason;
  const int status = decision.status != 0 ? decision.status : row(why).status;
  if (end.error.reason != Reason::upstream_status && !stale_serves(stale_words(end.error.reason)))
    ex_.reply(status, why);
  return false;
}

}  // namespace gatehouse::exchange
