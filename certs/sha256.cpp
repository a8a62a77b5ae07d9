#include "certs/sha256.hpp"

#include <cstdint>
#include <stdexcept>

namespace gatehouse::certs {

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  healthy_ = context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1;
}

void Sha256::add(std::string_view bytes) {
  const std::uint64_t size = bytes.size();
  healthy_ = healthy_ && EVP_DigestUpdate(context_.get(), &size, sizeof(size)) == 1 &&
             EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1;
}

void Sha256::add(unsigned char byte) { add(std::string_view(reinterpret_cast<const char*>(&byte), 1)); }

void Sha256::add(const X509& certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509(&certificate, &der);
  healthy_ = healthy_ && size > 0;
  if (size <= 0) return;
  add(std::string_view(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size)));
  OPENSSL_free(der);
}

std::array<unsigned char, 32> Sha256::finish() {
  std::array<unsigned char, 32> digest{};
  if (!healthy_ || EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr) != 1) {
    throw std::runtime_error("SHA-256 is not available");
  }
  return digest;
}

}  // namespace gatehouse::certs
