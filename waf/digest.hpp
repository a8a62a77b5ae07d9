// Digests of texts.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace gatehouse::waf {

/// SHA-256 over a sequence of texts; the boundaries between them count.
class Digest {
 public:
  Digest();
  ~Digest();
  Digest(const Digest&) = delete;
  Digest& operator=(const Digest&) = delete;

  Digest& add(std::string_view text);
  /// 64 hexadecimal digits; ends the digest.
  [[nodiscard]] std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// MD5 as 32 hexadecimal digits, as the index of a concurrent audit log has it; not for security.
[[nodiscard]] std::string md5_hex(std::string_view text);

}  // namespace gatehouse::waf
