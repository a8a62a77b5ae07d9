#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/upstream/clusters.hpp"

namespace gatehouse::upstream {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

PickKey from(const SocketAddress& client) { return {client.bytes(), {}}; }
PickKey keyed(std::string_view key) { return {{}, key}; }

SocketAddress client(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
  return SocketAddress::ipv4({a, b, c, d}, 50000);
}

// ---- rules that hold for every balancer

class EveryBalancer : public testing::TestWithParam<Balancing> {
 protected:
  const SocketAddress client_ = client(192, 0, 2, 7);
  const PickKey key_{client_.bytes(), "/some/key"};
};

TEST_P(EveryBalancer, TriesEachUsablePeerOnceAndNoOther) {
  Cluster cluster(cluster_of({peer(1, 3), down(peer(2)), peer(3), max_conns(peer(4), 1), peer(5)}, GetParam()), 42);
  ++cluster.primary()[3]->state.conns;
  cluster.on_failure(*cluster.primary()[4], at(0));
  EXPECT_THAT(tries_of_one_request(cluster, key_), UnorderedElementsAre(1, 3));
}

TEST_P(EveryBalancer, FallsBackToTheBackupsAtTheEnd) {
  Cluster cluster(cluster_of({peer(1), peer(2), backup(peer(8)), backup(down(peer(9)))}, GetParam()), 42);
  const std::vector<int> numbers = tries_of_one_request(cluster, key_);
  ASSERT_EQ(numbers.size(), 3U);
  EXPECT_EQ(numbers.back(), 8);
}

TEST_P(EveryBalancer, ServesWithoutAKeyOrAddress) {
  Cluster cluster(cluster_of({peer(1), peer(2)}, GetParam()), 42);
  EXPECT_NE(pick_and_release(cluster), 0);
}

TEST_P(EveryBalancer, LetsOneProbeThroughAfterTheRest) {
  Cluster cluster(cluster_of({max_fails(peer(1), 1), down(peer(2))}, GetParam()), 42);
  cluster.on_failure(*cluster.primary()[0], at(0));
  EXPECT_EQ(pick_and_release(cluster, key_, at(9)), 0);
  EXPECT_EQ(pick_and_release(cluster, key_, at(11)), 1);
  EXPECT_EQ(pick_and_release(cluster, key_, at(11)), 0);
}

TEST_P(EveryBalancer, CountsAConnectionPerPickUntilItsRelease) {
  Cluster cluster(cluster_of({peer(1), peer(2), peer(3)}, GetParam()), 42);
  std::vector<PeerLease> leases;
  for (int i = 0; i < 30; ++i) {
    Attempt attempt;
    const Result<Peer*> picked = cluster.pick(key_, attempt, at(0));
    ASSERT_TRUE(picked.has_value());
    leases.emplace_back(cluster, **picked);
  }
  std::uint32_t conns = 0;
  for (const Peer* each : cluster.primary()) conns += each->state.conns;
  EXPECT_EQ(conns, 30U);
  leases.clear();
  for (const Peer* each : cluster.primary()) EXPECT_EQ(each->state.conns, 0U);
}

INSTANTIATE_TEST_SUITE_P(Balancing, EveryBalancer,
                         testing::Values(Balancing::round_robin, Balancing::least_conn, Balancing::ip_hash,
                                         Balancing::hash, Balancing::hash_consistent, Balancing::random,
                                         Balancing::random_two));

// ---- least_conn

TEST(LeastConn, TakesThePeerWithFewestConnectionsForItsWeight) {
  Cluster cluster(cluster_of({peer(1, 2), peer(2), peer(3)}, Balancing::least_conn));
  cluster.primary()[0]->state.conns = 3;  // 1.5 for its weight
  cluster.primary()[1]->state.conns = 2;
  cluster.primary()[2]->state.conns = 1;
  EXPECT_EQ(pick_and_release(cluster), 3);
  cluster.primary()[2]->state.conns = 4;
  EXPECT_EQ(pick_and_release(cluster), 1);
}

TEST(LeastConn, EqualsTakeTurnsByWeight) {
  Cluster cluster(cluster_of({peer(1, 5), peer(2), peer(3)}, Balancing::least_conn));
  std::vector<int> numbers;
  for (int i = 0; i < 7; ++i) numbers.push_back(pick_and_release(cluster));
  EXPECT_THAT(numbers, ElementsAre(1, 1, 2, 1, 3, 1, 1));
}

TEST(LeastConn, APeerWithMoreLoadTakesNoPartInTheRotation) {
  Cluster cluster(cluster_of({peer(1), peer(2), peer(3)}, Balancing::least_conn));
  cluster.primary()[1]->state.conns = 1;
  std::vector<int> numbers;
  for (int i = 0; i < 4; ++i) numbers.push_back(pick_and_release(cluster));
  EXPECT_THAT(numbers, ElementsAre(1, 3, 1, 3));
  EXPECT_EQ(cluster.primary()[1]->state.current_weight, 0);
}

// ---- ip_hash: expected values computed by hand from h = (h * 113 + octet) % 6271, h = 89 at the start

TEST(IpHash, KnownVectorsOfIpv4) {
  Cluster cluster(cluster_of({peer(1), peer(2), peer(3)}, Balancing::ip_hash));
  EXPECT_EQ(pick_and_release(cluster, from(client(127, 0, 0, 1))), 3);    // h = 4040, % 3 = 2
  EXPECT_EQ(pick_and_release(cluster, from(client(192, 168, 1, 9))), 2);  // h = 154, % 3 = 1
  EXPECT_EQ(pick_and_release(cluster, from(client(10, 0, 0, 1))), 1);     // h = 2565, % 3 = 0
}

TEST(IpHash, WeightsAreWalkedInOrder) {
  Cluster cluster(cluster_of({peer(1, 5), peer(2), peer(3, 2)}, Balancing::ip_hash));
  EXPECT_EQ(pick_and_release(cluster, from(client(10, 0, 0, 1))), 2);  // 2565 % 8 = 5
  Cluster other(cluster_of({peer(1, 5), peer(2), peer(3, 2)}, Balancing::ip_hash));
  EXPECT_EQ(pick_and_release(other), 3);  // no IP address counts as 0.0.0: h = 295, % 8 = 7
}

TEST(IpHash, OnlyTheFirstThreeOctetsCount) {
  Cluster cluster(cluster_of({peer(1), peer(2), peer(3)}, Balancing::ip_hash));
  for (int last = 0; last < 256; ++last) {
    EXPECT_EQ(pick_and_release(cluster, from(client(203, 0, 113, static_cast<std::uint8_t>(last)))), 1);
  }
}

TEST(IpHash, AllOctetsOfIpv6Count) {
  Cluster cluster(cluster_of({peer(1), peer(2), peer(3)}, Balancing::ip_hash));
  const auto address = SocketAddress::parse("[2001:db8::1]:5000");
  ASSERT_TRUE(address);
  EXPECT_EQ(pick_and_release(cluster, from(*address)), 3);  // h = 2600, % 3 = 2
}

TEST(IpHash, AnUnusablePeerIsPassedOverByHashingOn) {
  Cluster cluster(cluster_of({peer(1), peer(2), peer(3)}, Balancing::ip_hash));
  const SocketAddress address = client(192, 168, 1, 9);
  EXPECT_THAT(tries_of_one_request(cluster, from(address)).at(1), 3);  // h = 154, then 5654, % 3 = 2
  cluster.replace_peers({peer(1), down(peer(2)), peer(3)});
  EXPECT_EQ(pick_and_release(cluster, from(address)), 3);
}

// ---- hash: expected values from (crc32([round] key) >> 16) & 0x7fff, summed up over the rounds

TEST(Hash, KnownVectors) {
  Cluster cluster(cluster_of({peer(1), peer(2), peer(3)}, Balancing::hash));
  EXPECT_EQ(pick_and_release(cluster, keyed("/")), 2 + 1);       // 31187 % 3 = 2
  EXPECT_EQ(pick_and_release(cluster, keyed("user42")), 0 + 1);  // 31791 % 3 = 0
  EXPECT_EQ(pick_and_release(cluster, keyed("b")), 0 + 1);       // 29118 % 3 = 0
  Cluster weighted(cluster_of({peer(1, 5), peer(2), peer(3, 2)}, Balancing::hash));
  EXPECT_EQ(pick_and_release(weighted, keyed("user42")), 3);  // 31791 % 8 = 7
  EXPECT_EQ(pick_and_release(weighted, keyed("c")), 1);       // 1721 % 8 = 1
}

TEST(Hash, ATriedPeerIsPassedOverByRehashing) {
  Cluster cluster(cluster_of({peer(1), peer(2), peer(3)}, Balancing::hash));
  EXPECT_THAT(tries_of_one_request(cluster, keyed("b")), ElementsAre(1, 3, 2));  // rounds: 0, 2, ...
  EXPECT_THAT(tries_of_one_request(cluster, keyed("a")), ElementsAre(3, 2, 1));  // rounds: 2, 1, 0
}

// ---- random

TEST(RandomBalancing, FollowsTheWeights) {
  Cluster cluster(cluster_of({peer(1, 1), peer(2, 3), peer(3, 6)}, Balancing::random), 7);
  std::map<int, int> counts;
  for (int i = 0; i < 20000; ++i) ++counts[pick_and_release(cluster)];
  EXPECT_NEAR(counts[1], 2000, 200);
  EXPECT_NEAR(counts[2], 6000, 300);
  EXPECT_NEAR(counts[3], 12000, 400);
}

TEST(RandomBalancing, TheSameSeedGivesTheSameSequence) {
  Cluster a(cluster_of({peer(1), peer(2), peer(3)}, Balancing::random), 99);
  Cluster b(cluster_of({peer(1), peer(2), peer(3)}, Balancing::random), 99);
  Cluster c(cluster_of({peer(1), peer(2), peer(3)}, Balancing::random), 100);
  std::vector<int> from_a;
  std::vector<int> from_b;
  std::vector<int> from_c;
  for (int i = 0; i < 50; ++i) {
    from_a.push_back(pick_and_release(a));
    from_b.push_back(pick_and_release(b));
    from_c.push_back(pick_and_release(c));
  }
  EXPECT_EQ(from_a, from_b);
  EXPECT_NE(from_a, from_c);
}

TEST(RandomTwo, NeverTakesTheMostLoadedOfThree) {
  Cluster cluster(cluster_of({peer(1), peer(2), peer(3)}, Balancing::random_two), 5);
  cluster.primary()[1]->state.conns = 10;
  std::set<int> numbers;
  for (int i = 0; i < 500; ++i) numbers.insert(pick_and_release(cluster));
  EXPECT_THAT(numbers, UnorderedElementsAre(1, 3));
}

// ---- hash consistent

TEST(HashConsistent, RingAgreesWithPointsComputedElsewhere) {
  const std::vector<HashRing::Server> servers = {{"10.0.0.1:80", 1, 0}, {"10.0.0.2:80", 1, 1}, {"10.0.0.3:80", 2, 2}};
  const HashRing ring(servers);
  EXPECT_EQ(ring.size(), 640U);
  const std::map<std::string, std::pair<std::uint32_t, std::uint32_t>> expected = {
      {"/", {320, 1}}, {"/index.html", {587, 0}}, {"user42", {328, 2}}, {"a", {584, 1}}, {"b", {301, 2}},
      {"c", {19, 0}},  {"foo", {363, 0}},         {"bar", {315, 2}}};
  for (const auto& [key, point] : expected) {
    EXPECT_EQ(ring.find(crc32(key)), point.first) << key;
    EXPECT_EQ(ring.at(point.first), point.second) << key;
  }
  EXPECT_EQ(ring.find(0), 0U);
  EXPECT_EQ(ring.at(ring.find(UINT32_MAX)), 0U);  // past the last point: the first, 3751338, is of server 0
}

TEST(HashConsistent, HostPortAndUnixNamesAreSplitAsNginxDoes) {
  const std::vector<HashRing::Server> servers = {
      {"backend.example.com:8080", 1, 0}, {"unix:/run/app.sock", 1, 1}, {"backend2", 1, 2}};
  const HashRing ring(servers);
  std::vector<std::uint32_t> chosen;
  for (const char* key : {"/", "/index.html", "user42", "a", "b", "c", "foo", "bar"}) {
    chosen.push_back(ring.at(ring.find(crc32(key))));
  }
  EXPECT_THAT(chosen, ElementsAre(1, 2, 1, 2, 2, 1, 0, 1));
}

TEST(HashConsistent, AddingAServerMovesAboutItsShareOfTheKeysAndOnlyToIt) {
  std::vector<PeerSpec> specs;
  for (int i = 1; i <= 9; ++i) specs.push_back(peer(i));
  Cluster before(cluster_of(specs, Balancing::hash_consistent));
  specs.insert(specs.begin() + 4, peer(10));
  Cluster after(cluster_of(specs, Balancing::hash_consistent));
  int moved = 0;
  for (int i = 0; i < 10000; ++i) {
    const std::string key = fmt::format("/object/{}", i);
    const int old_peer = pick_and_release(before, keyed(key));
    const int new_peer = pick_and_release(after, keyed(key));
    if (old_peer == new_peer) continue;
    EXPECT_EQ(new_peer, 10);
    ++moved;
  }
  EXPECT_GT(moved, 700);
  EXPECT_LT(moved, 1300);
}

TEST(HashConsistent, AFailedServersKeysMoveAndTheOthersStay) {
  Cluster cluster(cluster_of({peer(1), peer(2), peer(3), peer(4)}, Balancing::hash_consistent));
  std::map<std::string, int> before;
  for (int i = 0; i < 500; ++i) before[fmt::format("k{}", i)] = pick_and_release(cluster, keyed(fmt::format("k{}", i)));
  cluster.on_failure(*cluster.primary()[1], at(0));
  for (const auto& [key, number] : before) {
    const int now = pick_and_release(cluster, keyed(key), at(1));
    if (number == 2) {
      EXPECT_NE(now, 2);
    } else {
      EXPECT_EQ(now, number);
    }
  }
}

TEST(HashConsistent, AddressesOfOneNameShareItsPointsAndTakeTurns) {
  PeerSpec one = peer(1);
  PeerSpec two = peer(2);
  one.name = two.name = "backend:80";
  Cluster cluster(cluster_of({one, two, peer(3)}, Balancing::hash_consistent));
  std::set<int> of_the_name;
  std::set<int> of_the_other;
  for (int i = 0; i < 100; ++i) {
    const std::string key = fmt::format("k{}", i);
    std::set<int> numbers;
    for (int j = 0; j < 4; ++j) numbers.insert(pick_and_release(cluster, keyed(key)));
    (numbers.contains(3) ? of_the_other : of_the_name).insert(numbers.begin(), numbers.end());
  }
  EXPECT_THAT(of_the_name, UnorderedElementsAre(1, 2));
  EXPECT_THAT(of_the_other, UnorderedElementsAre(3));
}

}  // namespace
}  // namespace gatehouse::upstream
