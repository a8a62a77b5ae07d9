#include "certs/stapling.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <openssl/ocsp.h>

#include "certs/error_queue.hpp"
#include "certs/openssl_types.hpp"
#include "certs/x509_text.hpp"

namespace gatehouse::certs {
namespace {

/// Type, length and magnitude: equal texts are equal serial numbers.
std::string serial_key(const ASN1_INTEGER& serial) {
  std::string key = ASN1_STRING_type(&serial) == V_ASN1_NEG_INTEGER ? "-" : "";
  return key + hex_text(ASN1_STRING_get0_data(&serial), static_cast<std::size_t>(ASN1_STRING_length(&serial)));
}

}  // namespace

LoadResult<StapledResponse> StapledResponse::from_file(const std::string& path) {
  const auto failed = [&path](std::string_view call) {
    return LoadError{with_openssl_errors(fmt::format("{}(\"{}\") failed", call, path))};
  };
  const BioPtr file(BIO_new_file(path.c_str(), "rb"));
  if (!file) return failed("BIO_new_file");
  const OcspResponsePtr response(d2i_OCSP_RESPONSE_bio(file.get(), nullptr));
  if (!response) return failed("d2i_OCSP_RESPONSE_bio");
  if (OCSP_response_status(response.get()) != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
    return LoadError{fmt::format("OCSP response \"{}\" is not successful ({}: {})", path,
                                 OCSP_response_status(response.get()),
                                 OCSP_response_status_str(OCSP_response_status(response.get())))};
  }
  auto staple = from_response(*response);
  if (!staple) return failed("OCSP_response_get1_basic");
  return staple;
}

LoadResult<StapledResponse> StapledResponse::from_response(OCSP_RESPONSE& response) {
  const auto failed = [](std::string_view call) {
    return LoadError{with_openssl_errors(fmt::format("{}() failed", call))};
  };
  const OcspBasicPtr basic(OCSP_response_get1_basic(&response));
  if (!basic) return failed("OCSP_response_get1_basic");
  StapledResponse staple;
  for (int i = 0; i < OCSP_resp_count(basic.get()); ++i) {
    OCSP_SINGLERESP* single = OCSP_resp_get0(basic.get(), i);
    ASN1_INTEGER* serial = nullptr;
    OCSP_id_get0_info(nullptr, nullptr, nullptr, &serial,
                      const_cast<OCSP_CERTID*>(OCSP_SINGLERESP_get0_id(single)));  // read only, the API isn't const
    ASN1_GENERALIZEDTIME* next_update = nullptr;
    OCSP_single_get0_status(single, nullptr, nullptr, nullptr, &next_update);
    if (serial == nullptr) continue;
    Single known{serial_key(*serial), std::nullopt};
    if (next_update != nullptr) known.next_update = to_time_point(*next_update);
    staple.singles_.push_back(std::move(known));
  }
  unsigned char* der = nullptr;
  const int size = i2d_OCSP_RESPONSE(&response, &der);
  if (size <= 0) return failed("i2d_OCSP_RESPONSE");
  staple.der_.assign(der, der + size);
  OPENSSL_free(der);
  return staple;
}

const std::vector<unsigned char>* StapledResponse::for_certificate(const X509& certificate,
                                                                   std::chrono::system_clock::time_point now) const {
  const std::string serial = serial_key(*X509_get0_serialNumber(&certificate));
  const bool current = std::any_of(singles_.begin(), singles_.end(), [&](const Single& single) {
    return single.serial == serial && (!single.next_update || now < *single.next_update);
  });
  return current ? &der_ : nullptr;
}

std::shared_ptr<const StapledResponse> FetchedStaple::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

FetchedStaple::TimePoint FetchedStaple::due() const {
  const std::lock_guard lock(mutex_);
  return due_;
}

std::optional<std::string> FetchedStaple::refresh(TimePoint now, std::chrono::seconds timeout) {
  constexpr std::chrono::seconds kSoon{300};
  constexpr std::chrono::seconds kUsual{3600};
  const auto ask = [&]() -> LoadResult<OcspAnswer> {
    auto answer = ask_responder(question_, timeout);
    if (answer && answer->status != CertificateStatus::good) {
      return LoadError{fmt::format("certificate status \"{}\" in the OCSP response",
                                   answer->status == CertificateStatus::revoked ? "revoked" : "unknown")};
    }
    return answer;
  };
  const auto answer = ask();
  auto staple =
      answer ? StapledResponse::from_response(*answer->response) : LoadResult<StapledResponse>(answer.error());
  const std::lock_guard lock(mutex_);
  due_ = now + kSoon;
  if (!staple) {
    return fmt::format("{} while requesting certificate status, responder: {}, certificate: \"{}\"",
                       staple.error().text, question_.responder, certificate_);
  }
  due_ = now + kUsual;
  if (answer->next_update) due_ = std::clamp(*answer->next_update - kSoon, now + kSoon, due_);
  current_ = std::make_shared<const StapledResponse>(*std::move(staple));
  return std::nullopt;
}

}  // namespace gatehouse::certs
