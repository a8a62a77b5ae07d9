#include "proxy/exchange/link_checks.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "proxy/base/ascii.hpp"
#include "proxy/config/settings/auth.hpp"
#include "proxy/exchange/exchange.hpp"
#include "proxy/exchange/variables.hpp"

namespace gatehouse::exchange {
namespace {

using Md5 = std::array<unsigned char, 16>;

Md5 md5_of(std::string_view text) {
  Md5 out{};
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), out.data(), &size, EVP_md5(), nullptr);
  return out;
}

// base64url without padding (RFC 4648 section 5); plain base64's signs are taken as well. Nothing unless it is 16 bytes.
std::optional<Md5> decode_hash(std::string_view text) {
  Md5 out{};
  std::size_t size = 0;
  std::uint32_t bits = 0;
  int have = 0;
  while (text.ends_with('=')) text.remove_suffix(1);
  for (const char c : text) {
    std::uint32_t digit = 0;
    if (c >= 'A' && c <= 'Z') {
      digit = static_cast<std::uint32_t>(c - 'A');
    } else if (c >= 'a' && c <= 'z') {
      digit = static_cast<std::uint32_t>(c - 'a') + 26;
    } else if (c >= '0' && c <= '9') {
      digit = static_cast<std::uint32_t>(c - '0') + 52;
    } else if (c == '-' || c == '+') {
      digit = 62;
    } else if (c == '_' || c == '/') {
      digit = 63;
    } else {
      return std::nullopt;
    }
    bits = bits << 6 | digit;
    if ((have += 6) >= 8) {
      have -= 8;
      if (size == out.size()) return std::nullopt;
      out[size++] = static_cast<unsigned char>(bits >> have & 0xff);
    }
  }
  return size == out.size() ? std::optional(out) : std::nullopt;
}

std::optional<std::string_view> by_secret(Exchange& exchange, const std::string& secret) {
  // /PREFIX/HASH/LINK, the hash in hexadecimal
  const std::string_view path = exchange.path;
  const std::size_t prefix = path.find('/', 1);
  if (prefix == std::string_view::npos) return "";
  const std::string_view rest = path.substr(prefix + 1);
  const std::size_t slash = rest.find('/');
  if (slash != 32) return "";
  const std::string_view link = rest.substr(33);
  std::array<char, 32> expected{};
  static constexpr char kHex[] = "0123456789abcdef";
  const Md5 hash = md5_of(std::string(link) + secret);
  for (std::size_t i = 0; i < hash.size(); ++i) {
    expected[2 * i] = kHex[hash[i] >> 4];
    expected[2 * i + 1] = kHex[hash[i] & 15];
  }
  std::string given(rest.substr(0, 32));
  for (char& c : given) c = c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c;
  return CRYPTO_memcmp(given.data(), expected.data(), expected.size()) == 0 ? link : std::string_view("");
}

bool same_host(const config::AuthSettings::Referer& rule, std::string_view host) {
  using Kind = config::AuthSettings::Referer::Kind;
  switch (rule.kind) {
    case Kind::exact: return host == rule.host;
    case Kind::leading_wildcard:
      return host.size() > rule.host.size() + 1 && host.ends_with(rule.host) &&
             host[host.size() - rule.host.size() - 1] == '.';
    case Kind::trailing_wildcard:
      return host.size() > rule.host.size() + 1 && host.starts_with(rule.host) && host[rule.host.size()] == '.';
  }
  return false;
}

bool is_server_name(const Exchange& exchange, std::string_view host) {
  using Kind = config::ServerName::Kind;
  return std::ranges::any_of(exchange.server->names, [&](const config::ServerName& name) {
    switch (name.kind) {
      case Kind::exact: return host == name.text && !host.empty();
      case Kind::leading_wildcard:
        return host.size() > name.text.size() + 1 && host.ends_with(name.text) &&
               host[host.size() - name.text.size() - 1] == '.';
      case Kind::trailing_wildcard:
        return host.size() > name.text.size() + 1 && host.starts_with(name.text) && host[name.text.size()] == '.';
      case Kind::regex: return name.regex->matches(host);
    }
    return false;
  });
}

}  // namespace

std::optional<std::string_view> secure_link(Exchange& exchange, std::string_view) {
  const auto& auth = exchange.settings().auth;
  if (!auth) return std::nullopt;
  if (!auth->secure_link_secret.empty()) return by_secret(exchange, auth->secure_link_secret);
  if (!auth->secure_link || !auth->secure_link_md5) return std::nullopt;
  const std::string_view value = evaluate(*auth->secure_link, exchange);
  const std::size_t comma = value.find(',');
  std::string_view result = "1";
  exchange.secure_link_expires = {};
  if (comma != std::string_view::npos) {
    const std::string_view text = value.substr(comma + 1);
    std::int64_t until = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), until);
    if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size() || until <= 0) return std::nullopt;
    exchange.secure_link_expires = text;
    if (until < exchange.wall_seconds()) result = "0";
  }
  const auto given = decode_hash(value.substr(0, comma));
  if (!given) return std::nullopt;
  const Md5 expected = md5_of(evaluate(*auth->secure_link_md5, exchange));
  if (CRYPTO_memcmp(given->data(), expected.data(), expected.size()) != 0) return std::nullopt;
  return result;
}

std::optional<std::string_view> invalid_referer(Exchange& exchange, std::string_view) {
  const auto& auth = exchange.settings().auth;
  if (!auth || !auth->referers_given) return "";
  const auto referer = exchange.head.fields.value(http::FieldId::referer);
  if (!referer) return auth->referers_none ? "" : "1";
  std::string_view rest = *referer;
  const auto begins = [&](std::string_view scheme) {
    return rest.size() > scheme.size() && iequals(rest.substr(0, scheme.size()), scheme);
  };
  const std::size_t scheme = begins("http://") ? 7 : begins("https://") ? 8 : 0;
  if (scheme == 0) return auth->referers_blocked ? "" : "1";
  rest.remove_prefix(scheme);
  const std::string_view expression_subject = rest;
  const std::string host = lower_case(rest.substr(0, rest.find_first_of("/:")));
  if (host.size() > 256) return "1";
  const std::size_t slash = rest.find('/');
  const std::string_view path = slash == std::string_view::npos ? std::string_view("/") : rest.substr(slash);
  for (const auto& rule : auth->referers) {
    if (same_host(rule, host) && path.starts_with(rule.path)) return "";
  }
  if (auth->referers_server_names && is_server_name(exchange, host)) return "";
  for (const auto& expression : auth->referer_expressions) {
    if (expression->matches(expression_subject)) return "";
  }
  return "1";
}

}  // namespace gatehouse::exchange
