#include <gtest/gtest.h>

#include "tests/unit/upstream/clusters.hpp"

namespace gatehouse::upstream {
namespace {

ClusterSpec by_time(std::vector<PeerSpec> peers, TimeRules rules = {}) {
  ClusterSpec spec = cluster_of(std::move(peers), Balancing::least_time);
  spec.time_rules = rules;
  return spec;
}

// Both peers were asked a moment before at(0), so that nobody's times are halved.
void asked_just_now(Cluster& cluster) {
  for (Peer* peer : cluster.primary()) peer->state.checked = at(0);
}

TEST(LeastTime, ThePeerWithTheFasterHeadIsTaken) {
  Cluster cluster(by_time({peer(1), peer(2)}));
  asked_just_now(cluster);
  cluster.on_times(*cluster.primary()[0], Milliseconds(200), Milliseconds(210));
  cluster.on_times(*cluster.primary()[1], Milliseconds(50), Milliseconds(900));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(pick_and_release(cluster), 2);
}

TEST(LeastTime, LastByteLooksAtTheWholeResponse) {
  Cluster cluster(by_time({peer(1), peer(2)}, {.whole_response = true}));
  asked_just_now(cluster);
  cluster.on_times(*cluster.primary()[0], Milliseconds(200), Milliseconds(210));
  cluster.on_times(*cluster.primary()[1], Milliseconds(50), Milliseconds(900));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(pick_and_release(cluster), 1);
}

TEST(LeastTime, NearTimesAreEqualAndTakeTurns) {
  Cluster cluster(by_time({peer(1), peer(2)}));
  asked_just_now(cluster);
  cluster.on_times(*cluster.primary()[0], Milliseconds(41), Milliseconds(41));
  cluster.on_times(*cluster.primary()[1], Milliseconds(59), Milliseconds(59));
  std::vector<int> numbers;
  for (int i = 0; i < 4; ++i) numbers.push_back(pick_and_release(cluster));
  EXPECT_EQ(numbers, (std::vector{1, 2, 1, 2}));
}

TEST(LeastTime, RequestsThatArePendingMultiplyTheTime) {
  Cluster cluster(by_time({peer(1), peer(2)}));
  asked_just_now(cluster);
  cluster.on_times(*cluster.primary()[0], Milliseconds(30), Milliseconds(30));
  cluster.on_times(*cluster.primary()[1], Milliseconds(70), Milliseconds(70));
  std::vector<int> numbers;
  std::vector<PeerLease> leases;
  for (int i = 0; i < 3; ++i) {
    Attempt attempt;
    const auto picked = cluster.pick({}, attempt, at(0));
    numbers.push_back(number_of(picked));
    leases.emplace_back(cluster, **picked);
  }
  EXPECT_EQ(numbers, (std::vector{1, 1, 2})) << "40, 80 = 80 where the rotation decides, then 120 against 80";
}

TEST(LeastTime, ASlowPeerThatNobodyAskedForLongIsGivenAChance) {
  Cluster cluster(by_time({peer(1), peer(2)}));
  cluster.on_times(*cluster.primary()[0], Milliseconds(100), Milliseconds(100));
  cluster.on_times(*cluster.primary()[1], Milliseconds(4000), Milliseconds(4000));
  cluster.primary()[0]->state.checked = at(99);
  cluster.primary()[1]->state.checked = at(0);
  EXPECT_EQ(pick_and_release(cluster, {}, at(100)), 2);
}

TEST(LeastTime, TimesAreAMovingAverage) {
  std::uint32_t known = 0;
  average(known, 100);
  EXPECT_EQ(known, 100U);
  average(known, 200);
  EXPECT_EQ(known, 105U);
}

TEST(LeastTime, WhatIsNotAnsweredCountsWithItsAge) {
  Cluster cluster(by_time({peer(1), peer(2)}, {.in_flight = true}));
  asked_just_now(cluster);
  Attempt first;
  const auto slow = cluster.pick({}, first, at(0));
  PeerLease lease(cluster, **slow);
  ASSERT_EQ(number_of(slow), 1);
  EXPECT_EQ(cluster.primary()[0]->state.in_flight, 1U);
  EXPECT_EQ(pick_and_release(cluster, {}, at(3)), 2);
  EXPECT_EQ(cluster.primary()[0]->state.in_flight_time, 3000U);
  lease.on_answer(Milliseconds(4000), at(4));
  EXPECT_EQ(cluster.primary()[0]->state.in_flight, 0U);
  EXPECT_EQ(cluster.primary()[0]->state.header_time, 4000U);
}

TEST(LeastTime, ALeaseThatEndsUnansweredIsNotInFlight) {
  Cluster cluster(by_time({peer(1), peer(2)}, {.in_flight = true}));
  {
    Attempt attempt;
    const auto picked = cluster.pick({}, attempt, at(0));
    PeerLease lease(cluster, **picked);
    PeerLease moved(std::move(lease));
  }
  for (const Peer* one : cluster.primary()) EXPECT_EQ(one->state.in_flight, 0U);
}

TEST(LeastTime, OfTwoAtRandomTheFasterIsTaken) {
  ClusterSpec spec = cluster_of({peer(1), peer(2)}, Balancing::random_two_least_time);
  Cluster cluster(std::move(spec), 7);
  asked_just_now(cluster);
  cluster.on_times(*cluster.primary()[0], Milliseconds(900), Milliseconds(900));
  cluster.on_times(*cluster.primary()[1], Milliseconds(20), Milliseconds(20));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(pick_and_release(cluster), 2);
}

}  // namespace
}  // namespace gatehouse::upstream
