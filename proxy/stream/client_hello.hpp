// The ClientHello of a TLS connection that is passed on unread (ngx_stream_ssl_preread_module).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace gatehouse::stream {

/// What `$ssl_preread_*` tell of it.
struct ClientHello {
  std::string server_name;    ///< SNI as sent; "" without one
  std::string alpn;           ///< offered protocols, commas between
  std::uint16_t version = 0;  ///< the highest offered: 0x0304 is TLS 1.3; 0: unknown

  /// "TLSv1.3"; "" when unknown.
  [[nodiscard]] std::string_view protocol() const noexcept;
};

enum class HelloParse : std::uint8_t {
  incomplete,
  complete,
  not_tls,  ///< no ClientHello, or a broken one: the bytes are passed on all the same
};

/// Reads the ClientHello at the start of a connection from all bytes received so far; `hello` is filled when complete.
/// Handshake messages over several records are put together. RFC 8446 section 4.1.2, RFC 6066 section 3, RFC 7301.
[[nodiscard]] HelloParse parse_client_hello(std::string_view bytes, ClientHello& hello);

}  // namespace gatehouse::stream
