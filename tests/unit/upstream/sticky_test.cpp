#include <gtest/gtest.h>

#include "proxy/upstream/sticky_sessions.hpp"
#include "tests/unit/upstream/clusters.hpp"

namespace gatehouse::upstream {
namespace {

PeerSpec named(PeerSpec spec) {
  spec.sticky_id = "id" + spec.name;
  return spec;
}

PeerSpec draining(PeerSpec spec) {
  spec.draining = true;
  return spec;
}

PickKey bound_to(std::string_view id) {
  PickKey key;
  key.sticky = id;
  return key;
}

const PickKey kSecond = bound_to("id10.0.0.2:80");

TEST(Sticky, TheNamedPeerIsTakenByEveryMethod) {
  for (const auto balancing : {Balancing::round_robin, Balancing::least_conn, Balancing::least_time, Balancing::ip_hash,
                               Balancing::hash, Balancing::hash_consistent, Balancing::random, Balancing::random_two}) {
    Cluster cluster(cluster_of({named(peer(1)), named(peer(2)), named(peer(3))}, balancing));
    for (int i = 0; i < 4; ++i) EXPECT_EQ(pick_and_release(cluster, kSecond), 2) << static_cast<int>(balancing);
  }
}

TEST(Sticky, AnUnknownNameLeavesTheChoice) {
  Cluster cluster(cluster_of({named(peer(1)), named(peer(2))}));
  EXPECT_EQ(pick_and_release(cluster, bound_to("other")), 1);
  EXPECT_EQ(pick_and_release(cluster, bound_to("other")), 2);
}

TEST(Sticky, APeerThatFailedIsNotTriedTwice) {
  Cluster cluster(cluster_of({named(peer(1)), named(peer(2)), named(peer(3))}));
  EXPECT_EQ(tries_of_one_request(cluster, kSecond), (std::vector{2, 1, 3}));
}

TEST(Sticky, ARestingPeerBindsNobody) {
  Cluster cluster(cluster_of({named(peer(1)), named(peer(2))}));
  (void)cluster.on_failure(*cluster.primary()[1], at(0));
  EXPECT_EQ(pick_and_release(cluster, kSecond), 1);
}

TEST(Sticky, ADrainingPeerTakesItsOwnOnly) {
  Cluster cluster(cluster_of({named(peer(1)), draining(named(peer(2)))}));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(pick_and_release(cluster), 1);
  EXPECT_EQ(pick_and_release(cluster, kSecond), 2);
}

TEST(Sticky, ABackupIsBoundToOnceThePrimariesAreGone) {
  Cluster cluster(cluster_of({down(named(peer(1))), backup(named(peer(2))), backup(named(peer(3)))}));
  EXPECT_EQ(pick_and_release(cluster, bound_to("id10.0.0.3:80")), 3);
  EXPECT_EQ(pick_and_release(cluster, bound_to("id10.0.0.3:80")), 3);
}

TEST(SlowStart, AShareGrowsAfterARest) {
  PeerSpec slow = max_fails(peer(1), 1);
  slow.slow_start = std::chrono::seconds(100);
  Cluster cluster(cluster_of({slow, peer(2)}));
  Peer& first = *cluster.primary()[0];
  (void)cluster.on_failure(first, at(0));
  // The probe after the rest succeeds.
  EXPECT_EQ(pick_and_release(cluster, {}, at(11)) + pick_and_release(cluster, {}, at(11)), 3);
  cluster.on_success(first);
  EXPECT_TRUE(first.state.slow);
  const auto share = [&](double from) {
    int taken = 0;
    for (int i = 0; i < 100; ++i) taken += pick_and_release(cluster, {}, at(from)) == 1 ? 1 : 0;
    return taken;
  };
  (void)share(12);
  EXPECT_NEAR(share(12 + 10), 9, 2) << "a tenth of the weight against a whole one";
  EXPECT_NEAR(share(12 + 50), 33, 2);
  EXPECT_NEAR(share(12 + 101), 50, 1);
  EXPECT_FALSE(first.state.slow);
}

TEST(SlowStart, CountsForConnectionsAsWell) {
  PeerSpec slow = max_fails(peer(1), 1);
  slow.slow_start = std::chrono::seconds(100);
  Cluster cluster(cluster_of({slow, peer(2)}, Balancing::least_conn));
  Peer& first = *cluster.primary()[0];
  first.state.slow = true;
  first.state.slow_since = at(0);
  std::vector<PeerLease> leases;
  int taken = 0;
  for (int i = 0; i < 60; ++i) {
    Attempt attempt;
    const auto picked = cluster.pick({}, attempt, at(20));
    taken += number_of(picked) == 1 ? 1 : 0;
    leases.emplace_back(cluster, **picked);
  }
  EXPECT_NEAR(taken, 10, 1) << "a fifth of the weight: one in six";
}

TEST(StickySessions, AreLearnedAndFound) {
  StickySessions sessions(32 * 1024, std::chrono::minutes(10));
  sessions.learn("alice", "a", true, at(0));
  EXPECT_EQ(sessions.find("alice", at(1)), "a");
  EXPECT_EQ(sessions.find("bob", at(1)), std::nullopt);
}

TEST(StickySessions, GoOnWithTheLastServer) {
  StickySessions sessions(32 * 1024, std::chrono::minutes(10));
  sessions.learn("alice", "a", true, at(0));
  sessions.learn("alice", "b", false, at(1));
  EXPECT_EQ(sessions.find("alice", at(1)), "b");
}

TEST(StickySessions, AreNotMadeByARequestAlone) {
  StickySessions sessions(32 * 1024, std::chrono::minutes(10));
  sessions.learn("alice", "a", false, at(0));
  EXPECT_EQ(sessions.size(), 0U);
}

TEST(StickySessions, EndWhenNobodyUsedThem) {
  StickySessions sessions(32 * 1024, std::chrono::seconds(60));
  sessions.learn("alice", "a", true, at(0));
  EXPECT_EQ(sessions.find("alice", at(59)), "a");
  EXPECT_EQ(sessions.find("alice", at(60)), std::nullopt) << "looking is no use";
  EXPECT_EQ(sessions.size(), 0U);
}

TEST(StickySessions, MakeRoomForNewOnes) {
  StickySessions sessions(3 * StickySessions::kBytesOfSession, std::chrono::minutes(10));
  for (const auto name : {"a", "b", "c", "d"}) sessions.learn(name, name, true, at(0));
  EXPECT_EQ(sessions.size(), 3U);
  EXPECT_EQ(sessions.find("a", at(0)), std::nullopt);
  EXPECT_EQ(sessions.find("d", at(0)), "d");
}

}  // namespace
}  // namespace gatehouse::upstream
