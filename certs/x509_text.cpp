#include "certs/x509_text.hpp"

#include <array>
#include <ctime>
#include <string_view>

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "certs/openssl_types.hpp"

namespace gatehouse::certs {
namespace {

/// What `write` puts into a memory BIO; empty if it fails.
template <class Write>
std::string collect(Write write) {
  const BioPtr sink(BIO_new(BIO_s_mem()));
  if (!sink || write(sink.get()) < 0) return {};
  char* start = nullptr;
  const long size = BIO_get_mem_data(sink.get(), &start);
  return size > 0 ? std::string(start, static_cast<std::size_t>(size)) : std::string();
}

}  // namespace

std::string hex_text(const unsigned char* bytes, std::size_t size) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  text.reserve(size * 2);
  for (std::size_t i = 0; i < size; ++i) {
    text += digits[bytes[i] >> 4];
    text += digits[bytes[i] & 15];
  }
  return text;
}

std::string rfc2253_text(const X509_NAME& name) {
  return collect([&](BIO* sink) { return X509_NAME_print_ex(sink, &name, 0, XN_FLAG_RFC2253); });
}

std::string legacy_text(const X509_NAME& name) {
  char* line = X509_NAME_oneline(&name, nullptr, 0);
  std::string text = line != nullptr ? line : "";
  OPENSSL_free(line);
  return text;
}

std::string serial_text(const X509& certificate) {
  return collect([&](BIO* sink) { return i2a_ASN1_INTEGER(sink, X509_get0_serialNumber(&certificate)); });
}

std::string sha1_text(const X509& certificate) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  if (X509_digest(&certificate, EVP_sha1(), digest.data(), &size) != 1) return {};
  return hex_text(digest.data(), size);
}

std::string pem_text(const X509& certificate) {
  return collect([&](BIO* sink) { return PEM_write_bio_X509(sink, &certificate) == 1 ? 0 : -1; });
}

std::string time_text(const ASN1_TIME& time) {
  return collect([&](BIO* sink) { return ASN1_TIME_print(sink, &time) == 1 ? 0 : -1; });
}

std::string address_text(const ASN1_OCTET_STRING& bytes) {
  const int size = ASN1_STRING_length(&bytes);
  if (size != 4 && size != 16) return {};
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(size == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(&bytes), text.data(), text.size());
  return text.data();
}

std::chrono::system_clock::time_point to_time_point(const ASN1_TIME& time) {
  std::tm fields{};
  if (ASN1_TIME_to_tm(&time, &fields) != 1) return {};
  return std::chrono::system_clock::from_time_t(timegm(&fields));
}

}  // namespace gatehouse::certs
