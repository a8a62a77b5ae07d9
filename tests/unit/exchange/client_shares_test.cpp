#include "proxy/exchange/client_shares.hpp"

#include <optional>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace gatehouse::exchange {
namespace {

SocketAddress address(const char* text) { return *SocketAddress::parse(text); }

TEST(ClientShares, AClientHasItsShareAndNoMore) {
  ClientShares shares(2);
  auto first = shares.take(address("192.0.2.1:1000"));
  {
    const auto second = shares.take(address("192.0.2.1:2000"));
    EXPECT_TRUE(first);
    EXPECT_TRUE(second);
    EXPECT_FALSE(shares.take(address("192.0.2.1:3000")));
    EXPECT_TRUE(shares.take(address("192.0.2.2:1000")));
  }
  EXPECT_TRUE(shares.take(address("192.0.2.1:3000")));
}

TEST(ClientShares, ForgetsClientsWithoutEvaluations) {
  ClientShares shares(1);
  {
    const auto lease = shares.take(address("192.0.2.1:1000"));
    const auto refused = shares.take(address("192.0.2.1:1000"));
    EXPECT_EQ(shares.clients(), 1U);
  }
  EXPECT_EQ(shares.clients(), 0U);
}

TEST(ClientShares, ANetworkOfSixtyFourBitsIsOneClient) {
  ClientShares shares(1);
  const auto lease = shares.take(address("[2001:db8::1]:1"));
  EXPECT_FALSE(shares.take(address("[2001:db8::ffff:1]:1")));
  EXPECT_TRUE(shares.take(address("[2001:db8:0:1::1]:1")));
}

TEST(ClientShares, LocalClientsAreNotCounted) {
  ClientShares shares(1);
  const auto first = shares.take(address("unix:/run/a"));
  EXPECT_TRUE(first);
  EXPECT_TRUE(shares.take(address("unix:/run/a")));
}

TEST(ClientShares, AMovedLeaseIsGivenBackOnce) {
  ClientShares shares(1);
  auto first = shares.take(address("192.0.2.1:1"));
  {
    const auto second = std::move(first);
    EXPECT_TRUE(second);
  }
  EXPECT_TRUE(shares.take(address("192.0.2.1:1")));
}

}  // namespace
}  // namespace gatehouse::exchange
