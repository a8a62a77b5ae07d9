#include "proxy/stream/client_hello.hpp"

#include <string>

#include <gtest/gtest.h>
#include <openssl/ssl.h>

namespace gatehouse::stream {
namespace {

/// The first flight of a real client.
std::string client_flight(const char* name, std::string_view alpn, int version) {
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_max_proto_version(context, version);
  SSL* ssl = SSL_new(context);
  if (name != nullptr) SSL_set_tlsext_host_name(ssl, name);
  if (!alpn.empty())
    SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(alpn.data()), static_cast<unsigned>(alpn.size()));
  BIO* out = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
  SSL_set_connect_state(ssl);
  SSL_do_handshake(ssl);
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(out, &bytes);
  std::string flight(bytes, static_cast<std::size_t>(size));
  SSL_free(ssl);
  SSL_CTX_free(context);
  return flight;
}

/// The same handshake message in records of `size` bytes.
std::string in_small_records(const std::string& flight, std::size_t size) {
  const std::string message = flight.substr(5);
  std::string result;
  for (std::size_t at = 0; at < message.size(); at += size) {
    const std::string piece = message.substr(at, size);
    result += flight.substr(0, 3);
    result += static_cast<char>(piece.size() >> 8);
    result += static_cast<char>(piece.size() & 0xff);
    result += piece;
  }
  return result;
}

TEST(ClientHello, ReadsTheNameTheVersionAndTheProtocolsOfARealClient) {
  ClientHello hello;
  ASSERT_EQ(parse_client_hello(client_flight("git.example.com", "\x02h2\x08http/1.1", TLS1_3_VERSION), hello),
            HelloParse::complete);
  EXPECT_EQ(hello.server_name, "git.example.com");
  EXPECT_EQ(hello.alpn, "h2,http/1.1");
  EXPECT_EQ(hello.protocol(), "TLSv1.3");
}

TEST(ClientHello, TakesTheRecordsVersionWithoutAListOfVersions) {
  ClientHello hello;
  ASSERT_EQ(parse_client_hello(client_flight(nullptr, "", TLS1_2_VERSION), hello), HelloParse::complete);
  EXPECT_EQ(hello.server_name, "");
  EXPECT_EQ(hello.alpn, "");
  EXPECT_EQ(hello.protocol(), "TLSv1.2");
}

TEST(ClientHello, WaitsForEveryByteAndDecidesAtTheLast) {
  const std::string flight = client_flight("a.example", "\x02h2", TLS1_3_VERSION);
  ClientHello hello;
  for (std::size_t size = 0; size < flight.size(); ++size) {
    ASSERT_EQ(parse_client_hello(std::string_view(flight).substr(0, size), hello), HelloParse::incomplete) << size;
  }
  EXPECT_EQ(parse_client_hello(flight, hello), HelloParse::complete);
  EXPECT_EQ(parse_client_hello(flight + "what follows", hello), HelloParse::complete);
  EXPECT_EQ(hello.server_name, "a.example");
}

TEST(ClientHello, PutsAMessageOverManyRecordsTogether) {
  const std::string flight = client_flight("a.example", "\x02h2", TLS1_3_VERSION);
  ClientHello hello;
  for (const std::size_t size : {1U, 3U, 50U}) {
    ASSERT_EQ(parse_client_hello(in_small_records(flight, size), hello), HelloParse::complete) << size;
    EXPECT_EQ(hello.server_name, "a.example");
  }
}

TEST(ClientHello, SeesAtOnceWhatIsNoTls) {
  ClientHello hello;
  using namespace std::string_literals;
  for (const auto& bytes : {"GET / HTTP/1.1\r\n"s, "S"s, "\x16\x02"s, "\x17\x03\x03\x00\x01x"s, "\x16\x03\x01\x00\x00"s,
                            "\x16\x03\x01\xff\xff"s, "\x16\x03\x01\x00\x04\x02"s}) {
    EXPECT_EQ(parse_client_hello(bytes, hello), HelloParse::not_tls) << testing::PrintToString(bytes);
  }
}

TEST(ClientHello, RefusesLengthsThatReachBeyondTheirFrame) {
  const std::string flight = client_flight("a.example", "\x02h2", TLS1_3_VERSION);
  std::size_t refused = 0;
  for (std::size_t at = 9; at < flight.size(); ++at) {
    std::string broken = flight;
    broken[at] = '\xff';
    ClientHello hello;
    const auto parsed = parse_client_hello(broken, hello);
    EXPECT_NE(parsed, HelloParse::incomplete) << at;  // the frame was whole
    if (parsed != HelloParse::not_tls) continue;
    ++refused;
    EXPECT_EQ(hello.server_name, "") << at;  // nothing of a broken message is believed
  }
  EXPECT_GT(refused, 5U);
}

TEST(ClientHello, KnowsTheOldFormOfSsl2) {
  ClientHello hello;
  using namespace std::string_literals;
  ASSERT_EQ(parse_client_hello("\x80\x2e\x01\x03\x01 and more"s, hello), HelloParse::complete);
  EXPECT_EQ(hello.protocol(), "TLSv1");
  EXPECT_EQ(parse_client_hello("\x80\x2e\x02\x03\x01"s, hello), HelloParse::not_tls);
}

}  // namespace
}  // namespace gatehouse::stream
