#include "proxy/exchange/generation.hpp"

#include <cstdlib>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "certs/self_signed.hpp"
#include "proxy/config/loader.hpp"
#include "proxy/exchange/variables.hpp"

namespace gatehouse::exchange {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

/// Configurations in a folder of their own, with a certificate.
class GenerationTest : public testing::Test {
 protected:
  GenerationTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "gatehouse-generation-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    EXPECT_TRUE(certs::make_self_signed(std::vector<std::string>{"a.example"}, folder_));
  }
  ~GenerationTest() override { std::filesystem::remove_all(folder_); }

  std::shared_ptr<const Generation> build(const std::string& http) {
    config::LoadOptions options{folder_ + "/test.conf", folder_, {}, &variable_catalog()};
    const std::string text = "error_log " + folder_ + "/error.log; events {} http { access_log off; " + http + " }";
    const auto loaded = config::load_text(folder_ + "/test.conf", text, options);
    for (const auto& diagnostic : loaded.diagnostics) {
      EXPECT_LT(diagnostic.level, LogLevel::error) << diagnostic.text;
    }
    if (!loaded.config) return nullptr;
    return build_generation(loaded.config, shared_, notes_);
  }

  std::vector<std::string> errors_of(const std::string& http) {
    try {
      (void)build(http);
    } catch (const GenerationError& error) {
      return error.texts();
    }
    return {};
  }

  const LocationRuntime& location(const Generation& generation, std::string_view path) {
    for (const auto& runtime : generation.locations) {
      if (runtime.location->path == path) return runtime;
    }
    throw std::runtime_error("no such location");
  }

  std::string certificate() const {
    return "ssl_certificate " + folder_ + "/tls.crt; ssl_certificate_key " + folder_ + "/tls.key;";
  }

  std::string folder_;
  SharedState shared_;
  std::vector<std::string> notes_;
};

TEST_F(GenerationTest, every_location_server_and_listener_is_made_ready) {
  const auto generation = build(
      "server { listen 8080; server_name a; location / { return 200; } location /x { return 200; } }"
      "server { listen 8080; server_name b; return 200; }");
  ASSERT_THAT(generation->servers, SizeIs(2));
  ASSERT_THAT(generation->locations, SizeIs(4));
  for (const auto& runtime : generation->locations) {
    ASSERT_NE(runtime.location, nullptr);
    EXPECT_NE(runtime.error_log, nullptr);
    EXPECT_EQ(runtime.rules, nullptr);
    EXPECT_EQ(runtime.server->root.id <= runtime.location->id, true);
  }
  ASSERT_THAT(generation->listeners, SizeIs(1));
  EXPECT_EQ(generation->listener_by_address.at(SocketAddress::ipv4({0, 0, 0, 0}, 8080)), 0u);
}

TEST_F(GenerationTest, the_name_of_the_hello_chooses_the_context_and_it_outlives_the_generation) {
  auto generation = build("server { listen 8443 ssl; server_name a.example; " + certificate() + " return 200; }" +
                          "server { listen 8443 ssl; server_name *.b.example; " + certificate() + " return 200; }");
  const auto selector = generation->listeners[0].sni;
  const auto first = generation->servers[0].tls;
  const auto second = generation->servers[1].tls;
  generation.reset();
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(selector->select("a.example"), first);
  EXPECT_EQ(selector->select("x.b.example"), second);
  EXPECT_EQ(selector->select("unknown"), first);
  EXPECT_EQ(selector->select(""), first);
}

TEST_F(GenerationTest, all_that_is_wrong_is_told_each_thing_once) {
  const auto errors = errors_of(
      "server { listen 8443 ssl; ssl_certificate /no/such.crt; ssl_certificate_key /no/such.key; }"
      "server { listen 8080; modsecurity_rules 'SecRool X'; location /a {} location /b {} }");
  ASSERT_THAT(errors, SizeIs(2));
  EXPECT_THAT(errors[0], HasSubstr("cannot load certificate \"/no/such.crt\""));
  EXPECT_THAT(errors[0], HasSubstr("test.conf:1"));
  EXPECT_THAT(errors[1], HasSubstr("SecRool"));
}

TEST_F(GenerationTest, equal_rules_are_compiled_once_also_over_reloads) {
  const std::string http =
      "modsecurity on; modsecurity_rules 'SecRuleEngine On';"
      "server { listen 8080; location /same { return 200; } location /off { modsecurity off; }"
      "location /more { modsecurity_rules 'SecAction \"id:1,phase:1,pass,nolog\"'; } }";
  const auto generation = build(http);
  const auto& same = location(*generation, "/same");
  EXPECT_EQ(same.rules, location(*generation, "").rules);
  EXPECT_EQ(location(*generation, "/off").rules, nullptr);
  EXPECT_NE(location(*generation, "/more").rules, same.rules);
  const auto compiled = shared_.rule_sets.compilations();
  EXPECT_EQ(location(*build(http), "/same").rules, same.rules);
  EXPECT_EQ(shared_.rule_sets.compilations(), compiled);
}

TEST_F(GenerationTest, upstream_tls_settings_have_an_identity_that_only_equal_ones_share) {
  const std::string http =
      "server { listen 8080; location /a { proxy_pass https://127.0.0.1:1; } location /b { proxy_pass "
      "https://127.0.0.1:2; }"
      "location /c { proxy_pass https://127.0.0.1:1; proxy_ssl_verify on; proxy_ssl_trusted_certificate " +
      folder_ + "/tls.crt; } location /plain { proxy_pass http://127.0.0.1:1; } }";
  const auto first = build(http);
  const auto a = location(*first, "/a").client_tls_identity;
  const auto c = location(*first, "/c").client_tls_identity;
  EXPECT_NE(a, 0u);
  EXPECT_EQ(location(*first, "/b").client_tls_identity, a);
  EXPECT_NE(c, a);
  EXPECT_EQ(location(*first, "/plain").client_tls, nullptr);
  // The authority's file gets other contents: connections made under the old ones must not be reused.
  std::filesystem::remove(folder_ + "/tls.crt");
  std::filesystem::remove(folder_ + "/tls.key");
  ASSERT_TRUE(certs::make_self_signed(std::vector<std::string>{"b.example"}, folder_));
  const auto second = build(http);
  EXPECT_EQ(location(*second, "/a").client_tls_identity, a);
  EXPECT_NE(location(*second, "/c").client_tls_identity, c);
}

TEST_F(GenerationTest, header_rules_become_sets) {
  const auto generation = build(
      "server { listen 8080; location /a { proxy_pass http://127.0.0.1:1; proxy_set_header X-Real-IP $remote_addr;"
      "proxy_set_header X-Own-Thing 1; proxy_hide_header X-Powered-Thing; proxy_hide_header ETag; }"
      "location /b { proxy_pass http://127.0.0.1:1; } }");
  const auto& a = location(*generation, "/a");
  EXPECT_TRUE(a.upstream_headers.replaced.contains(http::FieldId::x_real_ip));
  EXPECT_THAT(a.upstream_headers.replaced_names, ElementsAre("x-own-thing"));
  EXPECT_FALSE(a.upstream_headers.sends_connection);
  ASSERT_NE(a.upstream_headers.host, nullptr);  // the default goes on as long as no rule names it
  EXPECT_TRUE(a.hidden.contains(http::FieldId::etag));
  EXPECT_THAT(a.hidden_names, ElementsAre("x-powered-thing"));
  const auto& b = location(*generation, "/b");
  ASSERT_NE(b.upstream_headers.host, nullptr);
  EXPECT_EQ(b.upstream_headers.host->name, "Host");
}

TEST_F(GenerationTest, limits_of_request_heads_come_from_nginx_buffers) {
  const auto generation = build(
      "large_client_header_buffers 3 16k; max_headers 50; server { listen 8080; underscores_in_headers on;"
      "ignore_invalid_headers off; return 200; }");
  const http::ParseLimits& limits = generation->servers[0].parse_limits;
  EXPECT_EQ(limits.request_line, 16384u);
  EXPECT_EQ(limits.field_line, 16384u);
  EXPECT_EQ(limits.head, 3u * 16384);
  EXPECT_EQ(limits.fields, 50u);
  EXPECT_EQ(limits.names, http::NamePolicy::keep);
  EXPECT_EQ(limits.underscores, http::Underscores::usual);
}

TEST_F(GenerationTest, locations_of_one_name_share_a_route_of_the_metrics) {
  const auto generation = build(
      "server { listen 8080; server_name s; location / { return 200; } }"
      "server { listen 8081; server_name s; location / { return 200; } location /x { return 200; } }");
  std::vector<std::string> labels;
  for (const auto& route : generation->routes) labels.push_back(route.server + " " + route.route);
  EXPECT_THAT(labels, ElementsAre("s -", "s /", "s /x"));
}

}  // namespace
}  // namespace gatehouse::exchange
