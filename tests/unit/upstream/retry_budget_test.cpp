#include "proxy/upstream/retry_budget.hpp"

#include <gtest/gtest.h>

namespace gatehouse::upstream {
namespace {

constexpr TimePoint kStart = TimePoint{} + std::chrono::hours(1);

TimePoint at(double seconds) { return kStart + Milliseconds(static_cast<std::int64_t>(seconds * 1000)); }

int spend_all(RetryBudget& budget, TimePoint now) {
  int spent = 0;
  while (spent < 1000000 && budget.try_spend(now)) ++spent;
  return spent;
}

TEST(RetryBudget, TheMinimumHoldsWithoutTraffic) {
  RetryBudget budget;
  EXPECT_EQ(spend_all(budget, at(0)), 30) << "3 a second over a window of 10 s";
  EXPECT_EQ(spend_all(budget, at(5)), 0);
}

TEST(RetryBudget, ABusyClusterMayRetryAFifthOfItsRequests) {
  RetryBudget budget;
  for (int i = 0; i < 10000; ++i) budget.on_request(at(i / 2000.0));
  EXPECT_EQ(spend_all(budget, at(5)), 2000);
  for (int i = 0; i < 100; ++i) budget.on_request(at(5));
  EXPECT_EQ(spend_all(budget, at(5)), 20);
}

TEST(RetryBudget, OldRequestsFadeOverTheNextWindow) {
  RetryBudget budget;
  for (int i = 0; i < 10000; ++i) budget.on_request(at(0));
  RetryBudget later = budget;
  EXPECT_EQ(spend_all(budget, at(15)), 1000) << "half of the earlier window still counts";
  EXPECT_EQ(spend_all(later, at(20)), 30) << "nothing of it counts";
}

TEST(RetryBudget, SpentRetriesComeBackAsTheyAge) {
  RetryBudget budget;
  EXPECT_EQ(spend_all(budget, at(0)), 30);
  EXPECT_EQ(spend_all(budget, at(9.999)), 0);
  EXPECT_EQ(spend_all(budget, at(15)), 15);
  EXPECT_EQ(spend_all(budget, at(60)), 30);
}

TEST(RetryBudget, SteadyTrafficNeverRetriesMoreThanItsShare) {
  RetryBudget budget(RetryBudgetSpec{20, 0});
  int retries = 0;
  for (int i = 0; i < 60000; ++i) {  // 1000 requests a second, each wants a retry
    budget.on_request(at(i / 1000.0));
    retries += budget.try_spend(at(i / 1000.0)) ? 1 : 0;
  }
  EXPECT_LE(retries, 12600);
  EXPECT_GE(retries, 11400);
}

TEST(RetryBudget, UnlimitedNeverEnds) {
  RetryBudget budget(RetryBudgetSpec{0, 0, true});
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(budget.try_spend(at(0)));
}

}  // namespace
}  // namespace gatehouse::upstream
