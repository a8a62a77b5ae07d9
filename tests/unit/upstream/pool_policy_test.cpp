#include "proxy/upstream/pool_policy.hpp"

#include <list>
#include <memory>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/upstream/clusters.hpp"

namespace gatehouse::upstream {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// A move-only stand-in for a connection.
using Connection = std::unique_ptr<int>;
using Pool = IdlePool<Connection>;

Connection connection(int id) { return std::make_unique<int>(id); }
PoolKey key(int n, std::uint64_t identity = 0) { return {peer(n).address, identity}; }

KeepaliveSpec keepalive(std::size_t connections) {
  KeepaliveSpec spec;
  spec.connections = connections;
  return spec;
}

int taken(Pool& pool, const PoolKey& wanted, TimePoint now) {
  const auto result = pool.take(wanted, now);
  return result ? *result->connection : 0;
}

int closed(const Pool::Put& put) { return put.to_close ? **put.to_close : 0; }

class IdlePoolTest : public testing::Test {
 protected:
  int put(Pool& pool, const PoolKey& where, int id, TimePoint now) {
    Pool::Put result = pool.put(where, connection(id), {}, now);
    if (result.ticket) ticket_ = *result.ticket;
    return closed(result);
  }
  void expire(Pool& pool, TimePoint now) {
    pool.expire(now, [this](Connection each) { closed_.push_back(*each); });
  }

  Pool::Ticket ticket_;
  std::vector<int> closed_;
};

TEST_F(IdlePoolTest, GivesTheMostRecentlyUsedConnectionOfTheKey) {
  Pool pool(keepalive(8));
  put(pool, key(1), 11, at(0));
  put(pool, key(2), 21, at(1));
  put(pool, key(1), 12, at(2));
  EXPECT_EQ(taken(pool, key(1), at(3)), 12);
  EXPECT_EQ(taken(pool, key(1), at(3)), 11);
  EXPECT_EQ(taken(pool, key(1), at(3)), 0);
  EXPECT_EQ(pool.size(), 1U);
}

TEST_F(IdlePoolTest, AnotherTlsIdentityIsAnotherKey) {
  Pool pool(keepalive(8));
  put(pool, key(1, 7), 11, at(0));
  EXPECT_EQ(taken(pool, key(1, 8), at(0)), 0);
  EXPECT_EQ(taken(pool, key(1), at(0)), 0);
  EXPECT_EQ(taken(pool, key(1, 7), at(0)), 11);
}

TEST_F(IdlePoolTest, AFullPoolClosesTheLeastRecentlyUsed) {
  Pool pool(keepalive(3));
  EXPECT_EQ(put(pool, key(1), 1, at(0)), 0);
  EXPECT_EQ(put(pool, key(2), 2, at(1)), 0);
  EXPECT_EQ(put(pool, key(3), 3, at(2)), 0);
  EXPECT_EQ(put(pool, key(1), 4, at(3)), 1);
  EXPECT_EQ(put(pool, key(1), 5, at(4)), 2);
  EXPECT_EQ(pool.size(), 3U);
}

TEST_F(IdlePoolTest, ZeroConnectionsKeepsNothing) {
  Pool pool(keepalive(0));
  EXPECT_EQ(put(pool, key(1), 1, at(0)), 1);
  EXPECT_EQ(taken(pool, key(1), at(0)), 0);
  EXPECT_FALSE(pool.next_expiry());
}

TEST_F(IdlePoolTest, ATicketTakesItsConnectionOutOnlyDuringItsStay) {
  Pool pool(keepalive(2));
  put(pool, key(1), 1, at(0));
  const Pool::Ticket first = ticket_;
  EXPECT_EQ(taken(pool, key(1), at(0)), 1);
  put(pool, key(1), 2, at(1));  // the same slot, another stay
  EXPECT_FALSE(pool.remove(first));
  const auto removed = pool.remove(ticket_);
  ASSERT_TRUE(removed);
  EXPECT_EQ(**removed, 2);
  EXPECT_FALSE(pool.remove(ticket_));
  EXPECT_FALSE(pool.remove({99, 0}));
}

TEST_F(IdlePoolTest, ConnectionsExpireInTheOrderOfTheirLastUse) {
  Pool pool(keepalive(8));
  put(pool, key(1), 1, at(0));
  put(pool, key(2), 2, at(10));
  put(pool, key(1), 3, at(20));
  EXPECT_EQ(pool.next_expiry(), at(60));
  expire(pool, at(59.999));
  EXPECT_THAT(closed_, IsEmpty());
  expire(pool, at(70));
  EXPECT_THAT(closed_, ElementsAre(1, 2));
  EXPECT_EQ(pool.next_expiry(), at(80));
  expire(pool, at(1000));
  EXPECT_EQ(pool.size(), 0U);
  EXPECT_FALSE(pool.next_expiry());
}

TEST_F(IdlePoolTest, AnExpiredConnectionIsNotGivenOutEvenIfItsTimerIsLate) {
  Pool pool(keepalive(8));
  put(pool, key(1), 1, at(0));
  EXPECT_EQ(taken(pool, key(1), at(60)), 0);
  EXPECT_EQ(pool.size(), 1U);
}

TEST_F(IdlePoolTest, RemoveIfTakesOutEveryConnectionOfAPeerThatWent) {
  Pool pool(keepalive(8));
  for (int i = 1; i <= 6; ++i) put(pool, key(i % 2), i, at(i));
  pool.remove_if([](const PoolKey& each) { return each.address == peer(0).address; },
                 [this](Connection each) { closed_.push_back(*each); });
  EXPECT_THAT(closed_, ElementsAre(2, 4, 6));
  EXPECT_EQ(taken(pool, key(1), at(7)), 5);
}

TEST_F(IdlePoolTest, ASmallerCapClosesTheLeastRecentlyUsed) {
  Pool pool(keepalive(8));
  for (int i = 1; i <= 5; ++i) put(pool, key(i), i, at(i));
  pool.reconfigure(keepalive(2), [this](Connection each) { closed_.push_back(*each); });
  EXPECT_THAT(closed_, ElementsAre(1, 2, 3));
  EXPECT_EQ(put(pool, key(9), 9, at(9)), 4);
}

TEST_F(IdlePoolTest, TakenTellsTheConnectionsLifeSoFar) {
  Pool pool(keepalive(8));
  (void)pool.put(key(1), connection(1), {17, at(-5)}, at(0));
  const auto result = pool.take(key(1), at(1));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->usage.requests, 17U);
  EXPECT_EQ(result->usage.opened, at(-5));
}

TEST_F(IdlePoolTest, BehavesAsAListSearchedFromItsNewestEnd) {
  struct Entry {
    PoolKey key;
    int id;
    TimePoint since;
    Pool::Ticket ticket;
  };
  Pool pool(keepalive(37));
  std::list<Entry> model;  // newest first
  Random random(11);
  for (int step = 1; step < 20000; ++step) {
    const TimePoint now = at(step * 0.1);
    const PoolKey where = key(static_cast<int>(random.below(12)), random.below(2));
    switch (random.below(5)) {
      case 0:
      case 1: {
        const int expected = model.size() == 37 ? model.back().id : 0;
        if (expected != 0) model.pop_back();
        EXPECT_EQ(put(pool, where, step, now), expected);
        model.push_front({where, step, now, ticket_});
        break;
      }
      case 2:
      case 3: {
        const auto found = std::find_if(model.begin(), model.end(), [&](const Entry& e) { return e.key == where; });
        const bool usable = found != model.end() && now - found->since < std::chrono::seconds(60);
        EXPECT_EQ(taken(pool, where, now), usable ? found->id : 0);
        if (usable) model.erase(found);
        break;
      }
      default:
        if (model.empty()) break;
        auto victim = std::next(model.begin(), static_cast<std::ptrdiff_t>(random.below(model.size())));
        const auto removed = pool.remove(victim->ticket);
        ASSERT_TRUE(removed);
        EXPECT_EQ(**removed, victim->id);
        model.erase(victim);
    }
    ASSERT_EQ(pool.size(), model.size());
  }
}

TEST(MayKeep, NeedsEveryConditionAndObeysItsLimits) {
  const KeepaliveSpec spec;
  const ConnectionEnd clean{true, true, true, false, false};
  const ConnectionUsage young{1, at(0)};
  EXPECT_TRUE(may_keep(spec, young, clean, at(1)));
  EXPECT_FALSE(may_keep(spec, young, ConnectionEnd{}, at(1)));
  for (bool ConnectionEnd::* field :
       {&ConnectionEnd::request_sent_whole, &ConnectionEnd::response_read_whole, &ConnectionEnd::response_allows_reuse,
        &ConnectionEnd::unread_bytes, &ConnectionEnd::stopping}) {
    ConnectionEnd end = clean;
    end.*field = !(end.*field);
    EXPECT_FALSE(may_keep(spec, young, end, at(1)));
  }
  EXPECT_TRUE(may_keep(spec, {999, at(0)}, clean, at(1)));
  EXPECT_FALSE(may_keep(spec, {1000, at(0)}, clean, at(1)));
  EXPECT_TRUE(may_keep(spec, young, clean, at(3600)));
  EXPECT_FALSE(may_keep(spec, young, clean, at(3600.001)));
  EXPECT_FALSE(may_keep(keepalive(0), young, clean, at(1)));
}

}  // namespace
}  // namespace gatehouse::upstream
