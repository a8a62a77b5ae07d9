#include "proxy/base/address.hpp"

#include <array>
#include <cstring>
#include <unordered_set>

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

namespace gatehouse {
namespace {

TEST(SocketAddress, PrintsAsNginxDoesAndReadsItBack) {
  for (const char* text : {"10.0.0.1:80", "255.255.255.255:65535", "[::1]:80", "[::]:8080",
                           "[2001:db8::8:800:200c:417a]:443", "[fe80::1:0:0:1]:1", "[1:2:3:4:5:6:7:8]:9", "[1::]:80",
                           "[::ffff:1.2.3.4]:80", "[::1.2.3.4]:80", "[1:0:2:0:3:0:4:0]:80", "unix:/run/app.sock"}) {
    const auto address = SocketAddress::parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->to_string(), text);
  }
}

TEST(SocketAddress, CutsTheLongestRunOfZeroGroupsTheFirstOfEquals) {
  EXPECT_EQ(SocketAddress::parse("[1:0:0:2:0:0:0:3]:80")->ip_string(), "1:0:0:2::3");
  EXPECT_EQ(SocketAddress::parse("[1:0:0:2:3:0:0:4]:80")->ip_string(), "1::2:3:0:0:4");
  EXPECT_EQ(SocketAddress::parse("[0:0:1:2:3:4:5:6]:80")->ip_string(), "::1:2:3:4:5:6");
}

TEST(SocketAddress, IpStringHasNeitherPortNorBrackets) {
  EXPECT_EQ(SocketAddress::parse("192.0.2.1:80")->ip_string(), "192.0.2.1");
  EXPECT_EQ(SocketAddress::parse("[2001:db8::1]:80")->ip_string(), "2001:db8::1");
  EXPECT_EQ(SocketAddress::unix_path({}).ip_string(), "unix:");
  EXPECT_EQ(SocketAddress().to_string(), "");
}

TEST(SocketAddress, RefusesWhatIsNoAddress) {
  for (const char* text : {"",
                           ":",
                           ":80",
                           "10.0.0.1",
                           "10.0.0.1:",
                           "10.0.0.1:0",
                           "10.0.0.1:65536",
                           "10.0.0.1:80x",
                           "10.0.0.1:+80",
                           "10.0.0.1: 80",
                           "10.0.0:80",
                           "10.0.0.256:80",
                           "010.0.0.1.5:80",
                           "localhost:80",
                           "[::1]",
                           "[::1]80",
                           "[::1",
                           "[::1]:",
                           "[]:80",
                           "[10.0.0.1]:80",
                           "::1",
                           "[::1%lo]:80",
                           "unix:",
                           "[:::]:80"}) {
    EXPECT_FALSE(SocketAddress::parse(text)) << text;
  }
  EXPECT_FALSE(SocketAddress::parse(std::string_view("10.0.0.1\0:80", 12)));
  EXPECT_FALSE(SocketAddress::parse("unix:/" + std::string(200, 'x')));
  EXPECT_FALSE(SocketAddress::parse("[" + std::string(5000, '1') + "]:80"));
}

TEST(SocketAddress, DefaultPortServesAddressesWithoutOne) {
  EXPECT_EQ(SocketAddress::parse("10.0.0.1", 80)->to_string(), "10.0.0.1:80");
  EXPECT_EQ(SocketAddress::parse("10.0.0.1:81", 80)->to_string(), "10.0.0.1:81");
  EXPECT_EQ(SocketAddress::parse("[::1]", 80)->to_string(), "[::1]:80");
  EXPECT_EQ(SocketAddress::parse("2001:db8::1", 443)->to_string(), "[2001:db8::1]:443");
  EXPECT_FALSE(SocketAddress::parse("10.0.0.1:", 80));
}

TEST(SocketAddress, GoesThroughSockaddrUnchanged) {
  for (const char* text : {"10.0.0.1:80", "[2001:db8::1]:443", "unix:/run/app.sock"}) {
    const auto address = SocketAddress::parse(text);
    sockaddr_storage storage{};
    const std::size_t length = address->to_sockaddr(storage);
    EXPECT_EQ(SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&storage), length), address) << text;
  }
  sockaddr_storage storage{};
  EXPECT_EQ(SocketAddress().to_sockaddr(storage), 0U);
}

TEST(SocketAddress, KeepsTheScopeOfALinkLocalAddress) {
  std::array<std::uint8_t, 16> bytes{0xfe, 0x80};
  const SocketAddress address = SocketAddress::ipv6(bytes, 80, 3);
  EXPECT_NE(address, SocketAddress::ipv6(bytes, 80, 4));
  sockaddr_storage storage{};
  const std::size_t length = address.to_sockaddr(storage);
  EXPECT_EQ(SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&storage), length), address);
}

TEST(SocketAddress, ReadsUnnamedAndAbstractUnixSockets) {
  sockaddr_un un{};
  un.sun_family = AF_UNIX;
  const auto* raw = reinterpret_cast<const sockaddr*>(&un);
  EXPECT_EQ(SocketAddress::from_sockaddr(raw, sizeof un.sun_family)->to_string(), "unix:");
  std::memcpy(un.sun_path, "\0name", 5);
  const auto abstract = SocketAddress::from_sockaddr(raw, offsetof(sockaddr_un, sun_path) + 5);
  ASSERT_TRUE(abstract);
  EXPECT_EQ(abstract->path(), std::string("\0name", 5));
  sockaddr_storage storage{};
  EXPECT_EQ(abstract->to_sockaddr(storage), offsetof(sockaddr_un, sun_path) + 5);
  std::memset(un.sun_path, 'x', sizeof un.sun_path);  // a full path has no terminator
  EXPECT_EQ(SocketAddress::from_sockaddr(raw, sizeof un)->path().size(), sizeof un.sun_path);
}

TEST(SocketAddress, RefusesShortAndForeignSockaddrs) {
  sockaddr_storage storage{};
  const auto* raw = reinterpret_cast<const sockaddr*>(&storage);
  storage.ss_family = AF_INET;
  EXPECT_FALSE(SocketAddress::from_sockaddr(raw, sizeof(sockaddr_in) - 1));
  storage.ss_family = AF_INET6;
  EXPECT_FALSE(SocketAddress::from_sockaddr(raw, sizeof(sockaddr_in)));
  storage.ss_family = AF_NETLINK;
  EXPECT_FALSE(SocketAddress::from_sockaddr(raw, sizeof storage));
  EXPECT_FALSE(SocketAddress::from_sockaddr(raw, 1));
  EXPECT_FALSE(SocketAddress::from_sockaddr(nullptr, 16));
}

TEST(SocketAddress, EqualityAndHashSeeEveryPart) {
  std::unordered_set<SocketAddress> all;
  for (int last = 0; last < 200; ++last) {
    for (const std::uint16_t port : {80, 81, 8080}) {
      all.insert(SocketAddress::ipv4({10, 0, 0, static_cast<std::uint8_t>(last)}, port));
    }
  }
  all.insert(SocketAddress::unix_path("/a"));
  all.insert(SocketAddress::unix_path("/b"));
  EXPECT_EQ(all.size(), 602U);
  EXPECT_TRUE(all.contains(*SocketAddress::parse("10.0.0.7:8080")));
  // The low bits must differ as well: pools index with them.
  std::unordered_set<std::size_t> low_bits;
  for (const SocketAddress& address : all) low_bits.insert(address.hash() & 0xfff);
  EXPECT_GT(low_bits.size(), 500U);
  EXPECT_EQ(SocketAddress::parse("10.0.0.7:80")->with_port(81), *SocketAddress::parse("10.0.0.7:81"));
}

TEST(SocketAddress, BytesAreInNetworkOrder) {
  const SocketAddress address = *SocketAddress::parse("192.0.2.7:80");
  EXPECT_EQ(std::vector<std::uint8_t>(address.bytes().begin(), address.bytes().end()),
            (std::vector<std::uint8_t>{192, 0, 2, 7}));
  EXPECT_EQ(SocketAddress::parse("[::1]:80")->bytes().size(), 16U);
  EXPECT_TRUE(SocketAddress::unix_path("/a").bytes().empty());
}

}  // namespace
}  // namespace gatehouse
