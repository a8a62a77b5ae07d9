#include "proxy/base/digest.hpp"

#include <openssl/evp.h>

namespace gatehouse {
namespace {

constexpr std::string_view kDigits = "0123456789abcdef";

std::optional<std::uint8_t> digit(char c) noexcept {
  const std::size_t at = kDigits.find(c);
  return at == std::string_view::npos ? std::nullopt : std::optional(static_cast<std::uint8_t>(at));
}

}  // namespace

Digest digest_of(std::string_view text) {
  Digest digest;
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), digest.bytes.data(), &size, EVP_md5(), nullptr);
  return digest;
}

std::string hex(const Digest& digest) {
  std::string text;
  text.reserve(32);
  for (const std::uint8_t byte : digest.bytes) {
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  return text;
}

std::optional<Digest> parse_hex(std::string_view text) noexcept {
  if (text.size() != 32) return std::nullopt;
  Digest digest;
  for (std::size_t i = 0; i < 16; ++i) {
    const auto high = digit(text[2 * i]);
    const auto low = digit(text[2 * i + 1]);
    if (!high || !low) return std::nullopt;
    digest.bytes[i] = static_cast<std::uint8_t>(*high << 4 | *low);
  }
  return digest;
}

}  // namespace gatehouse
