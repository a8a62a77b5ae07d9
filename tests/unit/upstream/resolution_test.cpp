#include "proxy/upstream/resolution.hpp"

#include <gtest/gtest.h>

#include "tests/unit/upstream/clusters.hpp"

namespace gatehouse::upstream {
namespace {

using std::chrono::seconds;

const SocketAddress kA = peer(1).address;
const SocketAddress kB = peer(2).address;
const SocketAddress kC = peer(3).address;

TEST(Resolution, TheFirstLookupIsDueAtOnceAndOnlyOnce) {
  Resolution name({});
  EXPECT_TRUE(name.due(at(0)));
  EXPECT_TRUE(name.unresolved());
  name.on_started();
  EXPECT_FALSE(name.due(at(1000)));
}

TEST(Resolution, AnAnswerHoldsForItsTtl) {
  Resolution name({});
  EXPECT_EQ(name.on_answer(std::vector{kA, kB}, seconds(30), at(0)), AddressChange::changed);
  EXPECT_FALSE(name.unresolved());
  EXPECT_FALSE(name.due(at(29.999)));
  EXPECT_TRUE(name.due(at(30)));
}

TEST(Resolution, ShortAndLongTtlsAreBounded) {
  Resolution name({});
  (void)name.on_answer(std::vector{kA}, seconds(0), at(0));
  EXPECT_EQ(name.next_refresh(), at(1));
  (void)name.on_answer(std::vector{kA}, seconds(1000000), at(0));
  EXPECT_EQ(name.next_refresh(), at(3600));
}

TEST(Resolution, ValidReplacesTheTtlButNotTheMinimum) {
  ResolutionPolicy policy;
  policy.valid = seconds(300);
  Resolution name(policy);
  (void)name.on_answer(std::vector{kA}, seconds(5), at(0));
  EXPECT_EQ(name.next_refresh(), at(300));
  policy.valid = seconds(0);
  Resolution hasty(policy);
  (void)hasty.on_answer(std::vector{kA}, seconds(5), at(0));
  EXPECT_EQ(hasty.next_refresh(), at(1));
}

TEST(Resolution, ANewPolicyHoldsFromTheNextAnswerAndKeepsTheAddresses) {
  Resolution name({});
  (void)name.on_answer(std::vector{kA}, seconds(5), at(0));
  ResolutionPolicy policy;
  policy.valid = seconds(300);
  name.set_policy(policy);
  EXPECT_EQ(name.next_refresh(), at(5));
  EXPECT_EQ(name.on_answer(std::vector{kA}, seconds(5), at(5)), AddressChange::none);
  EXPECT_EQ(name.next_refresh(), at(305));
}

TEST(Resolution, TheOrderOfAnAnswerIsNoChange) {
  Resolution name({});
  (void)name.on_answer(std::vector{kA, kB, kC}, seconds(30), at(0));
  EXPECT_EQ(name.on_answer(std::vector{kC, kA, kB, kA}, seconds(30), at(30)), AddressChange::none);
  EXPECT_EQ(name.addresses(), (std::vector{kA, kB, kC}));
  EXPECT_EQ(name.on_answer(std::vector{kC, kA}, seconds(30), at(60)), AddressChange::changed);
  EXPECT_EQ(name.addresses(), (std::vector{kA, kC}));
}

TEST(Resolution, FailuresKeepTheAddressesAndBackOffToTheMaximum) {
  Resolution name({});
  (void)name.on_answer(std::vector{kA}, seconds(30), at(0));
  double now = 30;
  for (const double delay : {1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0}) {
    name.on_started();
    EXPECT_EQ(name.on_failure(LookupFailure::transient, at(now)), AddressChange::none);
    EXPECT_EQ(name.next_refresh(), at(now + delay));
    now += delay;
    EXPECT_TRUE(name.due(at(now)));
  }
  EXPECT_EQ(name.addresses(), std::vector{kA});
  EXPECT_EQ(name.failures(), 7U);
  (void)name.on_answer(std::vector{kA}, seconds(30), at(now));
  EXPECT_EQ(name.failures(), 0U);
}

TEST(Resolution, BackOffDoesNotOverflow) {
  Resolution name({});
  for (int i = 0; i < 10000; ++i) (void)name.on_failure(LookupFailure::transient, at(0));
  EXPECT_EQ(name.next_refresh(), at(30));
}

TEST(Resolution, ANameThatNeverResolvedStaysUnresolvedUntilItDoes) {
  Resolution name({});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(name.on_failure(LookupFailure::no_such_name, at(i)), AddressChange::none);
  EXPECT_TRUE(name.unresolved());
  EXPECT_EQ(name.on_answer(std::vector{kB}, seconds(60), at(9)), AddressChange::changed);
  EXPECT_FALSE(name.unresolved());
}

TEST(Resolution, NoSuchNameDropsTheAddressesOnlyIfToldSo) {
  Resolution keeping({});
  (void)keeping.on_answer(std::vector{kA}, seconds(30), at(0));
  EXPECT_EQ(keeping.on_failure(LookupFailure::no_such_name, at(30)), AddressChange::none);
  EXPECT_EQ(keeping.addresses(), std::vector{kA});

  ResolutionPolicy policy;
  policy.on_missing = OnMissing::drop;
  Resolution dropping(policy);
  (void)dropping.on_answer(std::vector{kA}, seconds(30), at(0));
  EXPECT_EQ(dropping.on_failure(LookupFailure::transient, at(30)), AddressChange::none);
  EXPECT_EQ(dropping.on_failure(LookupFailure::no_such_name, at(31)), AddressChange::changed);
  EXPECT_TRUE(dropping.unresolved());
}

TEST(Resolution, AnAnswerWithoutAddressesIsAFailure) {
  Resolution name({});
  (void)name.on_answer(std::vector{kA}, seconds(30), at(0));
  EXPECT_EQ(name.on_answer({}, seconds(30), at(30)), AddressChange::none);
  EXPECT_EQ(name.addresses(), std::vector{kA});
  EXPECT_EQ(name.next_refresh(), at(31));
}

}  // namespace
}  // namespace gatehouse::upstream
