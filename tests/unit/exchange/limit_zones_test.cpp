#include "proxy/exchange/limit_zones.hpp"

#include <gtest/gtest.h>

namespace gatehouse::exchange {
namespace {

constexpr ByteCount kSize = 1024 * 1024;
constexpr std::uint64_t kTenPerSecond = 10'000;

TEST(RequestLimitZone, TheFirstRequestOfAKeyHasNoExcess) {
  RequestLimitZone zone(kSize, kTenPerSecond);
  EXPECT_EQ(zone.take("a", 0, 1000).excess, 0u);
  EXPECT_EQ(zone.take("b", 0, 1000).excess, 0u);
}

TEST(RequestLimitZone, ExcessRisesByARequestAndFallsByTheRate) {
  RequestLimitZone zone(kSize, kTenPerSecond);
  (void)zone.take("a", 5000, 1000);
  EXPECT_EQ(zone.take("a", 5000, 1000).excess, 1000u);
  EXPECT_EQ(zone.take("a", 5000, 1050).excess, 1500u);  // 50 ms drain half a request
  EXPECT_EQ(zone.take("a", 5000, 2000).excess, 0u);
}

TEST(RequestLimitZone, WhatExceedsTheBurstIsRefusedAndNotCounted) {
  RequestLimitZone zone(kSize, kTenPerSecond);
  (void)zone.take("a", 1000, 1000);
  EXPECT_FALSE(zone.take("a", 1000, 1000).refused);
  EXPECT_TRUE(zone.take("a", 1000, 1000).refused);
  EXPECT_TRUE(zone.take("a", 1000, 1000).refused);
  EXPECT_FALSE(zone.take("a", 1000, 1100).refused);
}

TEST(RequestLimitZone, AskingCountsNothing) {
  RequestLimitZone zone(kSize, kTenPerSecond);
  (void)zone.take("a", 0, 1000);
  EXPECT_TRUE(zone.ask("a", 0, 1000).refused);
  EXPECT_TRUE(zone.ask("a", 0, 1000).refused);
  EXPECT_FALSE(zone.ask("a", 0, 1100).refused);
}

TEST(RequestLimitZone, AClockThatStepsBackDrainsNothing) {
  RequestLimitZone zone(kSize, kTenPerSecond);
  (void)zone.take("a", 9000, 5000);
  EXPECT_EQ(zone.take("a", 9000, 4000).excess, 1000u);
}

TEST(RequestLimitZone, KeysAreBoundedByTheSizeOfTheZone) {
  RequestLimitZone zone(32 * 1024, kTenPerSecond);
  for (int i = 0; i < 10000; ++i) (void)zone.take(std::to_string(i), 0, 1000 + i);
  EXPECT_LE(zone.keys(), 32u * 1024 / 128);
  EXPECT_GT(zone.keys(), 100u);
}

TEST(ConnectionLimitZone, PlacesComeBackWhenTheyAreGivenUp) {
  const auto zone = std::make_shared<ConnectionLimitZone>(kSize);
  {
    ConnectionLeases leases;
    ASSERT_TRUE(zone->take("a", 1));
    leases.add(zone, "a");
    EXPECT_FALSE(zone->take("a", 1));
    EXPECT_TRUE(zone->take("b", 1));
  }
  EXPECT_TRUE(zone->take("a", 1));
}

TEST(ConnectionLimitZone, AFullZoneRefusesNewKeys) {
  ConnectionLimitZone zone(32 * 1024);
  std::size_t taken = 0;
  for (int i = 0; i < 10000; ++i) taken += zone.take(std::to_string(i), 1) ? 1 : 0;
  EXPECT_EQ(taken, zone.keys());
  EXPECT_LE(taken, 32u * 1024 / 128);
}

}  // namespace
}  // namespace gatehouse::exchange
