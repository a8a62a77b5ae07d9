#include "certs/pem.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "certs/error_queue.hpp"

namespace gatehouse::certs {
namespace {

/// Far above any real file; a wrong path (a device, a log) must not fill the memory.
constexpr std::size_t kMaxFile = 64UL << 20;

LoadError failed(const std::string& what, const PemSource& source, std::string_view call) {
  return {with_openssl_errors(fmt::format("{} \"{}\": {} failed", what, source.path, call))};
}

/// Answers OpenSSL's question for a pass phrase; without one the answer is "none", never a prompt.
int answer_password(char* buffer, int size, int, void* password) {
  if (password == nullptr) return -1;
  const auto& text = *static_cast<const std::string*>(password);
  if (text.size() > static_cast<std::size_t>(size)) return -1;
  std::copy(text.begin(), text.end(), buffer);
  return static_cast<int>(text.size());
}

BioPtr memory_reader(const std::string& text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

/// True if the last read ended because there is no further PEM block; forgets that error.
bool end_of_pem() {
  const unsigned long code = ERR_peek_last_error();
  if (ERR_GET_LIB(code) != ERR_LIB_PEM || ERR_GET_REASON(code) != PEM_R_NO_START_LINE) return false;
  ERR_clear_error();
  return true;
}

template <class Owner, auto Read>
LoadResult<std::vector<Owner>> read_all(const PemSource& source, const std::string& what, std::string_view call) {
  const auto text = read_pem(source, what);
  if (!text) return text.error();
  const BioPtr reader = memory_reader(*text);
  std::vector<Owner> all;
  while (auto* one = Read(reader.get(), nullptr, &answer_password, nullptr)) all.emplace_back(one);
  if (all.empty() || !end_of_pem()) return failed(what, source, call);
  return all;
}

}  // namespace

void wipe(std::string& secret) noexcept {
  OPENSSL_cleanse(secret.data(), secret.size());
  secret.clear();
}

LoadResult<std::string> read_pem(const PemSource& source, const std::string& what) {
  // Spelled out, because a text could also be meant as the error.
  const auto loaded = boost::system::in_place_value;
  if (!source.text.empty()) return {loaded, source.text};
  const BioPtr file(BIO_new_file(source.path.c_str(), "r"));
  if (!file) return failed(what, source, "BIO_new_file()");
  std::string text;
  std::array<char, 8192> part{};
  int count = 0;
  while ((count = BIO_read(file.get(), part.data(), static_cast<int>(part.size()))) > 0) {
    text.append(part.data(), static_cast<std::size_t>(count));
    if (text.size() > kMaxFile) return LoadError{fmt::format("{} \"{}\": the file is too large", what, source.path)};
  }
  OPENSSL_cleanse(part.data(), part.size());
  if (count < 0) return failed(what, source, "BIO_read()");
  return {loaded, std::move(text)};
}

LoadResult<std::vector<X509Ptr>> load_chain(const PemSource& source) {
  const std::string what = "cannot load certificate";
  const auto text = read_pem(source, what);
  if (!text) return text.error();
  const BioPtr reader = memory_reader(*text);
  std::vector<X509Ptr> chain;
  chain.emplace_back(PEM_read_bio_X509_AUX(reader.get(), nullptr, &answer_password, nullptr));
  if (!chain.front()) return failed(what, source, "PEM_read_bio_X509_AUX()");
  while (auto* next = PEM_read_bio_X509(reader.get(), nullptr, &answer_password, nullptr)) chain.emplace_back(next);
  if (!end_of_pem()) return failed(what, source, "PEM_read_bio_X509()");
  return chain;
}

LoadResult<std::vector<std::string>> load_passwords(const std::string& path) {
  std::vector<std::string> passwords;
  if (path.empty()) return passwords;
  auto text = read_pem({path, {}}, "cannot load password file");
  if (!text) return text.error();
  std::size_t at = 0;
  while (at < text->size()) {
    const std::size_t end = std::min(text->find('\n', at), text->size());
    std::size_t size = end - at;
    if (size > 0 && (*text)[end - 1] == '\r') --size;
    if (size > 0) passwords.emplace_back(*text, at, size);
    at = end + 1;
  }
  wipe(*text);
  return passwords;
}

LoadResult<KeyPtr> load_key(const PemSource& source, const std::vector<std::string>& passwords) {
  const std::string what = "cannot load certificate key";
  auto text = read_pem(source, what);
  if (!text) return text.error();
  KeyPtr key;
  for (std::size_t attempt = 0; !key && attempt < std::max<std::size_t>(passwords.size(), 1); ++attempt) {
    ERR_clear_error();
    void* password = passwords.empty() ? nullptr : const_cast<std::string*>(&passwords[attempt]);
    const BioPtr reader = memory_reader(*text);
    key.reset(PEM_read_bio_PrivateKey(reader.get(), nullptr, &answer_password, password));
  }
  wipe(*text);
  if (!key) return failed(what, source, "PEM_read_bio_PrivateKey()");
  ERR_clear_error();
  return key;
}

LoadResult<std::vector<X509Ptr>> load_authorities(const PemSource& source) {
  return read_all<X509Ptr, PEM_read_bio_X509>(source, "cannot load trusted certificates", "PEM_read_bio_X509()");
}

LoadResult<std::vector<X509CrlPtr>> load_crls(const PemSource& source) {
  return read_all<X509CrlPtr, PEM_read_bio_X509_CRL>(source, "cannot load revocation list", "PEM_read_bio_X509_CRL()");
}

}  // namespace gatehouse::certs
