// OCSP stapling (RFC 6066 section 8) from a file: a response made elsewhere, sent as long as it is current.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <openssl/x509.h>

#include "certs/load_error.hpp"

namespace gatehouse::certs {

/// A successful OCSP response in DER, with what it covers. Immutable.
class StapledResponse {
 public:
  /// Reads a DER file; an error if it isn't a successful basic response.
  [[nodiscard]] static LoadResult<StapledResponse> from_file(const std::string& path);

  /// The DER bytes if the response speaks about `certificate` (by serial number) and hasn't passed its nextUpdate: an
  /// outdated staple makes clients refuse a connection that would work without one. Null otherwise.
  [[nodiscard]] const std::vector<unsigned char>* for_certificate(const X509& certificate,
                                                                  std::chrono::system_clock::time_point now) const;

 private:
  struct Single {
    std::string serial;
    std::optional<std::chrono::system_clock::time_point> next_update;
  };

  std::vector<unsigned char> der_;
  std::vector<Single> singles_;
};

}  // namespace gatehouse::certs
