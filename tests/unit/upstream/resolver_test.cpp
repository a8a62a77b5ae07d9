#include "proxy/upstream/resolver.hpp"

#include <cstdio>
#include <fstream>
#include <optional>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxy/upstream/cluster_runtime.hpp"
#include "tests/support/loop.hpp"
#include "tests/unit/upstream/dns_server.hpp"

namespace gatehouse::upstream {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::Loop;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr DnsReply::Kind kSilence = DnsReply::Kind::silence;
constexpr DnsReply::Kind kTruncated = DnsReply::Kind::truncated;

DnsReply records(std::vector<Record> list) { return {.records = std::move(list), .code = 0, .kind = {}}; }
DnsReply code(int rcode) { return {.records = {}, .code = rcode, .kind = {}}; }
DnsReply silence() { return {.records = {}, .code = 0, .kind = kSilence}; }

std::vector<std::string> texts(const LookupResult& result) {
  std::vector<std::string> out;
  if (!result) return {result.error() == LookupFailure::transient ? "transient" : "no such name"};
  for (const auto& address : result->addresses) out.push_back(address.ip_string());
  return out;
}

Resolver::Limits quick() {
  Resolver::Limits limits;
  limits.first_timeout = milliseconds(40);
  limits.tries = 2;
  return limits;
}

config::ResolverSettings at(const DnsServer& server) {
  config::ResolverSettings settings;
  settings.servers = {server.address()};
  return settings;
}

// A system whose resolv.conf names the server and a search list; a file per test, as tests run side by side.
Resolver::Limits system_with(const DnsServer& server) {
  auto limits = quick();
  limits.resolv_conf = fmt::format("{}resolv.conf.{}", testing::TempDir(), server.address().port());
  limits.system_port = server.address().port();
  std::ofstream(limits.resolv_conf) << "search cluster.local\nnameserver 127.0.0.1\n";
  return limits;
}

// Looks one name up at the server and waits for the outcome.
std::optional<LookupResult> look_up(const std::string& host, const config::ResolverSettings* settings,
                                    Resolver::Limits limits = quick()) {
  Loop loop;
  Resolver resolver(loop.reactor, std::move(limits));
  std::optional<LookupResult> outcome;
  resolver.lookup(host, settings, [&](LookupResult result) {
    outcome = std::move(result);
    loop.stop();
  });
  EXPECT_FALSE(outcome) << "the callback came from within lookup()";
  loop.run();
  EXPECT_EQ(resolver.in_flight(), 0U);
  return outcome;
}

std::optional<LookupResult> look_up(const std::string& host, const DnsServer& server) {
  const auto settings = at(server);
  return look_up(host, &settings);
}

TEST(Resolver, GivesTheAddressesOfBothFamiliesAndTheShortestTtl) {
  const DnsServer server([](const DnsQuestion& question) {
    if (question.type == RecordType::aaaa) return records({{question.name, RecordType::aaaa, 30, "2001:db8::1"}});
    return records({{question.name, RecordType::a, 60, "192.0.2.2"}, {question.name, RecordType::a, 50, "192.0.2.1"}});
  });
  const auto result = look_up("app.example", server);
  ASSERT_TRUE(result && *result);
  EXPECT_THAT(texts(*result), ElementsAre("192.0.2.1", "192.0.2.2", "2001:db8::1"));
  EXPECT_EQ((*result)->ttl, seconds(30));
  EXPECT_EQ((*result)->addresses.front().port(), 0);
}

TEST(Resolver, CountsTheTtlsOfTheAliasesThatLedToTheAddress) {
  const DnsServer server([](const DnsQuestion& question) {
    if (question.type == RecordType::aaaa) return code(0);
    return records({{question.name, RecordType::cname, 300, "b.example"},
                    {"b.example", RecordType::cname, 7, "c.example"},
                    {"c.example", RecordType::a, 600, "192.0.2.9"}});
  });
  const auto result = look_up("a.example", server);
  ASSERT_TRUE(result && *result);
  EXPECT_THAT(texts(*result), ElementsAre("192.0.2.9"));
  EXPECT_EQ((*result)->ttl, seconds(7));
}

TEST(Resolver, TellsAMissingNameFromAServerThatFails) {
  const DnsServer server([](const DnsQuestion& question) {
    if (question.name == "nxdomain.example") return code(3);
    if (question.name == "nodata.example") return code(0);
    if (question.name == "servfail.example") return code(2);
    if (question.name == "refused.example") return code(5);
    return silence();
  });
  EXPECT_THAT(texts(*look_up("nxdomain.example", server)), ElementsAre("no such name"));
  EXPECT_THAT(texts(*look_up("nodata.example", server)), ElementsAre("no such name"));
  EXPECT_THAT(texts(*look_up("servfail.example", server)), ElementsAre("transient"));
  EXPECT_THAT(texts(*look_up("refused.example", server)), ElementsAre("transient"));
  EXPECT_THAT(texts(*look_up("silent.example", server)), ElementsAre("transient"));
}

TEST(Resolver, ANameTooLongForDnsIsMissing) {
  const DnsServer server([](const DnsQuestion&) { return code(3); });
  EXPECT_THAT(texts(*look_up(std::string(70, 'x') + ".example", server)), ElementsAre("no such name"));
}

TEST(Resolver, OneFamilyIsEnough) {
  const DnsServer server([](const DnsQuestion& question) {
    if (question.type == RecordType::aaaa) return silence();
    return records({{question.name, RecordType::a, 60, "192.0.2.1"}});
  });
  EXPECT_THAT(texts(*look_up("app.example", server)), ElementsAre("192.0.2.1"));
}

TEST(Resolver, NothingIsKnownWhenOneFamilyTimesOutAndTheOtherIsEmpty) {
  const DnsServer server(
      [](const DnsQuestion& question) { return question.type == RecordType::a ? silence() : code(0); });
  EXPECT_THAT(texts(*look_up("app.example", server)), ElementsAre("transient"));
}

TEST(Resolver, AFamilySwitchedOffIsNotAskedFor) {
  std::atomic<int> asked_aaaa{0};
  const DnsServer server([&](const DnsQuestion& question) {
    if (question.type == RecordType::aaaa) ++asked_aaaa;
    return records({{question.name, question.type, 60, question.type == RecordType::a ? "192.0.2.1" : "2001:db8::1"}});
  });
  auto settings = at(server);
  settings.ipv6 = false;
  EXPECT_THAT(texts(*look_up("app.example", &settings)), ElementsAre("192.0.2.1"));
  EXPECT_EQ(asked_aaaa, 0);
  settings.ipv6 = true;
  settings.ipv4 = false;
  EXPECT_THAT(texts(*look_up("app.example", &settings)), ElementsAre("2001:db8::1"));
}

TEST(Resolver, ATruncatedAnswerIsReadOverTcpInPieces) {
  const DnsServer server([](const DnsQuestion& question) -> DnsReply {
    if (question.type == RecordType::aaaa) return code(0);
    if (!question.over_tcp) return {.records = {}, .code = 0, .kind = kTruncated};
    std::vector<Record> many;
    for (int i = 0; i < 200; ++i) many.push_back({question.name, RecordType::a, 20, fmt::format("10.0.0.{}", i)});
    return records(many);
  });
  const auto result = look_up("many.example", server);
  ASSERT_TRUE(result && *result);
  EXPECT_EQ((*result)->addresses.size(), 200U);
  EXPECT_EQ((*result)->ttl, seconds(20));
}

TEST(Resolver, GoesOnToTheNextServerWhenOneIsNotThere) {
  const DnsServer server([](const DnsQuestion& question) {
    if (question.type == RecordType::aaaa) return code(0);
    return records({{question.name, RecordType::a, 60, "192.0.2.1"}});
  });
  auto settings = at(server);
  settings.servers.insert(settings.servers.begin(), SocketAddress::ipv4({127, 0, 0, 1}, 1));
  EXPECT_THAT(texts(*look_up("app.example", &settings)), ElementsAre("192.0.2.1"));
}

TEST(Resolver, ASearchListIsOfTheSystemOnly) {
  const DnsServer server([](const DnsQuestion& question) {
    if (question.name != "app.cluster.local" || question.type == RecordType::aaaa) return code(3);
    return records({{question.name, RecordType::a, 60, "192.0.2.1"}});
  });
  const auto limits = system_with(server);
  EXPECT_THAT(texts(*look_up("app", nullptr, limits)), ElementsAre("192.0.2.1"));
  EXPECT_THAT(texts(*look_up("app", server)), ElementsAre("no such name"));
  std::remove(limits.resolv_conf.c_str());
}

TEST(Resolver, TheSystemsHostsFileAsksNoServer) {
  const DnsServer server([](const DnsQuestion&) { return silence(); });
  const auto limits = system_with(server);
  const auto result = look_up("localhost", nullptr, limits);
  std::remove(limits.resolv_conf.c_str());
  ASSERT_TRUE(result && *result);
  EXPECT_THAT(texts(*result), testing::Contains("127.0.0.1"));
  EXPECT_EQ(server.questions(), 0);
}

TEST(Resolver, AnAddressIsItsOwnAnswer) {
  const DnsServer server([](const DnsQuestion&) { return silence(); });
  auto settings = at(server);
  settings.ipv6 = false;
  EXPECT_THAT(texts(*look_up("192.0.2.77", &settings)), ElementsAre("192.0.2.77"));
}

TEST(Resolver, MoreNamesThanMayBeInFlightAllEnd) {
  const DnsServer server([](const DnsQuestion& question) {
    if (question.type == RecordType::aaaa || question.name.starts_with("n1")) return code(3);
    return records({{question.name, RecordType::a, 60, "192.0.2.1"}});
  });
  const auto settings = at(server);
  Loop loop;
  auto limits = quick();
  limits.first_timeout = seconds(2);
  limits.in_flight = 3;
  Resolver resolver(loop.reactor, limits);
  int found = 0;
  int missing = 0;
  for (int i = 0; i < 100; ++i) {
    resolver.lookup(fmt::format("n{}.example", i), &settings, [&](const LookupResult& result) {
      ++(result ? found : missing);
      if (found + missing == 100) loop.stop();
    });
  }
  EXPECT_EQ(resolver.in_flight(), 100U);
  loop.run();
  EXPECT_EQ(found, 89);
  EXPECT_EQ(missing, 11);
}

TEST(Resolver, FailuresAtOnceMakeRoomForTheQueue) {
  config::ResolverSettings settings;
  settings.servers = {SocketAddress::ipv4({127, 0, 0, 1}, 1)};
  Loop loop;
  auto limits = quick();
  limits.in_flight = 1;
  Resolver resolver(loop.reactor, limits);
  int failed = 0;
  for (int i = 0; i < 5; ++i) {
    resolver.lookup(fmt::format("n{}.example", i), &settings, [&](const LookupResult& result) {
      EXPECT_THAT(texts(result), ElementsAre("transient"));
      if (++failed == 5) loop.stop();
    });
  }
  loop.run();
  EXPECT_EQ(failed, 5);
}

TEST(Resolver, EndsQuietlyWithLookupsInFlight) {
  const DnsServer server([](const DnsQuestion&) { return silence(); });
  const auto settings = at(server);
  Loop loop;
  auto resolver = std::make_unique<Resolver>(loop.reactor, quick());
  for (const char* host : {"a.example", "b.example", "192.0.2.1"}) {
    resolver->lookup(host, &settings, [](const LookupResult&) { ADD_FAILURE() << "called after the end"; });
  }
  resolver = nullptr;
  loop.reactor.post([&] { loop.stop(); });
  loop.run();
}

TEST(Resolver, MayBeEndedByItsOwnCallback) {
  const DnsServer server([](const DnsQuestion&) { return code(3); });
  const auto settings = at(server);
  Loop loop;
  auto resolver = std::make_unique<Resolver>(loop.reactor, quick());
  int called = 0;
  for (const char* host : {"192.0.2.1", "192.0.2.2", "c.example"}) {
    resolver->lookup(host, &settings, [&](const LookupResult&) {
      ++called;
      resolver = nullptr;
      loop.stop();
    });
  }
  loop.run();
  EXPECT_EQ(called, 1);
}

TEST(Resolver, ACallbackMayLookUpAgain) {
  const DnsServer server([](const DnsQuestion& question) {
    return question.type == RecordType::a ? records({{question.name, RecordType::a, 60, "192.0.2.1"}}) : code(0);
  });
  const auto settings = at(server);
  Loop loop;
  Resolver resolver(loop.reactor, quick());
  int rounds = 0;
  std::function<void(const LookupResult&)> again = [&](const LookupResult& result) {
    EXPECT_TRUE(result);
    if (++rounds == 5) return loop.stop();
    resolver.lookup(fmt::format("n{}.example", rounds), &settings, again);
  };
  resolver.lookup("n.example", &settings, again);
  loop.run();
  EXPECT_EQ(rounds, 5);
}

// ---- refresh_names

config::Upstream upstream_of(const DnsServer& server, std::vector<std::string> hosts) {
  config::Upstream spec;
  spec.name = "app";
  spec.resolver = std::make_shared<config::ResolverSettings>(at(server));
  for (auto& host : hosts) {
    config::UpstreamServer entry;
    entry.name = host + ":8080";
    entry.host = std::move(host);
    entry.port = 8080;
    spec.servers.push_back(std::move(entry));
  }
  return spec;
}

std::vector<std::string> peers_of(const ClusterRuntime& cluster) {
  std::vector<std::string> out;
  for (const auto& peer : cluster.cluster().primary()) out.push_back(peer->spec.address.to_string());
  return out;
}

DnsReply number_of(const DnsQuestion& question) {  // n7.example -> 192.0.2.7
  if (question.type == RecordType::aaaa || !question.name.starts_with("n")) return code(3);
  return records({{question.name, RecordType::a, 60, "192.0.2." + question.name.substr(1, 1)}});
}

io::Task<void> wait_until_settled(Loop& loop, ClusterRuntime& cluster) {
  while (cluster.awaits_first_answer()) {
    auto waiting = cluster.resolved().wait(loop.reactor.now() + seconds(10));
    const bool notified = co_await waiting;
    EXPECT_TRUE(notified);
    if (!notified) break;
  }
  loop.stop();
}

TEST(RefreshNames, GivesTheClusterItsPeersAndWakesWhoWaits) {
  const DnsServer server(number_of);
  Loop loop;
  Resolver resolver(loop.reactor, quick());
  const auto cluster = std::make_shared<ClusterRuntime>(loop.reactor, upstream_of(server, {"n1.example"}), 1);
  EXPECT_THAT(peers_of(*cluster), IsEmpty());
  loop.reactor.spawn(wait_until_settled(loop, *cluster));
  refresh_names(cluster, resolver);
  refresh_names(cluster, resolver);  // is on its way: not asked twice
  EXPECT_EQ(resolver.in_flight(), 1U);
  loop.run();
  EXPECT_THAT(peers_of(*cluster), ElementsAre("192.0.2.1:8080"));
  refresh_names(cluster, resolver);  // holds for its TTL
  EXPECT_EQ(resolver.in_flight(), 0U);
}

TEST(RefreshNames, AFailureEndsTheWaitForTheFirstAnswer) {
  const DnsServer server([](const DnsQuestion&) { return code(2); });
  Loop loop;
  Resolver resolver(loop.reactor, quick());
  const auto cluster = std::make_shared<ClusterRuntime>(loop.reactor, upstream_of(server, {"n1.example"}), 1);
  loop.reactor.spawn(wait_until_settled(loop, *cluster));
  refresh_names(cluster, resolver);
  loop.run();
  EXPECT_FALSE(cluster->awaits_first_answer());
  EXPECT_EQ(cluster->names().front().resolution.failures(), 1U);
}

TEST(RefreshNames, TwoServersOfOneHostBothGetItsAddress) {
  const DnsServer server(number_of);
  Loop loop;
  Resolver resolver(loop.reactor, quick());
  auto spec = upstream_of(server, {"n1.example", "n1.example"});
  spec.servers[1].port = 9090;
  const auto cluster = std::make_shared<ClusterRuntime>(loop.reactor, spec, 1);
  refresh_names(cluster, resolver);
  resolver.lookup("n2.example", spec.resolver.get(), [&](const LookupResult&) { loop.stop(); });
  loop.run();
  EXPECT_THAT(peers_of(*cluster), ElementsAre("192.0.2.1:8080", "192.0.2.1:9090"));
}

TEST(RefreshNames, AnAnswerFindsItsNameAfterAReload) {
  const DnsServer server(number_of);
  Loop loop;
  Resolver resolver(loop.reactor, quick());
  const auto cluster = std::make_shared<ClusterRuntime>(
      loop.reactor, upstream_of(server, {"n1.example", "n2.example", "n3.example"}), 1);
  refresh_names(cluster, resolver);
  cluster->reconfigure(upstream_of(server, {"n4.example", "n3.example", "n2.example"}));
  refresh_names(cluster, resolver);
  EXPECT_EQ(resolver.in_flight(), 4U);
  resolver.lookup("n9.example", cluster->spec().resolver.get(), [&](const LookupResult&) { loop.stop(); });
  loop.run();
  EXPECT_THAT(peers_of(*cluster), ElementsAre("192.0.2.4:8080", "192.0.2.3:8080", "192.0.2.2:8080"));
}

TEST(RefreshNames, AnAnswerForAClusterThatIsGoneIsDropped) {
  const DnsServer server(number_of);
  const auto settings = at(server);
  Loop loop;
  Resolver resolver(loop.reactor, quick());
  auto cluster = std::make_shared<ClusterRuntime>(loop.reactor, upstream_of(server, {"n1.example"}), 1);
  refresh_names(cluster, resolver);
  cluster = nullptr;
  resolver.lookup("n2.example", &settings, [&](const LookupResult&) { loop.stop(); });
  loop.run();
  EXPECT_EQ(resolver.in_flight(), 0U);
}

}  // namespace
}  // namespace gatehouse::upstream
