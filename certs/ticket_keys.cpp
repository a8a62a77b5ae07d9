#include "certs/ticket_keys.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>

#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "certs/error_queue.hpp"

namespace gatehouse::certs {
namespace {

using FilePtr = std::unique_ptr<std::FILE, FreeWith<std::fclose>>;

constexpr std::size_t kShortFile = 48;
constexpr std::size_t kLongFile = 80;

bool randomise(TicketKey& key) {
  key.secret_size = 32;
  return RAND_bytes(key.name.data(), static_cast<int>(key.name.size())) == 1 &&
         RAND_priv_bytes(key.hmac.data(), static_cast<int>(key.hmac.size())) == 1 &&
         RAND_priv_bytes(key.aes.data(), static_cast<int>(key.aes.size())) == 1;
}

LoadResult<TicketKey> read_key(const std::string& path) {
  const FilePtr file(std::fopen(path.c_str(), "rbe"));
  if (!file) {
    const int error = errno;
    return LoadError{fmt::format("open() \"{}\" failed ({}: {})", path, error, std::generic_category().message(error))};
  }
  std::array<unsigned char, kLongFile + 1> bytes{};
  const std::size_t size = std::fread(bytes.data(), 1, bytes.size(), file.get());
  if (size != kShortFile && size != kLongFile) return LoadError{fmt::format("\"{}\" must be 48 or 80 bytes", path)};

  // nginx's layouts: name, AES, HMAC of 16 bytes each; or name of 16, then HMAC and AES of 32.
  TicketKey key;
  std::copy_n(bytes.data(), 16, key.name.data());
  if (size == kShortFile) {
    key.secret_size = 16;
    std::copy_n(bytes.data() + 16, 16, key.aes.data());
    std::copy_n(bytes.data() + 32, 16, key.hmac.data());
  } else {
    std::copy_n(bytes.data() + 16, 32, key.hmac.data());
    std::copy_n(bytes.data() + 48, 32, key.aes.data());
  }
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return key;
}

bool start_mac(EVP_MAC_CTX* mac, const TicketKey& key) {
  char digest[] = "SHA256";
  // OpenSSL takes the key through a pointer to non-const and only reads it.
  auto* secret = const_cast<unsigned char*>(key.hmac.data());
  const std::array params = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, secret, key.secret_size),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_end(),
  };
  return EVP_MAC_CTX_set_params(mac, params.data()) == 1;
}

}  // namespace

TicketKey::~TicketKey() {
  OPENSSL_cleanse(hmac.data(), hmac.size());
  OPENSSL_cleanse(aes.data(), aes.size());
}

TicketKeys::TicketKeys(WallClock now)
    : now_(now),
      aes128_(EVP_CIPHER_fetch(nullptr, "AES-128-CBC", nullptr)),
      aes256_(EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr)) {}

std::shared_ptr<TicketKeys> TicketKeys::rotating(WallClock now) {
  return std::shared_ptr<TicketKeys>(new TicketKeys(now));
}

LoadResult<std::shared_ptr<TicketKeys>> TicketKeys::from_files(std::span<const std::string> paths) {
  auto ring = std::make_shared<std::vector<TicketKey>>();
  for (const std::string& path : paths) {
    auto key = read_key(path);
    if (!key) return key.error();
    ring->push_back(*key);
  }
  std::shared_ptr<TicketKeys> keys(new TicketKeys(nullptr));
  keys->keys_ = std::move(ring);
  return keys;
}

std::shared_ptr<const std::vector<TicketKey>> TicketKeys::current() {
  const std::lock_guard lock(mutex_);
  if (now_ == nullptr) return keys_;
  const WallTime now = now_();
  // A clock that was set back must not keep a key alive for ever.
  if (keys_ && now >= born_ && now - born_ < kPeriod) return keys_;

  auto next = std::make_shared<std::vector<TicketKey>>(1);
  if (!randomise(next->front())) return nullptr;
  if (keys_ && now >= born_ && now - born_ < 2 * kPeriod) next->push_back(keys_->front());
  keys_ = std::move(next);
  born_ = now;
  return keys_;
}

int TicketKeys::prepare(unsigned char* key_name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac,
                        int encrypt) {
  const auto keys = current();
  if (!keys || keys->empty() || !aes128_ || !aes256_) return -1;
  const auto algorithm = [this](const TicketKey& key) { return key.secret_size == 16 ? aes128_.get() : aes256_.get(); };

  if (encrypt != 0) {
    const TicketKey& key = keys->front();
    const EVP_CIPHER* aes = algorithm(key);
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(aes)) != 1) return -1;
    if (EVP_EncryptInit_ex2(cipher, aes, key.aes.data(), iv, nullptr) != 1 || !start_mac(mac, key)) return -1;
    std::copy(key.name.begin(), key.name.end(), key_name);
    return 1;
  }

  const auto known = std::find_if(keys->begin(), keys->end(), [key_name](const TicketKey& key) {
    return std::equal(key.name.begin(), key.name.end(), key_name);
  });
  if (known == keys->end()) return 0;
  if (!start_mac(mac, *known) || EVP_DecryptInit_ex2(cipher, algorithm(*known), known->aes.data(), iv, nullptr) != 1)
    return -1;
  return known == keys->begin() ? 1 : 2;
}

}  // namespace gatehouse::certs
