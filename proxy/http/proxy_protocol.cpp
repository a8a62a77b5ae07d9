#include "proxy/http/proxy_protocol.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <span>

#include <arpa/inet.h>

#include "proxy/http/chars.hpp"

namespace gatehouse::http {
namespace {

using Family = PlainAddress::Family;

constexpr std::string_view kV1Prefix = "PROXY ";
constexpr std::string_view kV2Signature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::size_t kV2Fixed = 16;
constexpr std::uint8_t kTlvCrc32c = 0x03;

constexpr std::array<std::uint32_t, 256> kCrc32c = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78U : 0U);
    table[i] = crc;
  }
  return table;
}();

unsigned byte_at(std::string_view bytes, std::size_t i) noexcept { return static_cast<unsigned char>(bytes[i]); }

std::uint16_t read16(std::string_view bytes, std::size_t i) noexcept {
  return static_cast<std::uint16_t>(byte_at(bytes, i) << 8 | byte_at(bytes, i + 1));
}

// CRC32c of the header with its own four bytes (at `skip`) taken as zero.
std::uint32_t crc32c(std::string_view bytes, std::size_t skip) noexcept {
  std::uint32_t crc = ~0U;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const unsigned value = i >= skip && i < skip + 4 ? 0 : byte_at(bytes, i);
    crc = (crc >> 8) ^ kCrc32c[(crc ^ value) & 0xff];
  }
  return ~crc;
}

bool parse_ip(std::string_view text, Family family, PlainAddress& address) noexcept {
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (text.empty() || text.size() >= terminated.size()) return false;
  std::memcpy(terminated.data(), text.data(), text.size());
  address.family = family;
  return inet_pton(family == Family::ipv4 ? AF_INET : AF_INET6, terminated.data(), address.bytes.data()) == 1;
}

// 0 to 65535 without leading zeros.
bool parse_port(std::string_view text, std::uint16_t& port) noexcept {
  if (text.empty() || text.size() > 5 || !std::all_of(text.begin(), text.end(), is_digit)) return false;
  if (text.size() > 1 && text.front() == '0') return false;
  unsigned value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  port = static_cast<std::uint16_t>(value);
  return value <= 65535;
}

// Takes the next word of a line whose words are separated by single spaces.
std::string_view next_word(std::string_view& line) noexcept {
  const std::size_t space = line.find(' ');
  const std::string_view word = line.substr(0, space);
  line.remove_prefix(space == line.npos ? line.size() : space + 1);
  return word;
}

ProxyParse parse_v1(std::string_view buffered, ProxyHeader& header) noexcept {
  const std::string_view seen = buffered.substr(0, kProxyV1Max);
  const std::size_t feed = seen.find('\n');
  if (feed == seen.npos) return seen.size() == kProxyV1Max ? ProxyParse::failed : ProxyParse::incomplete;
  if (seen[feed - 1] != '\r') return ProxyParse::failed;

  header = ProxyHeader{};
  header.version = 1;
  header.size = feed + 1;
  std::string_view line = seen.substr(kV1Prefix.size(), feed - 1 - kV1Prefix.size());
  const std::string_view protocol = next_word(line);
  header.command = ProxyHeader::Command::proxy;
  if (protocol == "UNKNOWN") return ProxyParse::complete;  // what follows is to be ignored
  if (protocol != "TCP4" && protocol != "TCP6") return ProxyParse::failed;
  const Family family = protocol == "TCP4" ? Family::ipv4 : Family::ipv6;
  const std::size_t words = static_cast<std::size_t>(std::count(line.begin(), line.end(), ' ')) + 1;
  const bool valid = words == 4 && parse_ip(next_word(line), family, header.source) &&
                     parse_ip(next_word(line), family, header.destination) &&
                     parse_port(next_word(line), header.source.port) &&
                     parse_port(next_word(line), header.destination.port);
  return valid ? ProxyParse::complete : ProxyParse::failed;
}

// Walks the TLVs from `i`; false if one reaches beyond the header or the checksum is wrong.
bool check_tlvs(std::string_view bytes, std::size_t i) noexcept {
  while (i < bytes.size()) {
    if (bytes.size() - i < 3) return false;
    const std::size_t length = read16(bytes, i + 1);
    const std::size_t value = i + 3;
    if (bytes.size() - value < length) return false;
    if (byte_at(bytes, i) == kTlvCrc32c) {
      if (length != 4) return false;
      const std::uint32_t sent = std::uint32_t{read16(bytes, value)} << 16 | read16(bytes, value + 2);
      if (sent != crc32c(bytes, value)) return false;
    }
    i = value + length;
  }
  return true;
}

// Reads a pair of addresses of `width` bytes each and their ports.
void read_addresses(std::string_view bytes, Family family, std::size_t width, ProxyHeader& header) noexcept {
  header.source.family = header.destination.family = family;
  std::memcpy(header.source.bytes.data(), bytes.data() + kV2Fixed, width);
  std::memcpy(header.destination.bytes.data(), bytes.data() + kV2Fixed + width, width);
  header.source.port = read16(bytes, kV2Fixed + 2 * width);
  header.destination.port = read16(bytes, kV2Fixed + 2 * width + 2);
}

ProxyParse parse_v2(std::string_view buffered, ProxyHeader& header) noexcept {
  if (buffered.size() < kV2Fixed) return ProxyParse::incomplete;
  const unsigned command = byte_at(buffered, 12);
  const unsigned family = byte_at(buffered, 13);
  const std::size_t size = kV2Fixed + read16(buffered, 14);
  if ((command != 0x20 && command != 0x21) || size > kProxyV2Max) return ProxyParse::failed;
  // Family in the upper half, transport (unspecified, stream, datagram) in the lower.
  if ((family >> 4) > 3 || (family & 15) > 2) return ProxyParse::failed;
  if (buffered.size() < size) return ProxyParse::incomplete;

  const std::string_view bytes = buffered.substr(0, size);
  header = ProxyHeader{};
  header.version = 2;
  header.size = size;
  if (command == 0x20) return ProxyParse::complete;  // LOCAL: addresses and TLVs are to be ignored
  header.command = ProxyHeader::Command::proxy;
  constexpr std::array<std::size_t, 4> kAddressBytes = {0, 12, 36, 216};
  const std::size_t addresses = kAddressBytes[family >> 4];
  if (size - kV2Fixed < addresses || !check_tlvs(bytes, kV2Fixed + addresses)) return ProxyParse::failed;
  header.tlvs = bytes.substr(kV2Fixed + addresses);
  switch (family >> 4) {
    case 1: read_addresses(bytes, Family::ipv4, 4, header); break;
    case 2: read_addresses(bytes, Family::ipv6, 16, header); break;
    case 3: header.source.family = header.destination.family = Family::unix_socket; break;
    default: break;
  }
  return ProxyParse::complete;
}

/// A field's name in variables and its type.
struct TlvName {
  std::string_view name;
  unsigned type;
};
constexpr std::array kTlvNames = {TlvName{"alpn", 0x01}, TlvName{"authority", 0x02}, TlvName{"unique_id", 0x05},
                                  TlvName{"ssl", 0x20}, TlvName{"netns", 0x30}};
constexpr std::array kSslTlvNames = {TlvName{"version", 0x21}, TlvName{"cn", 0x22}, TlvName{"cipher", 0x23},
                                     TlvName{"sig_alg", 0x24}, TlvName{"key_alg", 0x25}};

std::optional<unsigned> tlv_type(std::string_view name, std::span<const TlvName> names) {
  for (const TlvName& known : names) {
    if (known.name == name) return known.type;
  }
  if (!name.starts_with("0x") || name.size() > 4) return std::nullopt;
  unsigned type = 0;
  const auto [end, error] = std::from_chars(name.data() + 2, name.data() + name.size(), type, 16);
  if (error != std::errc{} || end != name.data() + name.size()) return std::nullopt;
  return type;
}

std::optional<std::string_view> find_tlv(std::string_view tlvs, unsigned type) {
  for (std::size_t i = 0; i + 3 <= tlvs.size();) {
    const std::size_t length = read16(tlvs, i + 1);
    if (tlvs.size() - i - 3 < length) return std::nullopt;
    if (byte_at(tlvs, i) == type) return tlvs.substr(i + 3, length);
    i += 3 + length;
  }
  return std::nullopt;
}

void append_ip(const PlainAddress& address, std::string& out) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int family = address.family == Family::ipv4 ? AF_INET : AF_INET6;
  out.append(inet_ntop(family, address.bytes.data(), text.data(), text.size()));
}

}  // namespace

ProxyParse parse_proxy_header(std::string_view buffered, ProxyHeader& header) noexcept {
  if (buffered.empty()) return ProxyParse::incomplete;
  const bool v2 = buffered.front() == kV2Signature.front();
  const std::string_view prefix = v2 ? kV2Signature : kV1Prefix;
  if (!prefix.starts_with(buffered.substr(0, prefix.size()))) return ProxyParse::failed;
  if (buffered.size() < prefix.size()) return ProxyParse::incomplete;
  return v2 ? parse_v2(buffered, header) : parse_v1(buffered, header);
}

std::optional<std::string> proxy_tlv(std::string_view tlvs, std::string_view name) {
  constexpr std::string_view kSsl = "ssl_";
  constexpr std::size_t kSslFixed = 5;  // a byte of flags and the verification's result
  if (!name.starts_with(kSsl)) {
    const auto type = tlv_type(name, kTlvNames);
    const auto value = type ? find_tlv(tlvs, *type) : std::nullopt;
    return value ? std::optional(std::string(*value)) : std::nullopt;
  }
  name.remove_prefix(kSsl.size());
  const auto ssl = find_tlv(tlvs, 0x20);
  if (!ssl || ssl->size() < kSslFixed) return std::nullopt;
  if (name == "verify") return std::to_string(std::uint32_t{read16(*ssl, 1)} << 16 | read16(*ssl, 3));
  const auto type = tlv_type(name, kSslTlvNames);
  const auto value = type ? find_tlv(ssl->substr(kSslFixed), *type) : std::nullopt;
  return value ? std::optional(std::string(*value)) : std::nullopt;
}

void append_proxy_v1(const PlainAddress& source, const PlainAddress& destination, std::string& out) {
  const bool ip = source.family == Family::ipv4 || source.family == Family::ipv6;
  if (!ip || source.family != destination.family) {
    out.append("PROXY UNKNOWN\r\n");
    return;
  }
  out.append(source.family == Family::ipv4 ? "PROXY TCP4 " : "PROXY TCP6 ");
  append_ip(source, out);
  out.push_back(' ');
  append_ip(destination, out);
  out.append(" ").append(std::to_string(source.port));
  out.append(" ").append(std::to_string(destination.port)).append("\r\n");
}

}  // namespace gatehouse::http
