#include <atomic>
#include <chrono>
#include <thread>

#include "tests/unit/waf/waf_fixture.hpp"
#include "waf/bounded_store.hpp"

namespace gatehouse::waf::test {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

const TimePoint kStart{1000s};

TEST(BoundedStore, FindsWhateverTheCase) {
  BoundedStore store({});
  store.put("Key", "1", kStart);
  EXPECT_EQ(store.get("kEY", kStart)->value, "1");
  EXPECT_EQ(store.get("kEY", kStart)->key, "Key");
  EXPECT_FALSE(store.replace("other", "2", kStart));
  EXPECT_TRUE(store.replace("key", "2", kStart));
  EXPECT_EQ(store.get("key", kStart)->value, "2");
  store.erase("KEY");
  EXPECT_FALSE(store.get("key", kStart));
  EXPECT_EQ(store.counters().bytes, 0u);
}

TEST(BoundedStore, EntryExpiresWhenItIsNotWritten) {
  BoundedStore store({1 * kMiB, 10s});
  store.put("a", "1", kStart);
  EXPECT_TRUE(store.get("a", kStart + 9s));
  EXPECT_FALSE(store.get("a", kStart + 10s));
  EXPECT_EQ(store.counters().expired, 1u);
  store.put("a", "1", kStart + 10s);
  store.put("a", "2", kStart + 15s);
  EXPECT_TRUE(store.get("a", kStart + 24s));
}

TEST(BoundedStore, OldestGoFirstAndTheBoundHolds) {
  BoundedStore store({64 * kKiB, 3600s});
  for (int i = 0; i < 10000; ++i) store.put("key-" + std::to_string(i), std::string(50, 'v'), kStart);
  const BoundedStore::Counters counters = store.counters();
  EXPECT_LE(counters.bytes, 64 * kKiB);
  EXPECT_EQ(counters.entries + counters.evicted, 10000u);
  EXPECT_TRUE(store.get("key-9999", kStart));
  EXPECT_FALSE(store.get("key-0", kStart));
  store.put("huge", std::string(64 * kKiB, 'v'), kStart);
  EXPECT_FALSE(store.get("huge", kStart));
}

constexpr const char* kCounting =
    "SecRuleEngine On\n"
    "SecAction \"id:1,phase:1,pass,nolog,initcol:ip=%{REMOTE_ADDR}\"\n"
    "SecRule IP:blocked \"@eq 1\" \"id:2,phase:1,deny,log,msg:'blocked'\"\n"
    "SecRule IP:/^.*block/ \"@eq 7\" \"id:4,phase:1,pass,log,msg:'pattern'\"\n"
    "SecRule REQUEST_FILENAME \"@streq /bad\" \"id:3,phase:1,pass,nolog,setvar:ip.blocked=1,setvar:ip.count=+1\"\n";

TEST(Collections, RememberAcrossRequestsAndForgetWithTime) {
  TimePoint now = kStart;
  EngineOptions options;
  options.collections.idle_time = 60s;
  options.now = [&now] { return now; };
  Engine engine(std::move(options));
  const auto rules = compile(kCounting);
  const auto denied = [&](const std::string& uri, const std::string& client) {
    WafRequest request = get(uri);
    request.client = client;
    const RequestViews views(request);
    Evaluation evaluation(engine, rules);
    return evaluation.request_head(views.input()).value().intervention.has_value();
  };
  EXPECT_FALSE(denied("/", "192.0.2.1"));
  EXPECT_FALSE(denied("/bad", "192.0.2.1"));
  EXPECT_TRUE(denied("/", "192.0.2.1"));
  EXPECT_FALSE(denied("/", "192.0.2.2"));
  EXPECT_EQ(engine.counters().collection_entries, 2u);
  now += 60s;
  EXPECT_FALSE(denied("/", "192.0.2.1"));
}

TEST(Collections, StayWithinTheirBound) {
  EngineOptions options;
  options.collections.bytes = 64 * kKiB;
  Engine engine(std::move(options));
  const auto rules = compile(kCounting);
  for (int i = 0; i < 1000; ++i) {
    WafRequest request = get("/bad");
    request.client = "10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250);
    const RequestViews views(request);
    Evaluation evaluation(engine, rules);
    ASSERT_TRUE(evaluation.request_head(views.input()));
  }
  EXPECT_LE(engine.counters().collection_bytes, 64 * kKiB);
  EXPECT_GT(engine.counters().collection_evicted, 0u);
}

TEST(Collections, MayBeReadAndWrittenByManyThreads) {
  EngineOptions options;
  options.collections.bytes = 64 * kKiB;
  Engine engine(std::move(options));
  const auto rules = compile(kCounting);
  std::atomic<int> failures = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 500; ++i) {
        WafRequest request = get(i % 2 == 0 ? "/bad" : "/");
        request.client = "10.0.0." + std::to_string((i * 7 + t) % 50);
        const RequestViews views(request);
        Evaluation evaluation(engine, rules);
        if (!evaluate_request(evaluation, views.input())) ++failures;
        if (!evaluation.finish()) ++failures;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(engine.counters().transactions, 2000u);
}

}  // namespace
}  // namespace gatehouse::waf::test
