#include "proxy/stream/client_hello.hpp"

#include <algorithm>
#include <optional>

namespace gatehouse::stream {
namespace {

constexpr std::size_t kRecordHeader = 5;
constexpr std::size_t kMessageHeader = 4;
constexpr std::size_t kLargestRecord = 16384 + 256;
constexpr std::uint8_t kHandshake = 22;
constexpr std::uint8_t kClientHello = 1;
constexpr std::uint16_t kServerName = 0;
constexpr std::uint16_t kAlpn = 16;
constexpr std::uint16_t kSupportedVersions = 43;

std::uint8_t byte_at(std::string_view bytes, std::size_t i) { return static_cast<std::uint8_t>(bytes[i]); }

// Takes pieces from the front; once something is missing, everything after is missing too.
class Cursor {
 public:
  explicit Cursor(std::string_view bytes) : rest_(bytes) {}

  [[nodiscard]] std::optional<std::size_t> number(std::size_t width) {
    if (rest_.size() < width) return std::nullopt;
    std::size_t value = 0;
    for (std::size_t i = 0; i < width; ++i) value = value << 8 | byte_at(rest_, i);
    rest_.remove_prefix(width);
    return value;
  }
  [[nodiscard]] std::optional<std::string_view> take(std::size_t size) {
    if (rest_.size() < size) return std::nullopt;
    const auto piece = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return piece;
  }
  /// A piece with its length in front, in `width` bytes.
  [[nodiscard]] std::optional<std::string_view> vector(std::size_t width) {
    const auto size = number(width);
    return size ? take(*size) : std::nullopt;
  }
  [[nodiscard]] bool empty() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

bool read_server_name(std::string_view extension, ClientHello& hello) {
  Cursor outer(extension);
  const auto list = outer.vector(2);
  if (!list) return false;
  Cursor names(*list);
  while (!names.empty()) {
    const auto type = names.number(1);
    const auto name = names.vector(2);
    if (!type || !name) return false;
    if (*type == 0 && hello.server_name.empty()) hello.server_name = *name;
  }
  return true;
}

bool read_alpn(std::string_view extension, ClientHello& hello) {
  Cursor outer(extension);
  const auto list = outer.vector(2);
  if (!list) return false;
  Cursor protocols(*list);
  while (!protocols.empty()) {
    const auto protocol = protocols.vector(1);
    if (!protocol || protocol->empty()) return false;
    if (!hello.alpn.empty()) hello.alpn += ',';
    hello.alpn += *protocol;
  }
  return true;
}

bool read_versions(std::string_view extension, ClientHello& hello) {
  Cursor outer(extension);
  const auto list = outer.vector(1);
  if (!list) return false;
  Cursor versions(*list);
  std::uint16_t highest = 0;
  while (!versions.empty()) {
    const auto version = versions.number(2);
    if (!version) return false;
    // Values made up to keep implementations tolerant (RFC 8701) are no versions.
    if (*version >= 0x0300 && *version <= 0x0304) highest = std::max(highest, static_cast<std::uint16_t>(*version));
  }
  if (highest != 0) hello.version = highest;
  return true;
}

bool read_hello(std::string_view message, ClientHello& hello) {
  Cursor cursor(message);
  const auto version = cursor.number(2);
  const auto random = cursor.take(32);
  const auto session = cursor.vector(1);
  const auto ciphers = cursor.vector(2);
  const auto compression = cursor.vector(1);
  if (!version || !random || !session || !ciphers || !compression) return false;
  hello.version = static_cast<std::uint16_t>(*version);
  if (cursor.empty()) return true;  // no extensions: SSL 3 and early TLS
  const auto extensions = cursor.vector(2);
  if (!extensions) return false;
  Cursor rest(*extensions);
  while (!rest.empty()) {
    const auto type = rest.number(2);
    const auto content = rest.vector(2);
    if (!type || !content) return false;
    bool good = true;
    if (*type == kServerName) good = read_server_name(*content, hello);
    if (*type == kAlpn) good = read_alpn(*content, hello);
    if (*type == kSupportedVersions) good = read_versions(*content, hello);
    if (!good) return false;
  }
  return true;
}

}  // namespace

std::string_view ClientHello::protocol() const noexcept {
  switch (version) {
    case 0x0002: return "SSLv2";
    case 0x0300: return "SSLv3";
    case 0x0301: return "TLSv1";
    case 0x0302: return "TLSv1.1";
    case 0x0303: return "TLSv1.2";
    case 0x0304: return "TLSv1.3";
    default: return "";
  }
}

HelloParse parse_client_hello(std::string_view bytes, ClientHello& hello) {
  hello = ClientHello{};
  if (bytes.empty()) return HelloParse::incomplete;
  // An SSLv2 hello has no record header of TLS; its version says what the client can do.
  if ((byte_at(bytes, 0) & 0x80) != 0) {
    if (bytes.size() < 5) return HelloParse::incomplete;
    if (byte_at(bytes, 2) != kClientHello || (byte_at(bytes, 3) != 0 && byte_at(bytes, 3) != 3))
      return HelloParse::not_tls;
    hello.version = static_cast<std::uint16_t>(byte_at(bytes, 3) << 8 | byte_at(bytes, 4));
    return HelloParse::complete;
  }
  std::string message;
  for (;;) {
    if (bytes.empty()) return HelloParse::incomplete;
    if (byte_at(bytes, 0) != kHandshake) return HelloParse::not_tls;
    if (bytes.size() > 1 && byte_at(bytes, 1) != 3) return HelloParse::not_tls;
    if (bytes.size() < kRecordHeader) return HelloParse::incomplete;
    const std::size_t size = std::size_t{byte_at(bytes, 3)} << 8 | byte_at(bytes, 4);
    if (size == 0 || size > kLargestRecord) return HelloParse::not_tls;
    message.append(bytes.substr(kRecordHeader, size));
    if (!message.empty() && byte_at(message, 0) != kClientHello) return HelloParse::not_tls;
    if (message.size() >= kMessageHeader) {
      const std::size_t wanted =
          std::size_t{byte_at(message, 1)} << 16 | std::size_t{byte_at(message, 2)} << 8 | byte_at(message, 3);
      if (message.size() - kMessageHeader >= wanted) {
        if (read_hello(std::string_view(message).substr(kMessageHeader, wanted), hello)) return HelloParse::complete;
        hello = ClientHello{};
        return HelloParse::not_tls;
      }
    }
    if (bytes.size() < kRecordHeader + size) return HelloParse::incomplete;
    bytes.remove_prefix(kRecordHeader + size);
  }
}

}  // namespace gatehouse::stream
