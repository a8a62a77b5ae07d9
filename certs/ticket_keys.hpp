// Keys that encrypt session tickets (RFC 5077, RFC 8446 section 4.6.1): random ones that rotate, or the operator's
// files.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "certs/load_error.hpp"
#include "certs/openssl_types.hpp"

namespace gatehouse::certs {

/// Wall clock; injected so that rotation can be tested.
using WallTime = std::chrono::system_clock::time_point;
using WallClock = WallTime (*)();

/// One ticket key: AES-128/256-CBC with HMAC-SHA256. Wiped when destroyed.
struct TicketKey {
  std::array<unsigned char, 16> name{};
  std::array<unsigned char, 32> hmac{};
  std::array<unsigned char, 32> aes{};
  std::uint8_t secret_size = 32;  ///< bytes used of `hmac` and of `aes`: 32, or 16 for nginx's 48 byte files

  TicketKey() = default;
  TicketKey(const TicketKey&) = default;
  TicketKey& operator=(const TicketKey&) = default;
  ~TicketKey();
};

/// A set of ticket keys; the first one encrypts, all of them decrypt. Any thread may use it.
class TicketKeys {
 public:
  /// How long a random key encrypts; it decrypts for as long again.
  static constexpr std::chrono::hours kPeriod{12};

  /// Random keys that rotate every kPeriod, at the first use after it has passed.
  [[nodiscard]] static std::shared_ptr<TicketKeys> rotating(WallClock now = &std::chrono::system_clock::now);

  /// Keys from files of 48 or 80 bytes as `ssl_session_ticket_key` gives them; they never rotate by themselves.
  [[nodiscard]] static LoadResult<std::shared_ptr<TicketKeys>> from_files(std::span<const std::string> paths);

  /// The body of OpenSSL's ticket key callback (SSL_CTX_set_tlsext_ticket_key_evp_cb): 1 go on, 2 go on and issue a new
  /// ticket, 0 unknown key (full handshake), -1 failure.
  int prepare(unsigned char* key_name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac, int encrypt);

 private:
  explicit TicketKeys(WallClock now);

  /// The keys of this moment; rotates first if it is time. Null if the random generator failed.
  std::shared_ptr<const std::vector<TicketKey>> current();

  std::mutex mutex_;
  std::shared_ptr<const std::vector<TicketKey>> keys_;  ///< guarded by mutex_; the pointed to is immutable
  WallClock now_;                                       ///< null: keys from files
  WallTime born_;                                       ///< guarded by mutex_; when the first key was made
  std::unique_ptr<EVP_CIPHER, FreeWith<EVP_CIPHER_free>> aes128_;
  std::unique_ptr<EVP_CIPHER, FreeWith<EVP_CIPHER_free>> aes256_;
};

}  // namespace gatehouse::certs
