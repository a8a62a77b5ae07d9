#include "proxy/cache/file_header.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <utility>

#include <zlib.h>

namespace gatehouse::cache {
namespace {

constexpr std::string_view kMagic = "GHCACHE\n";
constexpr std::uint32_t kVersion = 1;

// The fixed part, as it lies in the file: a file is read by the machine that wrote it.
struct Fixed {
  char magic[8];
  std::uint32_t version;
  std::uint32_t sum;  // of everything before the body, with this field 0
  std::uint32_t key, vary, head;
  std::uint32_t reserved_word;
  std::int64_t valid_until, stale_while_updating, stale_if_error, reserved_time, last_modified;
  std::uint64_t body_length;
  std::uint8_t variant[16];
  std::uint64_t reserved[2];
};
static_assert(sizeof(Fixed) == kFixedPart);

std::optional<Fixed> fixed_part(std::string_view bytes) noexcept {
  Fixed fixed{};
  if (bytes.size() < sizeof fixed) return std::nullopt;
  std::memcpy(&fixed, bytes.data(), sizeof fixed);
  if (std::string_view(fixed.magic, sizeof fixed.magic) != kMagic || fixed.version != kVersion) return std::nullopt;
  const std::uint64_t size = sizeof fixed + std::uint64_t{fixed.key} + fixed.vary + fixed.head;
  if (size > kMostHeader) return std::nullopt;
  return fixed;
}

// Continues a CRC-32.
std::uint32_t sum(std::uint32_t before, std::string_view bytes) noexcept {
  return static_cast<std::uint32_t>(
      ::crc32_z(before, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()));
}

}  // namespace

std::uint64_t FileHeader::size() const noexcept { return kFixedPart + key.size() + vary.size() + head.size(); }

std::string encode(const FileHeader& header) {
  Fixed fixed{};
  std::copy(kMagic.begin(), kMagic.end(), fixed.magic);
  fixed.version = kVersion;
  fixed.key = static_cast<std::uint32_t>(header.key.size());
  fixed.vary = static_cast<std::uint32_t>(header.vary.size());
  fixed.head = static_cast<std::uint32_t>(header.head.size());
  fixed.valid_until = header.valid_until;
  fixed.stale_while_updating = header.stale_while_updating;
  fixed.stale_if_error = header.stale_if_error;
  fixed.last_modified = header.last_modified;
  fixed.body_length = header.body_length;
  std::copy(header.variant.bytes.begin(), header.variant.bytes.end(), fixed.variant);
  std::string bytes(reinterpret_cast<const char*>(&fixed), sizeof fixed);
  bytes.append(header.key).append(header.vary).append(header.head);
  const std::uint32_t check = sum(0, bytes);
  std::memcpy(bytes.data() + offsetof(Fixed, sum), &check, sizeof check);
  return bytes;
}

std::optional<std::size_t> header_size(std::string_view bytes) noexcept {
  const auto fixed = fixed_part(bytes);
  if (!fixed) return std::nullopt;
  return sizeof(Fixed) + fixed->key + fixed->vary + fixed->head;
}

std::optional<FileHeader> decode(std::string_view bytes) {
  auto fixed = fixed_part(bytes);
  if (!fixed || bytes.size() < *header_size(bytes)) return std::nullopt;
  bytes = bytes.substr(0, *header_size(bytes));
  const std::uint32_t told = std::exchange(fixed->sum, 0);
  const std::string_view rest = bytes.substr(sizeof *fixed);
  if (sum(sum(0, {reinterpret_cast<const char*>(&*fixed), sizeof *fixed}), rest) != told) return std::nullopt;
  FileHeader header;
  header.valid_until = fixed->valid_until;
  header.stale_while_updating = fixed->stale_while_updating;
  header.stale_if_error = fixed->stale_if_error;
  header.last_modified = fixed->last_modified;
  header.body_length = fixed->body_length;
  std::copy(std::begin(fixed->variant), std::end(fixed->variant), header.variant.bytes.begin());
  header.key = rest.substr(0, fixed->key);
  header.vary = rest.substr(fixed->key, fixed->vary);
  header.head = rest.substr(fixed->key + fixed->vary);
  return header;
}

}  // namespace gatehouse::cache
