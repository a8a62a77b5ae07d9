// What names an entry: the digest of its key, and where a file with that name lies.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/base/digest.hpp"
#include "proxy/http/fields.hpp"

namespace gatehouse::cache {

/// `levels=1:2`: how many digits, from the name's end, name the folders that a file lies in.
struct Levels {
  std::array<std::uint8_t, 3> digits{};  ///< 1 or 2 each; 0: no such level

  /// Reads "1", "1:2", "2:2:1"; nothing for any other text.
  [[nodiscard]] static std::optional<Levels> parse(std::string_view text) noexcept;
  friend bool operator==(const Levels&, const Levels&) = default;
};

/// "c/29/b7f54b2df7773722d382f4809d65029c" for levels 1:2, relative to the zone's folder.
[[nodiscard]] std::string path_of(const Digest& digest, Levels levels);

/// Which variant a request asks for, where responses vary: a digest of the request's fields that `vary` names, with white space and
/// empty members normalised, under the digest of the key itself.
[[nodiscard]] Digest variant_of(const Digest& key, std::string_view vary, const http::Fields& request);

}  // namespace gatehouse::cache
