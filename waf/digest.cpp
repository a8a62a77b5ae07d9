#include "waf/digest.hpp"

#include <array>
#include <cstdint>
#include <stdexcept>

#include <openssl/evp.h>

namespace gatehouse::waf {
namespace {

std::string to_hex(const unsigned char* bytes, unsigned size) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  for (unsigned i = 0; i < size; ++i) {
    hex.push_back(kDigits[bytes[i] >> 4]);
    hex.push_back(kDigits[bytes[i] & 0xf]);
  }
  return hex;
}

}  // namespace

struct Digest::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();

  State() = default;
  ~State() { EVP_MD_CTX_free(context); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
};

Digest::Digest() : state_(std::make_unique<State>()) {
  if (state_->context == nullptr || EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) != 1)
    throw std::runtime_error("SHA-256 is not available");
}

Digest::~Digest() = default;

Digest& Digest::add(std::string_view text) {
  const std::uint64_t size = text.size();
  if (EVP_DigestUpdate(state_->context, &size, sizeof size) != 1 ||
      EVP_DigestUpdate(state_->context, text.data(), text.size()) != 1)
    throw std::runtime_error("SHA-256 failed");
  return *this;
}

std::string Digest::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> value{};
  unsigned size = 0;
  if (EVP_DigestFinal_ex(state_->context, value.data(), &size) != 1) throw std::runtime_error("SHA-256 failed");
  return to_hex(value.data(), size);
}

std::string md5_hex(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> value{};
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), value.data(), &size, EVP_md5(), nullptr) != 1) return {};
  return to_hex(value.data(), size);
}

}  // namespace gatehouse::waf
