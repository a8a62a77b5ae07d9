#include "certs/ocsp.hpp"

#include <memory>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/http.h>
#include <openssl/x509v3.h>

#include "certs/error_queue.hpp"
#include "certs/x509_text.hpp"

namespace gatehouse::certs {
namespace {

struct FreeMemory {
  void operator()(char* text) const noexcept { OPENSSL_free(text); }
};
using OpensslText = std::unique_ptr<char, FreeMemory>;
using RequestPtr = std::unique_ptr<OCSP_REQUEST, FreeWith<OCSP_REQUEST_free>>;
using CertIdPtr = std::unique_ptr<OCSP_CERTID, FreeWith<OCSP_CERTID_free>>;

constexpr long kClockSkew = 300;              // seconds, as nginx allows
constexpr std::size_t kMostResponse = 65536;  // bytes
constexpr int kBuffer = 4096;

LoadError failed(std::string_view call) { return LoadError{with_openssl_errors(fmt::format("{} failed", call))}; }

// SHA-1 names, it proves nothing here: it is what every responder understands (RFC 5019 section 2.1.1).
CertIdPtr id_of(const X509& certificate, const X509& issuer) {
  return CertIdPtr(OCSP_cert_to_id(EVP_sha1(), &certificate, &issuer));
}

LoadResult<BioPtr> encode_request(const X509& certificate, const X509& issuer) {
  const RequestPtr request(OCSP_REQUEST_new());
  CertIdPtr id = id_of(certificate, issuer);
  if (!request || !id || OCSP_request_add0_id(request.get(), id.get()) == nullptr)
    return failed("OCSP_request_add0_id()");
  [[maybe_unused]] const OCSP_CERTID* owned = id.release();  // the request's now
  BioPtr body(BIO_new(BIO_s_mem()));
  if (!body || i2d_OCSP_REQUEST_bio(body.get(), request.get()) != 1) return failed("i2d_OCSP_REQUEST()");
  return body;
}

LoadResult<OcspResponsePtr> transfer(const OcspQuestion& question, std::chrono::seconds timeout) {
  char* host = nullptr;
  char* port = nullptr;
  char* path = nullptr;
  int tls = 0;
  if (OSSL_HTTP_parse_url(question.responder.c_str(), &tls, nullptr, &host, &port, nullptr, &path, nullptr, nullptr) !=
      1) {
    return failed(fmt::format("reading the responder's URL \"{}\"", question.responder));
  }
  const OpensslText host_owner(host);
  const OpensslText port_owner(port);
  const OpensslText path_owner(path);
  if (tls != 0) return LoadError{fmt::format("OCSP responder \"{}\" is not an http:// URL", question.responder)};
  auto body = encode_request(*question.certificate, *question.issuer);
  if (!body) return body.error();
  // No proxy: the environment of a server is not where one is looked for.
  const BioPtr answer(OSSL_HTTP_transfer(nullptr, host, port, path, 0, "", nullptr, nullptr, nullptr, nullptr, nullptr,
                                         kBuffer, nullptr, "application/ocsp-request", body->get(),
                                         "application/ocsp-response", 1, kMostResponse,
                                         static_cast<int>(timeout.count()), 0));
  if (!answer) return failed(fmt::format("asking the OCSP responder \"{}\"", question.responder));
  OcspResponsePtr response(d2i_OCSP_RESPONSE_bio(answer.get(), nullptr));
  if (!response) return failed("d2i_OCSP_RESPONSE()");
  return response;
}

LoadResult<OcspAnswer> judge(const OcspQuestion& question, OcspResponsePtr response) {
  const int told = OCSP_response_status(response.get());
  if (told != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
    return LoadError{fmt::format("OCSP response not successful ({}: {})", told, OCSP_response_status_str(told))};
  }
  const OcspBasicPtr basic(OCSP_response_get1_basic(response.get()));
  if (!basic) return failed("OCSP_response_get1_basic()");
  const unsigned long flags = question.signature == OcspSignature::verified ? 0 : OCSP_NOVERIFY;
  if (OCSP_basic_verify(basic.get(), question.known.get(), question.trusted.get(), flags) != 1) {
    return failed("OCSP_basic_verify()");
  }
  const CertIdPtr id = id_of(*question.certificate, *question.issuer);
  if (!id) return failed("OCSP_cert_to_id()");
  int status = V_OCSP_CERTSTATUS_UNKNOWN;
  ASN1_GENERALIZEDTIME* this_update = nullptr;
  ASN1_GENERALIZEDTIME* next_update = nullptr;
  if (OCSP_resp_find_status(basic.get(), id.get(), &status, nullptr, nullptr, &this_update, &next_update) != 1) {
    return LoadError{"certificate status not found in the OCSP response"};
  }
  if (OCSP_check_validity(this_update, next_update, kClockSkew, -1) != 1) return failed("OCSP_check_validity()");
  OcspAnswer answer;
  if (status == V_OCSP_CERTSTATUS_GOOD) answer.status = CertificateStatus::good;
  if (status == V_OCSP_CERTSTATUS_REVOKED) answer.status = CertificateStatus::revoked;
  if (next_update != nullptr) answer.next_update = to_time_point(*next_update);
  answer.response = std::move(response);
  return answer;
}

}  // namespace

std::string responder_of(const X509& certificate) {
  STACK_OF(OPENSSL_STRING)* const urls =
      X509_get1_ocsp(const_cast<X509*>(&certificate));  // read only, the API isn't const
  if (urls == nullptr) return {};
  std::string url = sk_OPENSSL_STRING_num(urls) > 0 ? sk_OPENSSL_STRING_value(urls, 0) : "";
  X509_email_free(urls);
  return url;
}

std::string ocsp_key(const X509& certificate, const X509& issuer) {
  const CertIdPtr id = id_of(certificate, issuer);
  unsigned char* der = nullptr;
  const int size = id ? i2d_OCSP_CERTID(id.get(), &der) : 0;
  if (size <= 0) return {};
  std::string key(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return key;
}

LoadResult<OcspAnswer> ask_responder(const OcspQuestion& question, std::chrono::seconds timeout) {
  ERR_clear_error();
  auto response = transfer(question, timeout);
  if (!response) return response.error();
  return judge(question, *std::move(response));
}

}  // namespace gatehouse::certs
