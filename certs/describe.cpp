#include "certs/describe.hpp"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <openssl/objects.h>

#include "certs/server_connection.hpp"
#include "certs/x509_text.hpp"

namespace gatehouse::certs {
namespace {

const X509* peer(const SSL& ssl) { return SSL_get0_peer_certificate(&ssl); }

std::string group_text(long nid) {
  if ((nid & TLSEXT_nid_unknown) != 0) return fmt::format("0x{:04x}", static_cast<unsigned>(nid & 0xffff));
  const char* name = OBJ_nid2sn(static_cast<int>(nid));
  return name != nullptr ? name : "";
}

/// RFC 3986 section 2.3: everything but the unreserved characters.
std::string percent_encoded(std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size() * 5 / 4);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
                       byte == '-' || byte == '.' || byte == '_' || byte == '~';
    if (plain) {
      out += c;
    } else {
      out += '%';
      out += digits[byte >> 4];
      out += digits[byte & 15];
    }
  }
  return out;
}

}  // namespace

std::string ssl_protocol(const SSL& ssl) { return SSL_get_version(&ssl); }

std::string ssl_cipher(const SSL& ssl) {
  const SSL_CIPHER* cipher = SSL_get_current_cipher(&ssl);
  return cipher != nullptr ? SSL_CIPHER_get_name(cipher) : "";
}

std::string ssl_ciphers(SSL& ssl) {
  const unsigned char* raw = nullptr;
  const long size = SSL_get0_raw_cipherlist(&ssl, static_cast<void*>(&raw));
  std::string text;
  for (long i = 0; raw != nullptr && i + 1 < size; i += 2) {
    if (i != 0) text += ':';
    const SSL_CIPHER* cipher = SSL_CIPHER_find(&ssl, raw + i);
    text += cipher != nullptr ? std::string(SSL_CIPHER_get_name(cipher)) : "0x" + hex_text(raw + i, 2);
  }
  return text;
}

std::string ssl_curve(SSL& ssl) {
  if (SSL_get0_session(&ssl) == nullptr) return {};  // OpenSSL would follow the null pointer
  const long nid = SSL_get_negotiated_group(&ssl);
  return nid > 0 ? group_text(nid) : std::string();
}

std::string ssl_curves(SSL& ssl) {
  const long count = SSL_get1_groups(&ssl, nullptr);
  if (count <= 0) return {};
  std::vector<int> groups(static_cast<std::size_t>(count));
  SSL_get1_groups(&ssl, groups.data());
  std::string text;
  for (const int group : groups) {
    if (!text.empty()) text += ':';
    text += group_text(group);
  }
  return text;
}

std::string ssl_alpn_protocol(const SSL& ssl) {
  const unsigned char* name = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(&ssl, &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

std::string ssl_server_name(const SSL& ssl) { return std::string(server_name(ssl)); }

std::string ssl_session_id(const SSL& ssl) {
  const SSL_SESSION* session = SSL_get0_session(&ssl);
  if (session == nullptr) return {};
  unsigned int size = 0;
  const unsigned char* id = SSL_SESSION_get_id(session, &size);
  return hex_text(id, size);
}

std::string ssl_session_reused(const SSL& ssl) { return SSL_session_reused(&ssl) == 1 ? "r" : "."; }

std::string ssl_early_data(const SSL& ssl) { return SSL_is_init_finished(&ssl) == 1 ? "" : "1"; }

std::string ssl_client_verify(const SSL& ssl) {
  if (peer(ssl) == nullptr) return "NONE";
  const long code = SSL_get_verify_result(&ssl);
  if (const auto revoked = text_of(noted_revocation(ssl)); !revoked.empty()) return fmt::format("FAILED:{}", revoked);
  return code == X509_V_OK ? std::string("SUCCESS") : fmt::format("FAILED:{}", X509_verify_cert_error_string(code));
}

std::string ssl_client_s_dn(const SSL& ssl) {
  const X509* certificate = peer(ssl);
  return certificate != nullptr ? rfc2253_text(*X509_get_subject_name(certificate)) : std::string();
}

std::string ssl_client_i_dn(const SSL& ssl) {
  const X509* certificate = peer(ssl);
  return certificate != nullptr ? rfc2253_text(*X509_get_issuer_name(certificate)) : std::string();
}

std::string ssl_client_s_dn_legacy(const SSL& ssl) {
  const X509* certificate = peer(ssl);
  return certificate != nullptr ? legacy_text(*X509_get_subject_name(certificate)) : std::string();
}

std::string ssl_client_i_dn_legacy(const SSL& ssl) {
  const X509* certificate = peer(ssl);
  return certificate != nullptr ? legacy_text(*X509_get_issuer_name(certificate)) : std::string();
}

std::string ssl_client_serial(const SSL& ssl) {
  const X509* certificate = peer(ssl);
  return certificate != nullptr ? serial_text(*certificate) : std::string();
}

std::string ssl_client_fingerprint(const SSL& ssl) {
  const X509* certificate = peer(ssl);
  return certificate != nullptr ? sha1_text(*certificate) : std::string();
}

std::string ssl_client_raw_cert(const SSL& ssl) {
  const X509* certificate = peer(ssl);
  return certificate != nullptr ? pem_text(*certificate) : std::string();
}

std::string ssl_client_cert(const SSL& ssl) {
  const std::string pem = ssl_client_raw_cert(ssl);
  std::string folded;
  folded.reserve(pem.size() + 64);
  for (std::size_t i = 0; i + 1 < pem.size(); ++i) {  // without the last line end
    folded += pem[i];
    if (pem[i] == '\n') folded += '\t';
  }
  return folded;
}

std::string ssl_client_escaped_cert(const SSL& ssl) { return percent_encoded(ssl_client_raw_cert(ssl)); }

std::string ssl_client_v_start(const SSL& ssl) {
  const X509* certificate = peer(ssl);
  return certificate != nullptr ? time_text(*X509_get0_notBefore(certificate)) : std::string();
}

std::string ssl_client_v_end(const SSL& ssl) {
  const X509* certificate = peer(ssl);
  return certificate != nullptr ? time_text(*X509_get0_notAfter(certificate)) : std::string();
}

std::string ssl_client_v_remain(const SSL& ssl, std::chrono::system_clock::time_point now) {
  const X509* certificate = peer(ssl);
  if (certificate == nullptr) return {};
  const auto left = to_time_point(*X509_get0_notAfter(certificate)) - now;
  const auto days = std::chrono::duration_cast<std::chrono::hours>(left).count() / 24;
  return std::to_string(std::max<long>(days, 0));
}

}  // namespace gatehouse::certs
