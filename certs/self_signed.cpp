#include "certs/self_signed.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <system_error>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "certs/error_queue.hpp"
#include "certs/openssl_types.hpp"
#include "certs/pem.hpp"

namespace gatehouse::certs {
namespace {

namespace fs = std::filesystem;

/// Browsers refuse longer ones.
constexpr long kDays = 397;
constexpr long kDaySeconds = 24L * 60 * 60;
/// Machines whose clock is a little behind still accept it.
constexpr long kBackdatedSeconds = 60L * 60;

LoadError system_failure(std::string_view call, const fs::path& path, int error) {
  return {
      fmt::format("{}() \"{}\" failed ({}: {})", call, path.string(), error, std::generic_category().message(error))};
}

bool is_address(const std::string& name) {
  in6_addr scratch{};
  return inet_pton(AF_INET, name.c_str(), &scratch) == 1 || inet_pton(AF_INET6, name.c_str(), &scratch) == 1;
}

bool is_dns_name(std::string_view name) {
  if (name.starts_with("*.")) name.remove_prefix(2);
  if (name.empty() || name.size() > 253 || name.front() == '.' || name.back() == '.') return false;
  std::size_t label = 0;
  for (const char c : name) {
    const bool allowed =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    label = c == '.' ? 0 : label + 1;
    if ((!allowed && c != '.') || label > 63) return false;
  }
  return name.find("..") == name.npos;
}

LoadResult<std::vector<std::string>> all_names(std::span<const std::string> asked) {
  std::vector<std::string> names;
  const auto add = [&names](const std::string& name) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  };
  for (const std::string& name : asked) {
    if (!is_address(name) && !is_dns_name(name))
      return LoadError{fmt::format("invalid name \"{}\" for a certificate", name)};
    add(name);
  }
  for (const char* name : {"localhost", "127.0.0.1", "::1"}) add(name);
  return names;
}

bool add_extension(X509& certificate, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, &certificate, &certificate, nullptr, nullptr, 0);
  const std::unique_ptr<X509_EXTENSION, FreeWith<X509_EXTENSION_free>> extension(
      X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  return extension && X509_add_ext(&certificate, extension.get(), -1) == 1;
}

bool set_random_serial(X509& certificate) {
  std::array<unsigned char, 16> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) return false;
  bytes[0] = static_cast<unsigned char>((bytes[0] & 0x7f) | 0x40);  // positive, and always of full length
  const std::unique_ptr<BIGNUM, FreeWith<BN_free>> number(BN_bin2bn(bytes.data(), bytes.size(), nullptr));
  return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(&certificate)) != nullptr;
}

/// Null if OpenSSL refuses one of the steps; its queue says why.
X509Ptr make_certificate(EVP_PKEY& key, const std::vector<std::string>& names) {
  std::vector<std::string> alternatives;
  alternatives.reserve(names.size());
  for (const std::string& name : names) alternatives.push_back((is_address(name) ? "IP:" : "DNS:") + name);
  // A common name holds 64 bytes; what counts is the subjectAltName.
  const auto common =
      std::find_if(names.begin(), names.end(), [](const std::string& name) { return name.size() <= 64; });
  X509Ptr certificate(X509_new());
  if (!certificate || X509_set_version(certificate.get(), X509_VERSION_3) != 1) return nullptr;
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  const bool made =
      set_random_serial(*certificate) &&
      X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -kBackdatedSeconds) != nullptr &&
      X509_gmtime_adj(X509_getm_notAfter(certificate.get()), kDays * kDaySeconds - kBackdatedSeconds) != nullptr &&
      X509_set_pubkey(certificate.get(), &key) == 1 &&
      X509_NAME_add_entry_by_NID(subject, NID_organizationName, MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>("Gatehouse self-signed"), -1, -1, 0) == 1 &&
      X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(common->c_str()), -1, -1, 0) == 1 &&
      X509_set_issuer_name(certificate.get(), subject) == 1 &&
      add_extension(*certificate, NID_basic_constraints, "critical,CA:FALSE") &&
      add_extension(*certificate, NID_key_usage, "critical,digitalSignature") &&
      add_extension(*certificate, NID_ext_key_usage, "serverAuth") &&
      add_extension(*certificate, NID_subject_key_identifier, "hash") &&
      add_extension(*certificate, NID_subject_alt_name, fmt::format("{}", fmt::join(alternatives, ","))) &&
      X509_sign(certificate.get(), &key, EVP_sha256()) > 0;
  return made ? std::move(certificate) : nullptr;
}

/// Writes a new file whole: to a temporary one beside it, then a hard link, which fails rather than replace what is
/// there. False if `path` has appeared meanwhile.
LoadResult<bool> publish(const fs::path& path, std::string_view text, mode_t mode) {
  std::string temporary = path.string() + ".XXXXXX";
  const int file = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (file < 0) return system_failure("mkstemp", temporary, errno);
  std::string_view rest = text;
  int error = 0;
  while (!rest.empty() && error == 0) {
    const ssize_t count = ::write(file, rest.data(), rest.size());
    if (count > 0) rest.remove_prefix(static_cast<std::size_t>(count));
    if (count < 0 && errno != EINTR) error = errno;
  }
  if (error == 0 && (::fchmod(file, mode) != 0 || ::fsync(file) != 0)) error = errno;
  ::close(file);
  if (error == 0 && ::link(temporary.c_str(), path.c_str()) != 0) error = errno;
  ::unlink(temporary.c_str());
  if (error == EEXIST) return false;
  if (error != 0) return system_failure("write", path, error);
  return true;
}

template <class Write>
std::string pem_of(Write write) {
  const BioPtr sink(BIO_new(BIO_s_mem()));
  if (!sink || write(sink.get()) != 1) return {};
  char* start = nullptr;
  const long size = BIO_get_mem_data(sink.get(), &start);
  return {start, static_cast<std::size_t>(size)};
}

/// The key of the directory: the one that is there, or a new one.
LoadResult<KeyPtr> key_in(const fs::path& path) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) {
    const KeyPtr fresh(EVP_EC_gen("P-256"));
    if (!fresh) return LoadError{with_openssl_errors("EVP_EC_gen() failed")};
    std::string pem = pem_of([&](BIO* sink) {
      return PEM_write_bio_PKCS8PrivateKey(sink, fresh.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
    const auto written = publish(path, pem, S_IRUSR | S_IWUSR);
    wipe(pem);
    if (!written) return written.error();
  }
  // Read back in any case: if somebody else was faster, theirs is the key.
  return load_key({path.string(), {}}, {});
}

}  // namespace

LoadResult<SelfSigned> make_self_signed(std::span<const std::string> names, const fs::path& directory) {
  const auto wanted = all_names(names);
  if (!wanted) return wanted.error();
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) return system_failure("mkdir", directory, error.value());

  SelfSigned made{directory / "tls.crt", directory / "tls.key", false, {}};
  const bool has_certificate = fs::exists(made.certificate, error);
  if (has_certificate && !fs::exists(made.key, error)) {
    return LoadError{
        fmt::format("\"{}\" exists but its key \"{}\" does not; remove the certificate or put the key back",
                    made.certificate.string(), made.key.string())};
  }
  if (!has_certificate) {
    const auto key = key_in(made.key);
    if (!key) return key.error();
    const X509Ptr certificate = make_certificate(**key, *wanted);
    if (!certificate) return LoadError{with_openssl_errors("cannot make a self-signed certificate")};
    const auto pem = pem_of([&](BIO* sink) { return PEM_write_bio_X509(sink, certificate.get()); });
    const auto written = publish(made.certificate, pem, S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH);
    if (!written) return written.error();
    made.created = *written;
  }
  made.text = made.created ? fmt::format("made a self-signed certificate \"{}\" and its key \"{}\" for {}",
                                         made.certificate.string(), made.key.string(), fmt::join(*wanted, ", "))
                           : fmt::format("kept the certificate \"{}\" and its key \"{}\"", made.certificate.string(),
                                         made.key.string());
  return made;
}

}  // namespace gatehouse::certs
