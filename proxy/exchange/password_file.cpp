#include "proxy/exchange/password_file.hpp"

#include <array>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <mutex>
#include <vector>

#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sys/stat.h>

namespace gatehouse::exchange {
namespace {

constexpr std::size_t kMostFiles = 256;

bool equal(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string digest(const EVP_MD* kind, std::initializer_list<std::string_view> parts) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned size = 0;
  EVP_MD_CTX* const context = EVP_MD_CTX_new();
  EVP_DigestInit_ex(context, kind, nullptr);
  for (const auto part : parts) EVP_DigestUpdate(context, part.data(), part.size());
  EVP_DigestFinal_ex(context, out.data(), &size);
  EVP_MD_CTX_free(context);
  return {reinterpret_cast<const char*>(out.data()), size};
}

std::string decoded_base64(std::string_view text) {
  std::vector<unsigned char> out(text.size() / 4 * 3 + 3);
  const int size =
      EVP_DecodeBlock(out.data(), reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (size < 0) return {};
  std::size_t length = static_cast<std::size_t>(size);
  for (std::size_t i = text.size(); i > 0 && text[i - 1] == '=' && length > 0; --i) --length;
  return {reinterpret_cast<const char*>(out.data()), length};
}

// Apache's MD5 (htpasswd -m): FreeBSD's md5crypt with the magic "$apr1$".
std::string apr1(std::string_view password, std::string_view salt) {
  const EVP_MD* md5 = EVP_md5();
  const std::string inner = digest(md5, {password, salt, password});
  std::string text;
  text.append(password).append("$apr1$").append(salt);
  for (std::size_t left = password.size(); left > 0; left -= std::min<std::size_t>(left, 16)) {
    text.append(inner, 0, std::min<std::size_t>(left, 16));
  }
  for (std::size_t bits = password.size(); bits > 0; bits >>= 1)
    text.push_back((bits & 1) != 0 ? '\0' : password.front());
  std::string result = digest(md5, {text});
  for (int round = 0; round < 1000; ++round) {
    std::string next;
    next.append((round & 1) != 0 ? password : std::string_view(result));
    if (round % 3 != 0) next.append(salt);
    if (round % 7 != 0) next.append(password);
    next.append((round & 1) != 0 ? std::string_view(result) : password);
    result = digest(md5, {next});
  }
  static constexpr char kDigits[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  static constexpr std::array<std::array<int, 3>, 5> kOrder = {
      {{0, 6, 12}, {1, 7, 13}, {2, 8, 14}, {3, 9, 15}, {4, 10, 5}}};
  std::string out = "$apr1$" + std::string(salt) + "$";
  const auto byte = [&](int i) {
    return std::uint32_t{static_cast<unsigned char>(result[static_cast<std::size_t>(i)])};
  };
  const auto append = [&](std::uint32_t value, int count) {
    for (; count > 0; --count, value >>= 6) out.push_back(kDigits[value & 0x3f]);
  };
  for (const auto& [high, middle, low] : kOrder) append(byte(high) << 16 | byte(middle) << 8 | byte(low), 4);
  append(byte(11), 2);
  return out;
}

struct Loaded {
  struct timespec modified{};
  off_t size = 0;
  ino_t inode = 0;
  std::shared_ptr<const PasswordTable> table;
};

}  // namespace

bool password_matches(std::string_view password, const std::string& hash) {
  const std::string_view view(hash);
  if (view.starts_with("{PLAIN}")) return equal(password, view.substr(7));
  if (view.starts_with("{SHA}")) return equal(digest(EVP_sha1(), {password}), decoded_base64(view.substr(5)));
  if (view.starts_with("{SSHA}")) {
    const std::string stored = decoded_base64(view.substr(6));
    if (stored.size() < 20) return false;
    return equal(digest(EVP_sha1(), {password, std::string_view(stored).substr(20)}),
                 std::string_view(stored).substr(0, 20));
  }
  if (view.starts_with("$apr1$")) {
    const std::string_view rest = view.substr(6);
    return equal(apr1(password, rest.substr(0, std::min<std::size_t>(8, rest.find('$')))), view);
  }
  if (hash.empty() || password.find('\0') != std::string_view::npos) return false;
  const auto data = std::make_unique<crypt_data>();
  const char* const made = crypt_r(std::string(password).c_str(), hash.c_str(), data.get());
  return made != nullptr && made[0] != '*' && equal(made, view);
}

HashCost cost_of(std::string_view hash) noexcept { return hash.starts_with("{") ? HashCost::cheap : HashCost::dear; }

PasswordTable parse_password_file(std::string_view text) {
  PasswordTable table;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    const std::size_t colon = line.find(':');
    if (line.starts_with('#') || colon == std::string_view::npos) continue;
    const std::string_view rest = line.substr(colon + 1);
    // The first line of a user counts.
    table.emplace(line.substr(0, colon), rest.substr(0, rest.find(':')));
  }
  return table;
}

Result<std::shared_ptr<const PasswordTable>> load_password_file(const std::string& path) {
  static std::mutex mutex;
  static std::map<std::string, Loaded> files;
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return Error{Reason::io_failed, errno};
  {
    const std::lock_guard lock(mutex);
    const auto found = files.find(path);
    if (found != files.end() && found->second.size == status.st_size && found->second.inode == status.st_ino &&
        found->second.modified.tv_sec == status.st_mtim.tv_sec &&
        found->second.modified.tv_nsec == status.st_mtim.tv_nsec) {
      return found->second.table;
    }
  }
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) return Error{Reason::io_failed, errno != 0 ? errno : EIO};
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  auto table = std::make_shared<const PasswordTable>(parse_password_file(text));
  const std::lock_guard lock(mutex);
  if (files.size() >= kMostFiles) files.clear();
  files[path] = {status.st_mtim, status.st_size, status.st_ino, table};
  return std::shared_ptr<const PasswordTable>(table);
}

}  // namespace gatehouse::exchange
