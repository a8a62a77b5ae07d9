#include "certs/certificate_info.hpp"

#include <ctime>
#include <memory>

#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "certs/openssl_types.hpp"
#include "certs/x509_text.hpp"

namespace gatehouse::certs {
namespace {

std::vector<std::string> subject_names(const X509& certificate) {
  std::vector<std::string> names;
  using NamesPtr = std::unique_ptr<GENERAL_NAMES, FreeWith<GENERAL_NAMES_free>>;
  const NamesPtr alternatives(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; alternatives && i < sk_GENERAL_NAME_num(alternatives.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(alternatives.get(), i);
    if (name->type == GEN_DNS) {
      const auto* text = reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName));
      names.emplace_back(text, static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
    } else if (name->type == GEN_IPADD) {
      names.push_back(address_text(*name->d.iPAddress));
    }
  }
  if (!names.empty()) return names;
  const X509_NAME* subject = X509_get_subject_name(&certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at < 0) return names;
  unsigned char* utf8 = nullptr;
  const int size = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
  if (size >= 0) {
    names.emplace_back(reinterpret_cast<const char*>(utf8), static_cast<std::size_t>(size));
    OPENSSL_free(utf8);
  }
  return names;
}

}  // namespace

CertificateInfo inspect(const X509& certificate, std::string path) {
  CertificateInfo info;
  info.path = std::move(path);
  info.subject = rfc2253_text(*X509_get_subject_name(&certificate));
  info.issuer = rfc2253_text(*X509_get_issuer_name(&certificate));
  info.serial = serial_text(certificate);
  info.sha1 = sha1_text(certificate);
  info.names = subject_names(certificate);
  info.not_before = to_time_point(*X509_get0_notBefore(&certificate));
  info.not_after = to_time_point(*X509_get0_notAfter(&certificate));
  if (const EVP_PKEY* key = X509_get0_pubkey(&certificate)) {
    if (const char* type = EVP_PKEY_get0_type_name(key)) info.key_type = type;
  }
  return info;
}

}  // namespace gatehouse::certs
