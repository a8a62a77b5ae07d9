#include "certs/error_queue.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "certs/load_error.hpp"

namespace gatehouse::certs {
namespace {

/// Reasons a client can cause at will (nginx's list in ngx_ssl_connection_error(), plus the alerts, which are a range).
constexpr std::array kCausedByPeer = {
    SSL_R_BAD_CHANGE_CIPHER_SPEC,
    SSL_R_BLOCK_CIPHER_PAD_IS_WRONG,
    SSL_R_DIGEST_CHECK_FAILED,
    SSL_R_ERROR_IN_RECEIVED_CIPHER_LIST,
    SSL_R_EXCESSIVE_MESSAGE_SIZE,
    SSL_R_HTTPS_PROXY_REQUEST,
    SSL_R_HTTP_REQUEST,
    SSL_R_LENGTH_MISMATCH,
    SSL_R_LENGTH_TOO_SHORT,
    SSL_R_NO_CIPHERS_SPECIFIED,
    SSL_R_BAD_DIGEST_LENGTH,
    SSL_R_MISSING_SIGALGS_EXTENSION,
    SSL_R_ENCRYPTED_LENGTH_TOO_LONG,
    SSL_R_BAD_LENGTH,
    SSL_R_NO_SHARED_CIPHER,
    SSL_R_RECORD_LENGTH_MISMATCH,
    SSL_R_TOO_MANY_WARN_ALERTS,
    SSL_R_CLIENTHELLO_TLSEXT,
    SSL_R_PARSE_TLSEXT,
    SSL_R_CALLBACK_FAILED,
    SSL_R_NO_APPLICATION_PROTOCOL,
    SSL_R_UNEXPECTED_MESSAGE,
    SSL_R_UNEXPECTED_RECORD,
    SSL_R_UNKNOWN_ALERT_TYPE,
    SSL_R_UNKNOWN_PROTOCOL,
    SSL_R_NO_SHARED_GROUPS,
    SSL_R_NO_SUITABLE_KEY_SHARE,
    SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM,
    SSL_R_UNSUPPORTED_PROTOCOL,
    SSL_R_WRONG_VERSION_NUMBER,
    SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC,
    SSL_R_BAD_KEY_SHARE,
    SSL_R_BAD_EXTENSION,
    SSL_R_BAD_ECPOINT,
    SSL_R_BAD_SIGNATURE,
    SSL_R_BAD_PACKET,
    SSL_R_BAD_CIPHER,
    SSL_R_BAD_LEGACY_VERSION,
    SSL_R_BAD_RECORD_TYPE,
    SSL_R_BAD_PSK,
    SSL_R_BAD_PROTOCOL_VERSION_NUMBER,
    SSL_R_BINDER_DOES_NOT_VERIFY,
    SSL_R_DATA_LENGTH_TOO_LONG,
    SSL_R_DECRYPTION_FAILED,
    SSL_R_INAPPROPRIATE_FALLBACK,
    SSL_R_INVALID_ALERT,
    SSL_R_NO_RENEGOTIATION,
    SSL_R_NOT_ON_RECORD_BOUNDARY,
    SSL_R_PACKET_LENGTH_TOO_LONG,
    SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE,
    SSL_R_RECORD_TOO_SMALL,
    SSL_R_RENEGOTIATE_EXT_TOO_LONG,
    SSL_R_RENEGOTIATION_ENCODING_ERR,
    SSL_R_RENEGOTIATION_MISMATCH,
    SSL_R_SCSV_RECEIVED_WHEN_RENEGOTIATING,
    SSL_R_SSL3_EXT_INVALID_SERVERNAME,
    SSL_R_SSL3_SESSION_ID_TOO_LONG,
    SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED,
    SSL_R_TLSV13_ALERT_MISSING_EXTENSION,
    SSL_R_UNEXPECTED_EOF_WHILE_READING,
    SSL_R_UNSAFE_LEGACY_RENEGOTIATION_DISABLED,
    SSL_R_UNSOLICITED_EXTENSION,
    SSL_R_UNKNOWN_CIPHER_RETURNED,
    SSL_R_VERSION_TOO_HIGH,
    SSL_R_VERSION_TOO_LOW,
    SSL_R_WRONG_SIGNATURE_LENGTH,
};

/// Alerts the peer sent us are reasons 1000 + alert number (ssl3 and tls alike).
constexpr int kFirstAlertReason = 1000;
constexpr int kLastAlertReason = 1255;

bool caused_by_peer(int library, int reason) {
  if (library != ERR_LIB_SSL) return false;
  if (reason >= kFirstAlertReason && reason <= kLastAlertReason) return true;
  return std::find(kCausedByPeer.begin(), kCausedByPeer.end(), reason) != kCausedByPeer.end();
}

bool connection_gone(int os_error) {
  switch (os_error) {
    case 0:
    case ECONNRESET:
    case EPIPE:
    case ENOTCONN:
    case ETIMEDOUT:
    case ECONNREFUSED:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH: return true;
    default: return false;
  }
}

}  // namespace

void throw_exception_from_error(const LoadError& error, const boost::source_location&) {
  throw std::runtime_error(error.text);
}

std::string drain_openssl_errors() {
  // The texts of libssl and libcrypto; does nothing from the second time on.
  OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS | OPENSSL_INIT_LOAD_CRYPTO_STRINGS, nullptr);
  std::string text;
  const char* data = nullptr;
  int flags = 0;
  while (const unsigned long code = ERR_get_error_all(nullptr, nullptr, nullptr, &data, &flags)) {
    std::array<char, 256> one{};
    ERR_error_string_n(code, one.data(), one.size());
    text += text.empty() ? "(SSL: " : " ";
    text += one.data();
    if ((flags & ERR_TXT_STRING) != 0 && data != nullptr && *data != '\0') text.append(":").append(data);
  }
  if (!text.empty()) text += ')';
  return text;
}

std::string with_openssl_errors(std::string_view text) {
  std::string all(text);
  const std::string queue = drain_openssl_errors();
  if (!queue.empty()) all.append(" ").append(queue);
  return all;
}

TlsFailure judge_tls_failure(TlsSide side, std::string_view operation, int ssl_error, int os_error) {
  const bool upstream = side == TlsSide::upstream;
  TlsFailure failure{upstream ? Reason::upstream_handshake : Reason::handshake_failed, TlsLogLevel::error, {}};
  // The oldest entry is the cause; later ones only say where it passed through.
  const unsigned long code = ERR_peek_error();
  if (ssl_error == SSL_ERROR_ZERO_RETURN || (ssl_error == SSL_ERROR_SYSCALL && code == 0 && os_error == 0)) {
    failure.level = upstream ? TlsLogLevel::error : TlsLogLevel::info;
    failure.text = "peer closed connection in SSL handshake";
    return failure;
  }
  if (ssl_error == SSL_ERROR_SYSCALL && code == 0) {
    failure.level =
        connection_gone(os_error) ? (upstream ? TlsLogLevel::error : TlsLogLevel::info) : TlsLogLevel::critical;
    failure.text = fmt::format("{} ({}: {})", operation, os_error, std::generic_category().message(os_error));
    return failure;
  }
  const int reason = ERR_GET_REASON(code);
  const bool theirs = caused_by_peer(ERR_GET_LIB(code), reason);
  if (!upstream && ERR_GET_LIB(code) == ERR_LIB_SSL &&
      (reason == SSL_R_HTTP_REQUEST || reason == SSL_R_HTTPS_PROXY_REQUEST)) {
    failure.reason = Reason::plain_http_on_tls;
  }
  failure.level = upstream ? TlsLogLevel::error : (theirs ? TlsLogLevel::info : TlsLogLevel::critical);
  failure.text = with_openssl_errors(operation);
  return failure;
}

}  // namespace gatehouse::certs
