// MD5, where nginx's names are made of it.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace gatehouse {

/// An MD5, for names that nginx makes of it (a cached response's file, a sticky server): it has to tell things apart, not to keep secrets.
struct Digest {
  std::array<std::uint8_t, 16> bytes{};

  friend auto operator<=>(const Digest&, const Digest&) = default;
};

struct DigestHash {
  [[nodiscard]] std::size_t operator()(const Digest& digest) const noexcept {
    std::size_t value = 0;
    std::memcpy(&value, digest.bytes.data(), sizeof value);
    return value;
  }
};

[[nodiscard]] Digest digest_of(std::string_view text);

/// 32 hexadecimal digits, lower case.
[[nodiscard]] std::string hex(const Digest& digest);
/// The digest that hex() wrote; nothing for any other text.
[[nodiscard]] std::optional<Digest> parse_hex(std::string_view text) noexcept;

}  // namespace gatehouse
