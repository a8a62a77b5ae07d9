// OpenSSL's error queue made into one log line, and the judgement how loud that line has to be.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/base/error.hpp"

namespace gatehouse::certs {

/// Empties this thread's error queue into nginx's wording, `(SSL: error:0A000126:SSL routines::unexpected eof while
/// reading)`; empty text if nothing was queued. Call it after every failed OpenSSL call: what stays queued is blamed on
/// the next connection.
[[nodiscard]] std::string drain_openssl_errors();

/// `text` followed by the drained queue, separated by a blank when there was anything queued.
[[nodiscard]] std::string with_openssl_errors(std::string_view text);

/// Error log levels a TLS failure can have (nginx's `info`, `error`, `crit`).
enum class TlsLogLevel : std::uint8_t { info, error, critical };

/// Which end of the proxy the failed connection is on.
enum class TlsSide : std::uint8_t { downstream, upstream };

/// A failed TLS operation: its reason for metrics and answers, and its line for the error log.
struct TlsFailure {
  Reason reason;
  TlsLogLevel level;
  std::string text;
};

/// Judges a failed SSL_do_handshake/SSL_read/SSL_write from what it left behind; drains the error queue.
/// `operation` begins the text ("SSL_do_handshake() failed"), `ssl_error` is SSL_get_error()'s answer, `os_error` the
/// errno of that moment. What a hostile or broken client can cause at will is `info`, so that it can't fill the log;
/// what only we can cause is `critical`.
[[nodiscard]] TlsFailure judge_tls_failure(TlsSide side, std::string_view operation, int ssl_error, int os_error);

/// First byte of a TLS record that starts a handshake (or of an SSLv2 hello, which OpenSSL refuses by itself).
[[nodiscard]] constexpr bool may_start_tls(unsigned char first_byte) noexcept {
  return (first_byte & 0x80) != 0 || first_byte == 0x16;
}

}  // namespace gatehouse::certs
