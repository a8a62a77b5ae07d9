// What golden files can't show: positions, compiled strings, sources, options, and sharing.
#include "proxy/config/loader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxy/config/dump.hpp"
#include "tests/unit/config/catalog.hpp"

namespace gatehouse::config {
namespace {

LoadResult load_it(std::string_view text, LoadOptions options = {}) {
  static const FakeCatalog catalog;
  options.variables = &catalog;
  return load_text("test.conf", text, options);
}

TEST(Loader, PositionsNameFileLineAndColumn) {
  const auto result = load_it("events {}\nhttp {\n  server {\n    location /x { proxy_pass http://a; }\n  }\n}\n");
  ASSERT_TRUE(result.config);
  const auto& server = *result.config->http.servers.front();
  EXPECT_EQ(server.position.file, "test.conf");
  EXPECT_EQ(server.position.line, 3u);
  EXPECT_EQ(server.position.column, 3u);
  const auto& location = *server.root.locations.front();
  EXPECT_EQ(location.position.column, 14u);
  EXPECT_EQ(location.proxy_pass->position.column, 30u);
}

TEST(Loader, StringsCompileToPieces) {
  const auto result =
      load_it("events {} http { server { add_header A 'x$host-${http_user_agent}$1'; add_header B plain; } }");
  ASSERT_TRUE(result.config);
  const auto& headers = *result.config->http.servers.front()->root.settings.add_header;
  const auto& pieces = headers[0].value.pieces();
  ASSERT_EQ(pieces.size(), 5u);
  EXPECT_EQ(pieces[0].literal, "x");
  EXPECT_EQ(pieces[1].variable->kind, VariableRef::Kind::builtin);
  EXPECT_EQ(pieces[2].literal, "-");
  EXPECT_EQ(pieces[3].variable->argument, "user_agent");
  EXPECT_EQ(pieces[4].variable->kind, VariableRef::Kind::capture);
  EXPECT_EQ(pieces[4].variable->index, 1u);
  EXPECT_TRUE(headers[1].value.is_constant());
  EXPECT_EQ(headers[1].value.constant(), "plain");
}

TEST(Loader, NamedGroupsFillTheSlotsThatStringsRead) {
  const auto result = load_it("events {} http { server { location ~ \"^/(?<a>.)/(?<b>.)\" { return 200 $b$a; } } }");
  ASSERT_TRUE(result.config);
  const auto& location = *result.config->http.servers.front()->root.locations.front();
  const auto& regex = *location.regex;
  ASSERT_EQ(regex.slots().size(), 2u);
  const auto& pieces = location.return_action->text->pieces();
  for (std::size_t i = 0; i < 2; ++i)
    EXPECT_EQ(result.config->user_variables[regex.slots()[i]], regex.names()[i].first);
  EXPECT_EQ(result.config->user_variables[pieces[0].variable->index], "b");
  EXPECT_EQ(result.config->user_variables[pieces[1].variable->index], "a");
}

TEST(Loader, LocationsAndServersKnowTheirNumbers) {
  const auto result =
      load_it("events {} http { server { location /a { location /a/b { } } location /c { } } server { listen 81; } }");
  ASSERT_TRUE(result.config);
  ASSERT_EQ(result.config->locations.size(), 5u);
  for (std::uint32_t i = 0; i < 5; ++i) EXPECT_EQ(result.config->locations[i]->id, i);
  EXPECT_EQ(result.config->locations[2]->label, "/a/b");
  EXPECT_EQ(result.config->http.servers[1]->id, 1u);
}

TEST(Loader, UnchangedSettingsAreSharedAndChangedOnesAreNot) {
  const auto result = load_it(
      "events {} http { add_header A 1; proxy_ssl_verify on; server { location /a { } "
      "location /b { add_header B 1; proxy_ssl_verify off; } } }");
  ASSERT_TRUE(result.config);
  const auto& http = result.config->http;
  const auto& locations = http.servers.front()->root.locations;
  EXPECT_EQ(locations[0]->settings.add_header, http.settings.add_header);
  EXPECT_EQ(locations[0]->settings.proxy_ssl, http.settings.proxy_ssl);
  EXPECT_EQ(locations[1]->settings.add_header->size(), 1u);
  EXPECT_FALSE(locations[1]->settings.proxy_ssl->verify);
  EXPECT_TRUE(http.settings.proxy_ssl->verify);
}

TEST(Loader, GlobalDirectivesGoFirstAndMayMissTheirSemicolon) {
  LoadOptions options;
  options.global_directives = "daemon off; pid /run/x.pid";
  const auto result = load_it("events {}", options);
  ASSERT_TRUE(result.config);
  EXPECT_FALSE(result.config->main.daemon);
  EXPECT_EQ(result.config->main.pid, "/run/x.pid");
  options.global_directives = "daemno off;";
  const auto broken = load_it("events {}", options);
  EXPECT_EQ(broken.config, nullptr);
  EXPECT_EQ(broken.diagnostics.front().text, "unknown directive \"daemno\" in command line:1");
}

TEST(Loader, DumpShowsFilesAsRead) {
  const auto result = load_it("events {} # comment\n");
  ASSERT_TRUE(result.config);
  EXPECT_EQ(dump_sources(*result.config), "# configuration file test.conf:\nevents {} # comment\n\n");
}

TEST(Loader, MissingFileIsOneError) {
  LoadOptions options;
  options.path = "/nonexistent/gatehouse.conf";
  const auto result = load(options);
  EXPECT_EQ(result.config, nullptr);
  ASSERT_FALSE(result.diagnostics.empty());
  EXPECT_EQ(result.diagnostics.front().text,
            "open() \"/nonexistent/gatehouse.conf\" failed (2: No such file or directory)");
}

TEST(Loader, ByteOrderMarkIsSkipped) {
  EXPECT_TRUE(load_it("\xef\xbb\xbf"
                      "events {}")
                  .config);
}

TEST(Loader, ErrorsBeyondTheLimitAreCounted) {
  std::string text = "events {} http {\n";
  for (int i = 0; i < 300; ++i) text += "nonsense;\n";
  const auto result = load_it(text + "}");
  EXPECT_EQ(result.diagnostics.size(), 201u);
  EXPECT_EQ(result.diagnostics.back().text, "100 more errors are not shown");
}

TEST(Loader, MessagesCarryNoControlCharacters) {
  const auto result = load_it("events {} http { \"a\x1b[31m\x07\" b; }");
  ASSERT_FALSE(result.diagnostics.empty());
  EXPECT_EQ(result.diagnostics.front().text.find('\x1b'), std::string::npos);
  EXPECT_EQ(result.diagnostics.front().excerpt.find('\x1b'), std::string::npos);
}

TEST(Loader, DeepBlocksEnd) {
  std::string deep;
  for (int i = 0; i < 10000; ++i) deep += "a {";
  const auto result = load_it(deep);
  EXPECT_EQ(result.config, nullptr);
  EXPECT_THAT(result.diagnostics,
              testing::Contains(testing::Field(&Diagnostic::text, testing::HasSubstr("blocks stand too deep"))));
}

}  // namespace
}  // namespace gatehouse::config
