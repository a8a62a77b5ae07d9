// The PROXY protocol, versions 1 and 2 (haproxy.org's proxy-protocol.txt): who the client behind a load balancer is.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/base/error.hpp"

namespace gatehouse::http {

/// An address without a socket: 4 or 16 bytes in network order and a port in host order.
struct PlainAddress {
  enum class Family : std::uint8_t { none, ipv4, ipv6, unix_socket };

  Family family = Family::none;
  std::uint16_t port = 0;
  std::array<std::uint8_t, 16> bytes{};  ///< ipv4 uses the first 4; none for the others

  friend bool operator==(const PlainAddress&, const PlainAddress&) = default;
};

/// A parsed PROXY header.
struct ProxyHeader {
  enum class Command : std::uint8_t { local, proxy };

  Command command = Command::local;
  /// Family::none after LOCAL, UNKNOWN or an unspecified family: keep the connection's own addresses.
  PlainAddress source;
  PlainAddress destination;
  std::uint8_t version = 0;  ///< 1 or 2
  std::size_t size = 0;      ///< bytes the header takes
  std::string_view tlvs;     ///< type-length-value fields of version 2, within the bytes that were parsed
};

enum class ProxyParse : std::uint8_t { incomplete, complete, failed };

inline constexpr std::size_t kProxyV1Max = 107;   ///< bytes with CRLF, as the specification says
inline constexpr std::size_t kProxyV2Max = 4096;  ///< bytes with the fixed part and all TLVs: our limit

/// Parses the header at the start of a connection from all bytes buffered so far; fills `header` when complete.
/// `failed` (Reason::bad_proxy_protocol: close without an answer) as soon as the bytes can't become a valid header:
/// absent signature, unknown command or family, wrong length, malformed TLV, wrong CRC32c. Cheap to call again with
/// more bytes.
[[nodiscard]] ProxyParse parse_proxy_header(std::string_view buffered, ProxyHeader& header) noexcept;

/// The value of one type-length-value field (section 2.2 of the specification), named as in nginx's
/// $proxy_protocol_tlv_NAME: alpn, authority, unique_id, ssl, netns or a number, 0xea; behind ssl_ those inside the ssl
/// field: version, cn, cipher, sig_alg, key_alg, a number, and verify, which is the result of the client certificate's
/// verification as a decimal number, 0 for a good one. The first of several. Nothing if there is none or the name is none.
[[nodiscard]] std::optional<std::string> proxy_tlv(std::string_view tlvs, std::string_view name);

/// The header to send to an upstream: version 1 text. A family other than a matching pair of IP addresses gives
/// UNKNOWN.
void append_proxy_v1(const PlainAddress& source, const PlainAddress& destination, std::string& out);

}  // namespace gatehouse::http
