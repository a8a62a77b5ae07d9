#include "proxy/stream/limit_zones.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace gatehouse::stream {
namespace {

TEST(LimitZone, CountsEachKeyAndGivesBackWhatEnded) {
  LimitZones zones;
  const auto zone = zones.get("peers", 1 * kMiB);
  auto first = zone->enter("a", 2);
  auto second = zone->enter("a", 2);
  EXPECT_TRUE(first && second);
  EXPECT_FALSE(zone->enter("a", 2));
  EXPECT_TRUE(zone->enter("b", 2));
  second.reset();
  EXPECT_TRUE(zone->enter("a", 2));
}

TEST(LimitZone, HasNoRoomForMoreKeysThanItsSizeAllows) {
  LimitZones zones;
  const auto zone = zones.get("small", 32 * kKiB);
  std::vector<LimitLease> held;
  for (int i = 0; i < 10'000; ++i) {
    if (auto lease = zone->enter(std::to_string(i), 1)) held.push_back(std::move(*lease));
  }
  EXPECT_GT(held.size(), 100U);
  EXPECT_LE(held.size(), 32 * kKiB / LimitZone::kEntry + 16);
  held.clear();
  EXPECT_TRUE(zone->enter("again", 1));
}

TEST(LimitZones, KeepAZoneOverReloadsUnlessItsSizeChanges) {
  LimitZones zones;
  const auto zone = zones.get("z", 1 * kMiB);
  const auto lease = zone->enter("a", 1);
  EXPECT_EQ(zones.get("z", 1 * kMiB), zone);
  EXPECT_FALSE(zones.get("z", 1 * kMiB)->enter("a", 1));
  EXPECT_TRUE(zones.get("z", 2 * kMiB)->enter("a", 1));
}

}  // namespace
}  // namespace gatehouse::stream
