#include <array>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/upstream/clusters.hpp"

namespace gatehouse::upstream {
namespace {

using testing::ElementsAre;

std::vector<int> picks(Cluster& cluster, int count) {
  std::vector<int> numbers;
  for (int i = 0; i < count; ++i) numbers.push_back(pick_and_release(cluster));
  return numbers;
}

TEST(RoundRobin, WeightsFiveOneOneGiveTheSmoothSequence) {
  Cluster cluster(cluster_of({peer(1, 5), peer(2), peer(3)}));
  EXPECT_THAT(picks(cluster, 7), ElementsAre(1, 1, 2, 1, 3, 1, 1));
  EXPECT_THAT(picks(cluster, 7), ElementsAre(1, 1, 2, 1, 3, 1, 1));
}

TEST(RoundRobin, EveryPeriodHoldsEachPeerExactlyItsWeightTimes) {
  const std::array<std::uint32_t, 6> weights = {1, 7, 3, 100, 13, 2};
  std::vector<PeerSpec> specs;
  for (std::size_t i = 0; i < weights.size(); ++i) specs.push_back(peer(static_cast<int>(i) + 1, weights[i]));
  Cluster cluster(cluster_of(specs));
  const auto total = std::accumulate(weights.begin(), weights.end(), 0U);
  for (int period = 0; period < 5; ++period) {
    std::array<std::uint32_t, 7> counts{};
    for (std::uint32_t i = 0; i < total; ++i) ++counts[static_cast<std::size_t>(pick_and_release(cluster))];
    for (std::size_t i = 0; i < weights.size(); ++i) EXPECT_EQ(counts[i + 1], weights[i]);
  }
}

TEST(RoundRobin, ARequestGetsEachPeerAtMostOnceThenNoLiveUpstream) {
  Cluster cluster(cluster_of({peer(1), peer(2), peer(3)}));
  Attempt attempt;
  std::vector<int> numbers;
  for (int i = 0; i < 3; ++i) numbers.push_back(number_of(cluster.pick({}, attempt, at(0))));
  EXPECT_THAT(numbers, ElementsAre(1, 2, 3));
  const Result<Peer*> fourth = cluster.pick({}, attempt, at(0));
  ASSERT_TRUE(fourth.has_error());
  EXPECT_EQ(fourth.error().reason, Reason::no_live_upstream);
}

TEST(RoundRobin, BackupsServeOnlyWhenNoPrimaryCan) {
  Cluster cluster(cluster_of({peer(1), backup(peer(8)), peer(2), backup(peer(9))}));
  EXPECT_THAT(picks(cluster, 4), ElementsAre(1, 2, 1, 2));
  EXPECT_THAT(tries_of_one_request(cluster), ElementsAre(1, 2, 8, 9));
}

TEST(RoundRobin, OnePrimaryWithABackupIsTakenOutWhenItFails) {
  Cluster cluster(cluster_of({peer(1), backup(peer(9))}));
  Attempt attempt;
  const Result<Peer*> first = cluster.pick({}, attempt, at(0));
  ASSERT_EQ(number_of(first), 1);
  EXPECT_EQ(cluster.on_failure(**first, at(0)), FailureEffect::disabled);
  cluster.release(**first);
  EXPECT_EQ(number_of(cluster.pick({}, attempt, at(0))), 9);
  EXPECT_TRUE(attempt.on_backup());
  EXPECT_EQ(pick_and_release(cluster, {}, at(1)), 9);
}

TEST(RoundRobin, AttemptsCountOnlyPeersThatAreNotMarkedDown) {
  Cluster cluster(cluster_of({peer(1), down(peer(2)), peer(3), backup(peer(4)), backup(down(peer(5)))}));
  EXPECT_EQ(cluster.tries(0), 3U);
  EXPECT_EQ(cluster.tries(2), 2U);
  EXPECT_EQ(cluster.tries(9), 3U);
}

TEST(RoundRobin, MaxConnsHoldsUntilAConnectionIsReleased) {
  Cluster cluster(cluster_of({max_conns(peer(1), 1), max_conns(peer(2), 2)}));
  std::vector<PeerLease> leases;
  for (const int expected : {1, 2, 2}) {
    Attempt attempt;
    const Result<Peer*> picked = cluster.pick({}, attempt, at(0));
    ASSERT_EQ(number_of(picked), expected);
    leases.emplace_back(cluster, **picked);
  }
  EXPECT_EQ(pick_and_release(cluster), 0);
  leases.front().reset();
  EXPECT_EQ(pick_and_release(cluster), 1);
  leases.clear();
  EXPECT_EQ(cluster.primary()[0]->state.conns, 0U);
  EXPECT_EQ(cluster.primary()[1]->state.conns, 0U);
}

TEST(RoundRobin, MoreThanSixtyFourPeersAreEachTriedOnce) {
  std::vector<PeerSpec> specs;
  for (int i = 1; i <= 200; ++i) specs.push_back(peer(i));
  Cluster cluster(cluster_of(specs));
  const std::vector<int> numbers = tries_of_one_request(cluster);
  std::vector<int> expected(200);
  std::iota(expected.begin(), expected.end(), 1);
  EXPECT_EQ(numbers, expected);
}

TEST(SinglePeer, IsNeverTakenOutAndForgetsItsFailures) {
  Cluster cluster(cluster_of({peer(1)}));
  for (int i = 0; i < 10; ++i) {
    Attempt attempt;
    const Result<Peer*> picked = cluster.pick({}, attempt, at(i));
    ASSERT_EQ(number_of(picked), 1);
    EXPECT_EQ(cluster.on_failure(**picked, at(i)), FailureEffect::none);
    EXPECT_EQ((*picked)->state.fails, 0U);
    cluster.release(**picked);
  }
}

TEST(SinglePeer, StillObeysDownAndMaxConns) {
  Cluster stopped(cluster_of({down(peer(1))}));
  EXPECT_EQ(pick_and_release(stopped), 0);
  Cluster limited(cluster_of({max_conns(peer(1), 1)}));
  Attempt first;
  ASSERT_TRUE(limited.pick({}, first, at(0)).has_value());
  EXPECT_EQ(pick_and_release(limited), 0);
}

TEST(ClusterWithoutPeers, SaysThatTheNameIsUnresolved) {
  Cluster cluster(cluster_of({}));
  Attempt attempt;
  const Result<Peer*> picked = cluster.pick({}, attempt, at(0));
  ASSERT_TRUE(picked.has_error());
  EXPECT_EQ(picked.error().reason, Reason::unresolved);
  cluster.replace_peers({peer(4)});
  EXPECT_EQ(number_of(cluster.pick({}, attempt, at(0))), 4);
}

}  // namespace
}  // namespace gatehouse::upstream
