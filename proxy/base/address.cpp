#include "proxy/base/address.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

namespace gatehouse {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";
constexpr std::size_t kPathOffset = offsetof(sockaddr_un, sun_path);
constexpr std::size_t kMaxPath = sizeof(sockaddr_un::sun_path) - 1;

void append_number(std::string& out, unsigned value, int base = 10) {
  char digits[16];
  const auto end = std::to_chars(digits, digits + sizeof digits, value, base).ptr;
  out.append(digits, end);
}

void append_ipv4(std::string& out, std::span<const std::uint8_t, 4> bytes) {
  for (std::size_t i = 0; i < 4; ++i) {
    if (i != 0) out += '.';
    append_number(out, bytes[i]);
  }
}

// RFC 5952: the longest run of at least two zero groups is cut, the first of equals; mapped addresses end in dotted
// form.
void append_ipv6(std::string& out, std::span<const std::uint8_t, 16> bytes) {
  unsigned groups[8];
  for (std::size_t i = 0; i < 8; ++i) groups[i] = static_cast<unsigned>(bytes[2 * i]) << 8 | bytes[2 * i + 1];
  std::size_t cut = 8;
  std::size_t cut_length = 1;
  for (std::size_t i = 0; i < 8;) {
    std::size_t end = i;
    while (end < 8 && groups[end] == 0) ++end;
    if (end - i > cut_length) {
      cut = i;
      cut_length = end - i;
    }
    i = end + 1;
  }
  const bool dotted = cut == 0 && (cut_length == 6 || (cut_length == 5 && groups[5] == 0xffff));
  const std::size_t last = dotted ? 6 : 8;
  for (std::size_t i = 0; i < last;) {
    if (i == cut) {
      out += "::";
      i += cut_length;
      continue;
    }
    if (i != 0 && i != cut + cut_length) out += ':';
    append_number(out, groups[i], 16);
    ++i;
  }
  if (dotted) {
    if (cut_length == 5) out += ':';
    append_ipv4(out, bytes.last<4>());
  }
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

// inet_pton() wants a terminated string; no address is longer than INET6_ADDRSTRLEN.
bool to_bytes(int family, std::string_view text, void* out) {
  char terminated[INET6_ADDRSTRLEN];
  if (text.size() >= sizeof terminated || text.find('\0') != std::string_view::npos) return false;
  std::memcpy(terminated, text.data(), text.size());
  terminated[text.size()] = '\0';
  return inet_pton(family, terminated, out) == 1;
}

}  // namespace

SocketAddress SocketAddress::ipv4(std::array<std::uint8_t, 4> bytes, std::uint16_t port) {
  SocketAddress address;
  address.family_ = AddressFamily::ipv4;
  address.port_ = port;
  std::copy(bytes.begin(), bytes.end(), address.ip_.begin());
  return address;
}

SocketAddress SocketAddress::ipv6(const std::array<std::uint8_t, 16>& bytes, std::uint16_t port,
                                  std::uint32_t scope_id) {
  SocketAddress address;
  address.family_ = AddressFamily::ipv6;
  address.port_ = port;
  address.scope_id_ = scope_id;
  address.ip_ = bytes;
  return address;
}

SocketAddress SocketAddress::unix_path(std::string_view path) {
  SocketAddress address;
  address.family_ = AddressFamily::unix_path;
  address.path_ = path;
  return address;
}

std::optional<SocketAddress> SocketAddress::parse(std::string_view text, std::optional<std::uint16_t> default_port) {
  if (text.starts_with(kUnixPrefix)) {
    text.remove_prefix(kUnixPrefix.size());
    if (text.empty() || text.size() > kMaxPath || text.find('\0') != std::string_view::npos) return std::nullopt;
    return unix_path(text);
  }
  std::optional<std::uint16_t> port = default_port;
  std::string_view host = text;
  const bool bracketed = text.starts_with('[');
  const bool bare_ipv6 = !bracketed && std::count(text.begin(), text.end(), ':') > 1;
  if (bracketed) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    host = text.substr(1, end - 1);
    const std::string_view rest = text.substr(end + 1);
    if (!rest.empty() && rest.front() != ':') return std::nullopt;
    if (!rest.empty()) port = parse_port(rest.substr(1));
  } else if (const std::size_t colon = text.find(':'); colon != std::string_view::npos && !bare_ipv6) {
    host = text.substr(0, colon);
    port = parse_port(text.substr(colon + 1));
  }
  if (!port) return std::nullopt;
  if (bracketed || bare_ipv6) {
    std::array<std::uint8_t, 16> bytes{};
    if (!to_bytes(AF_INET6, host, bytes.data())) return std::nullopt;
    return ipv6(bytes, *port);
  }
  std::array<std::uint8_t, 4> bytes{};
  if (!to_bytes(AF_INET, host, bytes.data())) return std::nullopt;
  return ipv4(bytes, *port);
}

std::optional<SocketAddress> SocketAddress::from_sockaddr(const sockaddr* address, std::size_t length) {
  // A memcpy for each kind: the caller's buffer promises neither the type nor the alignment.
  sa_family_t family = AF_UNSPEC;
  if (address == nullptr || length < sizeof family) return std::nullopt;
  std::memcpy(&family, &address->sa_family, sizeof family);
  if (family == AF_INET && length >= sizeof(sockaddr_in)) {
    sockaddr_in in{};
    std::memcpy(&in, address, sizeof in);
    std::array<std::uint8_t, 4> bytes{};
    std::memcpy(bytes.data(), &in.sin_addr, bytes.size());
    return ipv4(bytes, ntohs(in.sin_port));
  }
  if (family == AF_INET6 && length >= sizeof(sockaddr_in6)) {
    sockaddr_in6 in{};
    std::memcpy(&in, address, sizeof in);
    std::array<std::uint8_t, 16> bytes{};
    std::memcpy(bytes.data(), &in.sin6_addr, bytes.size());
    return ipv6(bytes, ntohs(in.sin6_port), in.sin6_scope_id);
  }
  if (family == AF_UNIX) {
    if (length <= kPathOffset) return unix_path({});
    sockaddr_un un{};
    std::memcpy(&un, address, std::min(length, sizeof un));
    const std::size_t size = std::min(length - kPathOffset, sizeof un.sun_path);
    // A path ends at its NUL; the name of an abstract socket begins with one and has the whole length.
    if (un.sun_path[0] == '\0') return unix_path({un.sun_path, size == 1 ? 0 : size});
    return unix_path({un.sun_path, strnlen(un.sun_path, size)});
  }
  return std::nullopt;
}

std::size_t SocketAddress::to_sockaddr(sockaddr_storage& out) const {
  switch (family_) {
    case AddressFamily::none: return 0;
    case AddressFamily::ipv4: {
      sockaddr_in in{};
      in.sin_family = AF_INET;
      in.sin_port = htons(port_);
      std::memcpy(&in.sin_addr, ip_.data(), sizeof in.sin_addr);
      std::memcpy(&out, &in, sizeof in);
      return sizeof in;
    }
    case AddressFamily::ipv6: {
      sockaddr_in6 in{};
      in.sin6_family = AF_INET6;
      in.sin6_port = htons(port_);
      in.sin6_scope_id = scope_id_;
      std::memcpy(&in.sin6_addr, ip_.data(), sizeof in.sin6_addr);
      std::memcpy(&out, &in, sizeof in);
      return sizeof in;
    }
    case AddressFamily::unix_path: {
      sockaddr_un un{};
      un.sun_family = AF_UNIX;
      const std::size_t size = std::min(path_.size(), kMaxPath);
      std::memcpy(un.sun_path, path_.data(), size);
      std::memcpy(&out, &un, sizeof un);
      const bool named = size != 0 && path_.front() != '\0';
      return kPathOffset + size + (named ? 1 : 0);
    }
  }
  return 0;
}

SocketAddress SocketAddress::with_port(std::uint16_t port) const {
  SocketAddress copy = *this;
  if (family_ == AddressFamily::ipv4 || family_ == AddressFamily::ipv6) copy.port_ = port;
  return copy;
}

std::span<const std::uint8_t> SocketAddress::bytes() const noexcept {
  switch (family_) {
    case AddressFamily::ipv4: return std::span(ip_).first(4);
    case AddressFamily::ipv6: return ip_;
    case AddressFamily::none:
    case AddressFamily::unix_path: return {};
  }
  return {};
}

std::string SocketAddress::to_string() const {
  std::string out;
  switch (family_) {
    case AddressFamily::none: return out;
    case AddressFamily::ipv4: append_ipv4(out, std::span(ip_).first<4>()); break;
    case AddressFamily::ipv6:
      out += '[';
      append_ipv6(out, ip_);
      out += ']';
      break;
    case AddressFamily::unix_path:
      out = kUnixPrefix;
      out += path_;
      return out;
  }
  out += ':';
  append_number(out, port_);
  return out;
}

std::string SocketAddress::ip_string() const {
  std::string out;
  switch (family_) {
    case AddressFamily::none: break;
    case AddressFamily::ipv4: append_ipv4(out, std::span(ip_).first<4>()); break;
    case AddressFamily::ipv6: append_ipv6(out, ip_); break;
    case AddressFamily::unix_path: out = kUnixPrefix; break;
  }
  return out;
}

std::size_t SocketAddress::hash() const noexcept {
  std::uint64_t words[2];
  std::memcpy(words, ip_.data(), sizeof words);
  std::uint64_t h = words[0] ^ (words[1] * 0x9e3779b97f4a7c15U) ^ (static_cast<std::uint64_t>(port_) << 40) ^ scope_id_;
  if (!path_.empty()) h ^= std::hash<std::string_view>{}(path_);
  h = (h ^ (h >> 32)) * 0xd6e8feb86659fd93U;
  h = (h ^ (h >> 32)) * 0xd6e8feb86659fd93U;
  return static_cast<std::size_t>(h ^ (h >> 32));
}

}  // namespace gatehouse
