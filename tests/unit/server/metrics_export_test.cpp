#include "proxy/server/metrics_export.hpp"

#include <regex>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gatehouse::server {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(MetricsTable, names_are_unique_and_follow_the_conventions) {
  const std::regex shape("(gatehouse|process)_[a-z][a-z0-9_]*[a-z0-9]");
  std::set<std::string_view> seen;
  for (const auto& row : metric_rows()) {
    SCOPED_TRACE(row.name);
    EXPECT_TRUE(seen.insert(row.name).second);
    EXPECT_TRUE(std::regex_match(std::string(row.name), shape));
    EXPECT_EQ(row.name.ends_with("_total"), row.type == MetricType::counter);
    if (row.type == MetricType::histogram) {
      EXPECT_TRUE(row.name.ends_with("_seconds"));
    }
    for (const std::string_view unit : {"milliseconds", "_ms", "kilobytes", "minutes", "percent"}) {
      EXPECT_EQ(row.name.find(unit), std::string_view::npos);
    }
    EXPECT_TRUE(row.help.ends_with('.'));
  }
}

TEST(MetricsText, sums_the_threads_by_route) {
  exchange::ThreadMetrics first;
  exchange::ThreadMetrics second;
  for (auto* thread : {&first, &second}) {
    thread->use_routes({{"example.org", "/"}, {"example.org", "/silent"}});
    thread->count(0, http::Method::get, 200);
    thread->current(0).request_duration.observe(700);
    thread->current(0).waf[static_cast<std::size_t>(exchange::WafOutcome::clean)].add();
    thread->count_rule_hit(942100, false);
  }
  second.count(0, http::Method::get, 200);
  second.count(0, http::Method::other, 404);
  MetricsInput input;
  input.threads = {&first, &second};
  const std::string text = metrics_text(input);
  EXPECT_THAT(text,
              HasSubstr(R"(gatehouse_requests_total{server="example.org",route="/",method="GET",status="200"} 3)"));
  EXPECT_THAT(text,
              HasSubstr(R"(gatehouse_requests_total{server="example.org",route="/",method="other",status="404"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(gatehouse_waf_verdicts_total{server="example.org",route="/",outcome="clean"} 2)"));
  EXPECT_THAT(text, HasSubstr(R"(gatehouse_waf_rule_hits_total{rule_id="942100",denied="false"} 2)"));
  EXPECT_THAT(text, HasSubstr("# TYPE gatehouse_requests_total counter"));
  EXPECT_THAT(text, Not(HasSubstr("/silent")));
}

TEST(MetricsText, histogram_buckets_are_cumulative_and_in_seconds) {
  exchange::ThreadMetrics thread;
  thread.use_routes({{"s", "r"}});
  thread.count(0, http::Method::get, 200);
  for (const std::uint64_t us : {500ULL, 501ULL, 20'000'000ULL}) thread.current(0).request_duration.observe(us);
  MetricsInput input;
  input.threads = {&thread};
  const std::string text = metrics_text(input);
  const std::string prefix = R"(gatehouse_request_duration_seconds_bucket{server="s",route="r",le=")";
  EXPECT_THAT(text, HasSubstr(prefix + "0.0005\"} 1\n"));
  EXPECT_THAT(text, HasSubstr(prefix + "0.001\"} 2\n"));
  EXPECT_THAT(text, HasSubstr(prefix + "10\"} 2\n"));
  EXPECT_THAT(text, HasSubstr(prefix + "+Inf\"} 3\n"));
  EXPECT_THAT(text, HasSubstr(R"(gatehouse_request_duration_seconds_count{server="s",route="r"} 3)"));
}

TEST(MetricsText, hostile_label_values_are_escaped) {
  exchange::ThreadMetrics thread;
  thread.use_routes({{"s", "~ \"a\\b\"\n"}});
  thread.count(0, http::Method::get, 200);
  MetricsInput input;
  input.threads = {&thread};
  EXPECT_THAT(metrics_text(input), HasSubstr(R"(route="~ \"a\\b\"\n")"));
}

TEST(MetricsText, the_labels_have_a_bounded_number_of_values) {
  exchange::ThreadMetrics thread;
  std::vector<exchange::RouteKey> keys;
  for (int i = 0; i < 6000; ++i) keys.push_back({"s", "/" + std::to_string(i)});
  thread.use_routes(keys);
  thread.count(0, http::Method::get, 200);
  thread.count(5999, http::Method::get, 200);
  for (int status = 100; status < 1000; ++status) thread.count(1, http::Method::post, status);
  MetricsInput input;
  input.threads = {&thread};
  const std::string text = metrics_text(input);
  EXPECT_THAT(text, HasSubstr(R"({server="other",route="other",method="GET",status="200"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"({server="s",route="/1",method="other",status="900"} 100)"));
  std::size_t lines = 0;
  for (std::size_t at = 0; (at = text.find("\ngatehouse_requests_total{", at)) != std::string::npos; ++at) ++lines;
  EXPECT_LT(lines, 300u);
}

TEST(MetricsText, the_state_of_peers_reloads_and_the_process) {
  MetricsInput input;
  input.peers.push_back({"app", "10.0.0.1:80", false, 2, 3});
  input.connections = 5;
  input.idle_connections = 3;
  input.certificates.push_back({"example.org", "/tls.crt", 1.8e9});
  input.reloads.failed = 2;
  input.reloads.last_successful = false;
  input.process.threads = 7;
  const std::string text = metrics_text(input);
  EXPECT_THAT(text, HasSubstr(R"(gatehouse_upstream_peer_up{upstream="app",peer="10.0.0.1:80"} 0)"));
  EXPECT_THAT(text, HasSubstr(R"(gatehouse_upstream_peer_active_connections{upstream="app",peer="10.0.0.1:80"} 2)"));
  EXPECT_THAT(text, HasSubstr("gatehouse_connections{state=\"active\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("gatehouse_connections{state=\"idle\"} 3\n"));
  EXPECT_THAT(
      text, HasSubstr(R"(gatehouse_tls_certificate_expiry_seconds{server="example.org",path="/tls.crt"} 1800000000)"));
  EXPECT_THAT(text, HasSubstr("gatehouse_config_last_reload_successful 0\n"));
  EXPECT_THAT(text, HasSubstr("gatehouse_config_reloads_total{result=\"failure\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("process_threads 7\n"));
}

TEST(ProcessFigures, a_command_name_may_hold_anything) {
  const auto figures = parse_process_stat(
      "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 9 0 1000 104857600 2560 18446744073709551615 1 1 "
      "0\n",
      100, 4096, 5000);
  ASSERT_TRUE(figures);
  EXPECT_DOUBLE_EQ(figures->cpu_seconds, 3.0);
  EXPECT_EQ(figures->threads, 9u);
  EXPECT_DOUBLE_EQ(figures->start_time_seconds, 5010);
  EXPECT_EQ(figures->virtual_bytes, 104857600u);
  EXPECT_EQ(figures->resident_bytes, 2560u * 4096);
  EXPECT_FALSE(parse_process_stat("", 100, 4096, 0));
  EXPECT_FALSE(parse_process_stat("42 (short) S 1", 100, 4096, 0));
}

TEST(ProcessFigures, of_this_process_are_there) {
  const auto figures = read_process_figures();
  EXPECT_GT(figures.resident_bytes, 0u);
  EXPECT_GT(figures.open_descriptors, 2u);
  EXPECT_GT(figures.descriptor_limit, 2u);
  EXPECT_GE(figures.threads, 1u);
  EXPECT_GT(figures.start_time_seconds, 1.5e9);
}

}  // namespace
}  // namespace gatehouse::server
