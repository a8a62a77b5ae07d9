#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/upstream/clusters.hpp"

namespace gatehouse::upstream {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

TEST(ReplacePeers, APeerThatStaysKeepsItsStateAndItsIdentity) {
  Cluster cluster(cluster_of({peer(1), peer(2), peer(3)}));
  Peer* second = cluster.primary()[1];
  cluster.on_failure(*second, at(0));
  const PeerState state = second->state;
  cluster.replace_peers({peer(9), peer(2)});
  ASSERT_EQ(cluster.primary().size(), 2U);
  EXPECT_EQ(cluster.primary()[1], second);
  EXPECT_EQ(second->state, state);
  EXPECT_EQ(pick_and_release(cluster, {}, at(1)), 9);
  EXPECT_EQ(pick_and_release(cluster, {}, at(1)), 9);
}

TEST(ReplacePeers, TheSameAddressUnderAnotherNameOrAsBackupIsAnotherPeer) {
  Cluster cluster(cluster_of({peer(1), peer(2)}));
  for (Peer* each : cluster.primary()) cluster.on_failure(*each, at(0));
  PeerSpec renamed = peer(1);
  renamed.name = "other";
  cluster.replace_peers({renamed, backup(peer(2))});
  EXPECT_EQ(cluster.primary()[0]->state.fails, 0U);
  EXPECT_EQ(cluster.backup()[0]->state.fails, 0U);
}

TEST(ReplacePeers, AnotherWeightStartsTheRotationAnewButKeepsTheFailures) {
  Cluster cluster(cluster_of({max_fails(peer(1, 5), 2), peer(2)}));
  cluster.on_failure(*cluster.primary()[0], at(0));
  cluster.replace_peers({max_fails(peer(1, 8), 2), peer(2)});
  EXPECT_EQ(cluster.primary()[0]->state.effective_weight, 8);
  EXPECT_EQ(cluster.primary()[0]->state.fails, 1U);
}

TEST(ReplacePeers, ARemovedPeerLivesUntilItsLastRelease) {
  Cluster cluster(cluster_of({peer(1), peer(2)}));
  Attempt a;
  Attempt b;
  const Result<Peer*> first = cluster.pick({}, a, at(0));
  ASSERT_EQ(number_of(first), 1);
  PeerLease lease(cluster, **first);
  cluster.replace_peers({peer(2), peer(3)});
  EXPECT_EQ(lease->spec.name, "10.0.0.1:80");
  cluster.on_failure(*lease, at(1));
  EXPECT_THAT(tries_of_one_request(cluster), UnorderedElementsAre(2, 3));
  lease.reset();
  cluster.replace_peers({peer(2), peer(3), peer(4)});
  EXPECT_EQ(cluster.primary()[2]->slot, 0U) << "the slot of the removed peer is free again";
}

TEST(ReplacePeers, ARequestUnderWayDoesNotGetAPeerAgainAndGetsTheNewOnes) {
  Cluster cluster(cluster_of({peer(1), peer(2), peer(3)}));
  Attempt attempt;
  std::vector<int> numbers;
  for (int i = 0; i < 2; ++i) {
    const Result<Peer*> picked = cluster.pick({}, attempt, at(0));
    numbers.push_back(number_of(picked));
    cluster.release(**picked);
  }
  EXPECT_THAT(numbers, ElementsAre(1, 2));
  cluster.replace_peers({peer(2), peer(3)});
  cluster.replace_peers({peer(2), peer(4), peer(3)});
  ASSERT_EQ(cluster.primary()[1]->slot, 0U) << "4 has the slot of 1, which was tried";
  numbers.clear();
  for (int i = 0; i < 2; ++i) numbers.push_back(number_of(cluster.pick({}, attempt, at(0))));
  EXPECT_THAT(numbers, UnorderedElementsAre(3, 4));
  EXPECT_TRUE(cluster.pick({}, attempt, at(0)).has_error());
}

TEST(ReplacePeers, EqualLinesArePairedInOrder) {
  Cluster cluster(cluster_of({peer(1), peer(1), peer(2)}));
  cluster.on_failure(*cluster.primary()[1], at(0));
  Peer* const healthy = cluster.primary()[0];
  Peer* const failed = cluster.primary()[1];
  cluster.replace_peers({peer(1), peer(1), peer(2)});
  EXPECT_EQ(cluster.primary()[0], healthy);
  EXPECT_EQ(cluster.primary()[1], failed);
}

TEST(Reconfigure, AnotherBalancerTakesOverWithTheKnownFailures) {
  Cluster cluster(cluster_of({peer(1), peer(2), peer(3)}));
  cluster.on_failure(*cluster.primary()[2], at(0));
  ClusterSpec spec = cluster_of({peer(1), peer(2), peer(3)}, Balancing::hash_consistent);
  spec.keepalive.connections = 7;
  cluster.reconfigure(spec);
  EXPECT_EQ(cluster.balancing(), Balancing::hash_consistent);
  EXPECT_EQ(cluster.keepalive().connections, 7U);
  EXPECT_THAT(tries_of_one_request(cluster, {{}, "key"}, at(1)), UnorderedElementsAre(1, 2));
}

TEST(ReplacePeers, ManyRoundsOfChurnNeverLoseASlotOrAPeer) {
  Cluster cluster(cluster_of({peer(1), peer(2)}), 1);
  Random random(2026);
  std::vector<PeerLease> leases;
  for (int round = 0; round < 2000; ++round) {
    Attempt attempt;
    const Result<Peer*> picked = cluster.pick({}, attempt, at(round));
    ASSERT_TRUE(picked.has_value());
    leases.emplace_back(cluster, **picked);
    if (leases.size() > 20) leases.erase(leases.begin() + static_cast<std::ptrdiff_t>(random.below(20)));
    std::vector<PeerSpec> specs;
    for (int i = 1; i <= 12; ++i) {
      if (random.below(2) == 0) specs.push_back(random.below(4) == 0 ? backup(peer(i)) : peer(i));
    }
    if (specs.empty()) specs.push_back(peer(1));
    const std::size_t count = specs.size();
    cluster.replace_peers(std::move(specs));
    ASSERT_EQ(cluster.primary().size() + cluster.backup().size(), count);
  }
  for (const Peer* each : cluster.primary()) EXPECT_LT(each->slot, 48U) << "slots of removed peers are used again";
}

}  // namespace
}  // namespace gatehouse::upstream
