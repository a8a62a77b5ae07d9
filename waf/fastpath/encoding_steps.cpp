// Steps between bytes and their hexadecimal, base64 and URL forms.
#include <algorithm>
#include <array>
#include <cstring>

#include "waf/fastpath/transformation_steps.hpp"

namespace gatehouse::waf::fastpath::steps {
namespace {

constexpr std::string_view base64_alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view hex_digits = "0123456789abcdef";
constexpr int not_base64 = -1;

constexpr auto make_base64_values() {
  std::array<signed char, 256> values{};
  values.fill(not_base64);
  for (std::size_t i = 0; i < base64_alphabet.size(); ++i) {
    values[static_cast<Byte>(base64_alphabet[i])] = static_cast<signed char>(i);
  }
  return values;
}
constexpr std::array<signed char, 256> base64_values = make_base64_values();

/// True when the strict decoder accepts the text; `end` is where it stops looking.
bool valid_base64(Input in, std::size_t& end) {
  std::size_t padding = 0;
  std::size_t i = 0;
  for (; i < in.size; ++i) {
    bool blank = false;
    for (; i < in.size && in.bytes[i] == ' '; ++i) blank = true;
    if (i == in.size) break;  // blanks at the end are fine
    const Byte c = in.bytes[i];
    if (c == '\n' || (c == '\r' && in.size - i >= 2 && in[i + 1] == '\n')) continue;
    if (blank) return false;
    if (c == '=') {
      if (++padding > 2) return false;
    } else if (base64_values[c] == not_base64 || padding != 0) {
      return false;
    }
  }
  end = i;
  return true;
}

}  // namespace

std::size_t base64_decode(Input in, Byte* out) {
  const void* nul = in.size == 0 ? nullptr : std::memchr(in.bytes, 0, in.size);
  if (nul != nullptr) in.size = static_cast<std::size_t>(static_cast<const Byte*>(nul) - in.bytes);
  std::size_t end = 0;
  if (!valid_base64(in, end)) return 0;
  Byte* d = out;
  unsigned bytes_of_group = 3;  // padding lowers it for the rest of the text
  std::uint32_t bits = 0;
  int symbols = 0;
  for (std::size_t i = 0; i < end; ++i) {
    const Byte c = in.bytes[i];
    if (c == '\r' || c == '\n' || c == ' ') continue;
    if (c == '=') --bytes_of_group;
    bits = bits << 6 | (c == '=' ? 0u : static_cast<std::uint32_t>(base64_values[c]));
    if (++symbols < 4) continue;
    symbols = 0;
    if (bytes_of_group > 0) *d++ = static_cast<Byte>(bits >> 16);
    if (bytes_of_group > 1) *d++ = static_cast<Byte>(bits >> 8);
    if (bytes_of_group > 2) *d++ = static_cast<Byte>(bits);
  }
  return static_cast<std::size_t>(d - out);
}

std::size_t base64_decode_ext(Input in, Byte* out) {
  Byte* d = out;
  std::size_t symbols = 0;
  std::uint32_t bits = 0;
  int last = 0;
  for (std::size_t i = 0; i < in.size; ++i) {
    const Byte c = in.bytes[i];
    if (c == '=') {
      if (in[i + 1] != '=' && symbols % 4 == 1) return 0;
      last = '=';
      continue;
    }
    last = base64_values[c];
    if (last == not_base64) continue;
    bits = bits << 6 | static_cast<std::uint32_t>(last);
    switch (symbols++ % 4) {
      case 1: *d++ = static_cast<Byte>(bits >> 4); break;
      case 2: *d++ = static_cast<Byte>(bits >> 2); break;
      case 3: *d++ = static_cast<Byte>(bits); break;
      default: break;
    }
  }
  // The original compares a decoded symbol with '=': a final '9' (61) counts as padding.
  if (last == '=' && symbols % 4 == 1) return 0;
  return static_cast<std::size_t>(d - out);
}

std::size_t base64_encode(Input in, Byte* out) {
  Byte* d = out;
  const auto symbol = [](std::uint32_t v) { return static_cast<Byte>(base64_alphabet[v & 0x3f]); };
  for (std::size_t i = 0; i < in.size; i += 3) {
    const std::uint32_t group =
        static_cast<std::uint32_t>(in[i]) << 16 | static_cast<std::uint32_t>(in[i + 1]) << 8 | in[i + 2];
    *d++ = symbol(group >> 18);
    *d++ = symbol(group >> 12);
    *d++ = i + 1 < in.size ? symbol(group >> 6) : Byte{'='};
    *d++ = i + 2 < in.size ? symbol(group) : Byte{'='};
  }
  return static_cast<std::size_t>(d - out);
}

std::size_t hex_encode(Input in, Byte* out) {
  for (std::size_t i = 0; i < in.size; ++i) {
    out[2 * i] = static_cast<Byte>(hex_digits[in.bytes[i] >> 4]);
    out[2 * i + 1] = static_cast<Byte>(hex_digits[in.bytes[i] & 0x0f]);
  }
  return in.size * 2;
}

// Any two bytes make one, digits or not; an odd last byte is dropped.
std::size_t hex_decode(Input in, Byte* out) {
  for (std::size_t i = 0; i + 1 < in.size; i += 2) out[i / 2] = hex_pair(in.bytes[i], in.bytes[i + 1]);
  return in.size / 2;
}

// Decodes "0x4142"; stops at a NUL, and at the text's last byte, which is lost unless it is part of a decoded run.
std::size_t sql_hex_decode(Input in, Byte* out) {
  if (in.size == 0) return 0;
  const std::size_t size = in.size;
  Byte* d = out;
  std::size_t at = 0;
  std::size_t count = 0;
  const auto copy_one = [&] { *d++ = in[at++]; };
  while (++count < size && in[at] != 0) {
    const bool number = in[at] == '0' && to_lower(in[at + 1]) == 'x' && is_hex(in[at + 2]) && is_hex(in[at + 3]);
    if (number) {
      at += 2;
      count += 2;
      while (is_hex(in[at]) && is_hex(in[at + 1])) {
        *d++ = hex_pair(in[at], in[at + 1]);
        at += 2;
        count += 2;
      }
    }
    copy_one();
  }
  const auto written = static_cast<std::size_t>(d - out);
  const void* nul = std::memchr(out, 0, written);
  return nul != nullptr ? static_cast<std::size_t>(static_cast<const Byte*>(nul) - out) : written;
}

std::size_t url_encode(Input in, Byte* out) {
  Byte* d = out;
  for (std::size_t i = 0; i < in.size; ++i) {
    const Byte c = in.bytes[i];
    if (c == ' ') {
      *d++ = '+';
    } else if (c == '*' || is_alnum(c)) {
      *d++ = c;
    } else {
      *d++ = '%';
      *d++ = static_cast<Byte>(hex_digits[c >> 4]);
      *d++ = static_cast<Byte>(hex_digits[c & 0x0f]);
    }
  }
  return static_cast<std::size_t>(d - out);
}

}  // namespace gatehouse::waf::fastpath::steps
