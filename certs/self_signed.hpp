// The certificate a fresh installation starts with (`gatehouse --make-certificate DIRECTORY NAME...`).
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "certs/load_error.hpp"

namespace gatehouse::certs {

/// What make_self_signed() left in the directory.
struct SelfSigned {
  std::filesystem::path certificate;  ///< DIRECTORY/tls.crt, mode 0644
  std::filesystem::path key;          ///< DIRECTORY/tls.key, mode 0600
  bool created = false;               ///< false: both were there already and are untouched
  std::string text;                   ///< one line for a person
};

/// Makes an ECDSA P-256 key and a certificate signed with it, valid 397 days, for `names` (DNS names, `*.x`, IP
/// addresses) and always localhost, 127.0.0.1 and ::1. Nothing that exists is replaced: a key without certificate is
/// used for the new certificate. Files appear whole or not at all. Creates the directory (0755) if needed.
[[nodiscard]] LoadResult<SelfSigned> make_self_signed(std::span<const std::string> names,
                                                      const std::filesystem::path& directory);

}  // namespace gatehouse::certs
