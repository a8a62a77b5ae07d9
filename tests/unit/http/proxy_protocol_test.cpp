#include "proxy/http/proxy_protocol.hpp"

#include <string>

#include <gtest/gtest.h>

namespace gatehouse::http {
namespace {

using Family = PlainAddress::Family;

const std::string kSignature("\r\n\r\n\0\r\nQUIT\n", 12);

std::string v2(unsigned command, unsigned family, const std::string& rest) {
  std::string text = kSignature;
  for (const std::size_t byte : {std::size_t{command}, std::size_t{family}, rest.size() >> 8, rest.size() & 0xff}) {
    text.push_back(static_cast<char>(byte));
  }
  return text + rest;
}

const std::string kIpv4Pair("\x0a\x00\x00\x01\xc0\xa8\x00\x02\x30\x39\x01\xbb", 12);

ProxyParse outcome(const std::string& text) {
  ProxyHeader header;
  return parse_proxy_header(text, header);
}

TEST(ProxyProtocol, V1CarriesBothAddresses) {
  const std::string text = "PROXY TCP4 10.0.0.1 192.168.0.2 12345 443\r\nGET /";
  ProxyHeader header;
  ASSERT_EQ(parse_proxy_header(text, header), ProxyParse::complete);
  EXPECT_EQ(header.version, 1);
  EXPECT_EQ(header.command, ProxyHeader::Command::proxy);
  EXPECT_EQ(header.source, (PlainAddress{Family::ipv4, 12345, {10, 0, 0, 1}}));
  EXPECT_EQ(header.destination, (PlainAddress{Family::ipv4, 443, {192, 168, 0, 2}}));
  EXPECT_EQ(header.size, text.size() - 5);
}

TEST(ProxyProtocol, V1TakesIpv6AndUnknown) {
  ProxyHeader header;
  ASSERT_EQ(parse_proxy_header("PROXY TCP6 2001:db8::1 ::1 1 2\r\n", header), ProxyParse::complete);
  EXPECT_EQ(header.source.family, Family::ipv6);
  EXPECT_EQ(header.source.bytes[0], 0x20);
  ASSERT_EQ(parse_proxy_header("PROXY UNKNOWN ffff:: ffff:: 1 2\r\n", header), ProxyParse::complete);
  EXPECT_EQ(header.source.family, Family::none);
  EXPECT_EQ(outcome("PROXY UNKNOWN\r\n"), ProxyParse::complete);
}

TEST(ProxyProtocol, EveryPrefixOfAHeaderIsIncomplete) {
  for (const std::string& text : {std::string("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"), v2(0x21, 0x11, kIpv4Pair)}) {
    for (std::size_t i = 0; i < text.size(); ++i) EXPECT_EQ(outcome(text.substr(0, i)), ProxyParse::incomplete) << i;
    EXPECT_EQ(outcome(text), ProxyParse::complete);
  }
}

// Row 68.
TEST(ProxyProtocol, AnAbsentHeaderIsRefusedAtItsFirstWrongByte) {
  for (const char* text : {"G", "GET / HTTP/1.1\r\n", "PROXX", "proxy ", "\r\nGET", "\x16\x03"}) {
    EXPECT_EQ(outcome(text), ProxyParse::failed) << text;
  }
}

// Row 68.
TEST(ProxyProtocol, AV1LineBeyond107BytesIsRefused) {
  const std::string fixed = "PROXY UNKNOWN ";
  EXPECT_EQ(outcome(fixed + std::string(107 - 2 - fixed.size(), 'x') + "\r\n"), ProxyParse::complete);
  EXPECT_EQ(outcome(fixed + std::string(108 - 2 - fixed.size(), 'x') + "\r\n"), ProxyParse::failed);
  EXPECT_EQ(outcome(fixed + std::string(106 - fixed.size(), 'x')), ProxyParse::incomplete);
}

TEST(ProxyProtocol, MalformedV1LinesAreRefused) {
  for (const char* line :
       {"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n", "PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n", "PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n", "PROXY TCP4 ::1 ::1 1 2\r\n",
        "PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n", "PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n", "PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n", "PROXY \r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n", "PROXY \n"}) {
    EXPECT_EQ(outcome(line), ProxyParse::failed) << line;
  }
}

TEST(ProxyProtocol, V2CarriesBothAddresses) {
  const std::string text = v2(0x21, 0x11, kIpv4Pair);
  ProxyHeader header;
  ASSERT_EQ(parse_proxy_header(text + "GET", header), ProxyParse::complete);
  EXPECT_EQ(header.version, 2);
  EXPECT_EQ(header.source, (PlainAddress{Family::ipv4, 12345, {10, 0, 0, 1}}));
  EXPECT_EQ(header.destination, (PlainAddress{Family::ipv4, 443, {192, 168, 0, 2}}));
  EXPECT_EQ(header.size, text.size());
}

TEST(ProxyProtocol, V2LocalUnspecifiedAndUnixKeepTheConnectionsAddresses) {
  ProxyHeader header;
  ASSERT_EQ(parse_proxy_header(v2(0x20, 0x00, ""), header), ProxyParse::complete);
  EXPECT_EQ(header.command, ProxyHeader::Command::local);
  EXPECT_EQ(header.source.family, Family::none);
  ASSERT_EQ(parse_proxy_header(v2(0x21, 0x00, ""), header), ProxyParse::complete);
  EXPECT_EQ(header.source.family, Family::none);
  ASSERT_EQ(parse_proxy_header(v2(0x21, 0x31, std::string(216, 'p')), header), ProxyParse::complete);
  EXPECT_EQ(header.source.family, Family::unix_socket);
}

TEST(ProxyProtocol, V2TakesIpv6) {
  std::string pair(36, '\0');
  pair[0] = 0x20;
  pair[31] = 1;
  pair[33] = 7;
  ProxyHeader header;
  ASSERT_EQ(parse_proxy_header(v2(0x21, 0x21, pair), header), ProxyParse::complete);
  EXPECT_EQ(header.source.bytes[0], 0x20);
  EXPECT_EQ(header.source.port, 7);
  EXPECT_EQ(header.destination.bytes[15], 1);
}

// The checksum was computed bit by bit from the polynomial of RFC 3720, not with the code under test.
std::uint32_t reference_crc32c(const std::string& text) {
  std::uint32_t crc = 0xffffffff;
  for (const char c : text) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82f63b78U : crc >> 1;
  }
  return ~crc;
}

// Row 68.
TEST(ProxyProtocol, AWrongChecksumIsRefused) {
  EXPECT_EQ(reference_crc32c("123456789"), 0xe3069283U);  // the published check value
  std::string text = v2(0x21, 0x11, kIpv4Pair + std::string("\x04\x00\x01X\x03\x00\x04\0\0\0\0", 11));
  const std::uint32_t crc = reference_crc32c(text);
  for (int i = 0; i < 4; ++i)
    text[text.size() - 4 + static_cast<std::size_t>(i)] = static_cast<char>(crc >> (24 - 8 * i));
  EXPECT_EQ(outcome(text), ProxyParse::complete);
  text[20] ^= 1;
  EXPECT_EQ(outcome(text), ProxyParse::failed);
}

// Row 68.
TEST(ProxyProtocol, AV2HeaderBeyond4kIsRefusedFromItsLength) {
  EXPECT_EQ(outcome(v2(0x21, 0x11, std::string(4081, 'x')).substr(0, 16)), ProxyParse::failed);
  EXPECT_EQ(outcome(v2(0x20, 0x00, std::string(4080, 'x'))), ProxyParse::complete);
}

TEST(ProxyProtocol, MalformedV2HeadersAreRefused) {
  EXPECT_EQ(outcome(v2(0x11, 0x11, kIpv4Pair)), ProxyParse::failed);
  EXPECT_EQ(outcome(v2(0x22, 0x11, kIpv4Pair)), ProxyParse::failed);
  EXPECT_EQ(outcome(v2(0x21, 0x41, kIpv4Pair)), ProxyParse::failed);
  EXPECT_EQ(outcome(v2(0x21, 0x13, kIpv4Pair)), ProxyParse::failed);
  EXPECT_EQ(outcome(v2(0x21, 0x11, kIpv4Pair.substr(1))), ProxyParse::failed);
  EXPECT_EQ(outcome(v2(0x21, 0x21, kIpv4Pair)), ProxyParse::failed);
  EXPECT_EQ(outcome(v2(0x21, 0x11, kIpv4Pair + "\x04")), ProxyParse::failed);
  EXPECT_EQ(outcome(v2(0x21, 0x11, kIpv4Pair + std::string("\x04\x00\x05XX", 5))), ProxyParse::failed);
  EXPECT_EQ(outcome(v2(0x21, 0x11, kIpv4Pair + std::string("\x03\x00\x01X", 4))), ProxyParse::failed);
}

std::string tlv(unsigned type, const std::string& value) {
  std::string text;
  for (const std::size_t byte : {std::size_t{type}, value.size() >> 8, value.size() & 0xff}) {
    text.push_back(static_cast<char>(byte));
  }
  return text + value;
}

TEST(ProxyProtocol, TlvsAreFoundByNameAndNumber) {
  const std::string ssl = std::string("\x07\x00\x00\x01\x02", 5) + tlv(0x21, "TLSv1.3") + tlv(0x22, "client.example");
  const std::string text =
      v2(0x21, 0x11,
         kIpv4Pair + tlv(0x01, "h2") + tlv(0x20, ssl) + tlv(0xea, "\x01vpce-1") + tlv(0x02, "") + tlv(0xea, "second"));
  const std::string received = text + tlv(0x05, "not of the header");
  ProxyHeader header;
  ASSERT_EQ(parse_proxy_header(received, header), ProxyParse::complete);
  const auto value = [&](std::string_view name) { return proxy_tlv(header.tlvs, name).value_or("nothing"); };
  EXPECT_EQ(value("alpn"), "h2");
  EXPECT_EQ(value("0x01"), "h2");
  EXPECT_EQ(value("0x1"), "h2");
  EXPECT_EQ(value("0xEA"), "\x01vpce-1") << "the first of two";
  EXPECT_EQ(value("authority"), "");
  EXPECT_EQ(value("unique_id"), "nothing");
  EXPECT_EQ(value("ssl"), ssl);
  EXPECT_EQ(value("ssl_version"), "TLSv1.3");
  EXPECT_EQ(value("ssl_0x22"), "client.example");
  EXPECT_EQ(value("ssl_verify"), "258");
  for (const char* name : {"", "0x", "0x123", "0xzz", "1", "cn", "ssl_", "ssl_cipher", "ssl_alpn"}) {
    EXPECT_EQ(value(name), "nothing") << name;
  }
}

TEST(ProxyProtocol, ABrokenSslTlvHoldsNothing) {
  const auto value = [](const std::string& ssl, std::string_view name) { return proxy_tlv(tlv(0x20, ssl), name); };
  EXPECT_FALSE(value("\x07", "ssl_verify"));
  EXPECT_FALSE(value(std::string(5, '\0') + "\x21\xff\xff"
                                            "x",
                     "ssl_version"))
      << "longer than the field it stands in";
  EXPECT_FALSE(value(std::string(5, '\0') + "\x21", "ssl_version"));
}

TEST(ProxyProtocol, TheV1HeaderWrittenIsTheOneRead) {
  ProxyHeader header;
  ASSERT_EQ(parse_proxy_header(v2(0x21, 0x11, kIpv4Pair), header), ProxyParse::complete);
  std::string out;
  append_proxy_v1(header.source, header.destination, out);
  EXPECT_EQ(out, "PROXY TCP4 10.0.0.1 192.168.0.2 12345 443\r\n");
  out.clear();
  append_proxy_v1(header.source, {}, out);
  EXPECT_EQ(out, "PROXY UNKNOWN\r\n");
}

}  // namespace
}  // namespace gatehouse::http
