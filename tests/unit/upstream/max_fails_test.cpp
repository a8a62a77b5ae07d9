#include <gtest/gtest.h>

#include "tests/unit/upstream/clusters.hpp"

namespace gatehouse::upstream {
namespace {

/// A timeline of the first of two peers; the second one never rests, so that the cluster always has one.
class MaxFails : public testing::Test {
 protected:
  void start(std::uint32_t max_fails_of_first, std::uint32_t weight = 1) {
    cluster_ =
        std::make_unique<Cluster>(cluster_of({max_fails(peer(1, weight), max_fails_of_first), max_fails(peer(2), 0)}));
  }
  Peer& first() { return *cluster_->primary()[0]; }
  FailureEffect fail(TimePoint now) { return cluster_->on_failure(first(), now); }
  bool offered(TimePoint now) {
    const std::vector<int> numbers = tries_of_one_request(*cluster_, {}, now);
    return std::find(numbers.begin(), numbers.end(), 1) != numbers.end();
  }

  std::unique_ptr<Cluster> cluster_;
};

TEST_F(MaxFails, OneFailureRestsThePeerForFailTimeoutInclusive) {
  start(1);
  EXPECT_EQ(fail(at(100)), FailureEffect::disabled);
  EXPECT_FALSE(offered(at(100)));
  EXPECT_FALSE(offered(at(110)));
  EXPECT_TRUE(offered(at(110.001)));
}

TEST_F(MaxFails, AfterTheRestOneProbeIsLetThroughUntilItEnds) {
  start(1);
  fail(at(100));
  EXPECT_TRUE(offered(at(111)));
  EXPECT_FALSE(offered(at(111)));
  EXPECT_FALSE(offered(at(120)));
  cluster_->on_success(first());
  EXPECT_EQ(first().state.fails, 0U);
  EXPECT_TRUE(offered(at(120)));
  EXPECT_TRUE(offered(at(120)));
}

TEST_F(MaxFails, AFailedProbeRestsThePeerAgain) {
  start(3);
  for (int i = 0; i < 3; ++i) fail(at(100));
  EXPECT_TRUE(offered(at(111)));
  EXPECT_EQ(fail(at(112)), FailureEffect::disabled);
  EXPECT_FALSE(offered(at(122)));
  EXPECT_TRUE(offered(at(122.5)));
}

TEST_F(MaxFails, FewerFailuresThanMaxFailsKeepThePeer) {
  start(3);
  EXPECT_EQ(fail(at(100)), FailureEffect::counted);
  EXPECT_EQ(fail(at(101)), FailureEffect::counted);
  EXPECT_TRUE(offered(at(101)));
  EXPECT_EQ(fail(at(102)), FailureEffect::disabled);
  EXPECT_FALSE(offered(at(102)));
}

TEST_F(MaxFails, ASuccessInsideTheWindowForgetsNothing) {
  start(2);
  fail(at(100));
  EXPECT_TRUE(offered(at(105)));
  cluster_->on_success(first());
  EXPECT_EQ(first().state.fails, 1U);
  EXPECT_EQ(fail(at(106)), FailureEffect::disabled);
}

TEST_F(MaxFails, ASuccessAfterTheWindowForgetsItsFailures) {
  start(2);
  fail(at(100));
  EXPECT_TRUE(offered(at(111)));
  cluster_->on_success(first());
  EXPECT_EQ(first().state.fails, 0U);
  EXPECT_EQ(fail(at(112)), FailureEffect::counted);
}

TEST_F(MaxFails, ZeroNeverRestsThePeer) {
  start(0);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(fail(at(100)), FailureEffect::none);
  EXPECT_TRUE(offered(at(100)));
  EXPECT_EQ(first().state.effective_weight, 1);
}

TEST_F(MaxFails, EachFailureTakesWeightOverMaxFailsAndEachPickGivesOneBack) {
  start(3, 10);
  fail(at(100));
  EXPECT_EQ(first().state.effective_weight, 7);
  fail(at(100));
  EXPECT_EQ(first().state.effective_weight, 4);
  EXPECT_TRUE(offered(at(100)));
  EXPECT_EQ(first().state.effective_weight, 5);
  for (int i = 0; i < 40; ++i) (void)offered(at(100));
  EXPECT_EQ(first().state.effective_weight, 10);
}

TEST_F(MaxFails, EffectiveWeightStopsAtZero) {
  start(1, 4);
  fail(at(100));
  EXPECT_EQ(first().state.effective_weight, 0);
  fail(at(100));
  EXPECT_EQ(first().state.effective_weight, 0);
}

TEST_F(MaxFails, AllPeersRestingMeansNoLiveUpstreamUntilOneMayBeProbed) {
  Cluster cluster(cluster_of({max_fails(peer(1), 1, 10), max_fails(peer(2), 1, 20)}));
  for (Peer* each : cluster.primary()) cluster.on_failure(*each, at(0));
  EXPECT_EQ(pick_and_release(cluster, {}, at(5)), 0);
  EXPECT_EQ(pick_and_release(cluster, {}, at(10.5)), 1);
  EXPECT_EQ(pick_and_release(cluster, {}, at(10.6)), 0);
}

}  // namespace
}  // namespace gatehouse::upstream
