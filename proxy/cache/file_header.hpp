// The beginning of a cache file: what the response is, for which key, until when; checked by sums before any of it is believed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/cache/freshness.hpp"
#include "proxy/cache/key.hpp"

namespace gatehouse::cache {

/// What a file says besides the response's body, which follows. The file is: a fixed part, `key`, `vary`, `head`, the body.
struct FileHeader {
  Seconds valid_until = 0;
  Seconds stale_while_updating = 0;
  Seconds stale_if_error = 0;
  Seconds last_modified = -1;  ///< of the response; -1: not told
  std::uint64_t body_length = 0;
  std::string key;
  std::string vary;  ///< Vary of the response; empty: it does not vary
  Digest variant;    ///< what variant_of() gave for the request that it was stored for
  std::string head;  ///< the upstream's head as received

  /// Bytes before the body.
  [[nodiscard]] std::uint64_t size() const noexcept;
};

/// Bytes of the fixed part.
inline constexpr std::size_t kFixedPart = 112;
/// More than any header that encode() may be given: longer ones in a file are damage.
inline constexpr std::size_t kMostHeader = 4U << 20;

/// The file's bytes before the body.
[[nodiscard]] std::string encode(const FileHeader& header);
/// How many bytes the header takes by its fixed part; nothing if that is not one of ours.
[[nodiscard]] std::optional<std::size_t> header_size(std::string_view fixed_part) noexcept;
/// Reads what encode() wrote. Nothing for other bytes: damaged, cut short, of another version, not ours.
[[nodiscard]] std::optional<FileHeader> decode(std::string_view bytes);

}  // namespace gatehouse::cache
