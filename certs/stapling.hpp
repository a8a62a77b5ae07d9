// OCSP stapling (RFC 6066 section 8): a response from a file or a responder, sent as long as it is current.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <openssl/x509.h>

#include "certs/load_error.hpp"
#include "certs/ocsp.hpp"

namespace gatehouse::certs {

/// A successful OCSP response in DER, with what it covers. Immutable.
class StapledResponse {
 public:
  /// Reads a DER file; an error if it isn't a successful basic response.
  [[nodiscard]] static LoadResult<StapledResponse> from_file(const std::string& path);

  /// What a responder sent; an error if it isn't a successful basic response.
  [[nodiscard]] static LoadResult<StapledResponse> from_response(OCSP_RESPONSE& response);

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

/// The staple of one certificate, asked of its responder by whoever calls refresh() when it is due().
class FetchedStaple {
 public:
  using TimePoint = std::chrono::system_clock::time_point;

  /// `certificate`: what messages call it.
  FetchedStaple(OcspQuestion question, std::string certificate)
      : question_(std::move(question)), certificate_(std::move(certificate)) {}

  /// What to send; null while there is nothing. Any thread.
  [[nodiscard]] std::shared_ptr<const StapledResponse> current() const;
  /// When to ask next: at once, then every hour or 5 minutes before the answer ends, and 5 minutes behind a failure (nginx's times).
  [[nodiscard]] TimePoint due() const;
  /// Asks, and keeps the answer if it says that the certificate is good; a failure leaves what was there. Blocks up to `timeout`; one
  /// thread at a time. Gives what failed, with the responder and the certificate.
  [[nodiscard]] std::optional<std::string> refresh(TimePoint now, std::chrono::seconds timeout);

 private:
  const OcspQuestion question_;
  const std::string certificate_;
  mutable std::mutex mutex_;  ///< of the two below
  std::shared_ptr<const StapledResponse> current_;
  TimePoint due_{};
};

}  // namespace gatehouse::certs
