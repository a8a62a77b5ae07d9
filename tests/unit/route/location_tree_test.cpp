#include "proxy/route/location_tree.hpp"

#include <algorithm>
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/unit/route/loaded.hpp"

namespace gatehouse::route {
namespace {

std::string choose(const config::Config& config, std::string_view uri) {
  const LocationTree tree(*config.http.servers.front());
  config::Regex::Captures captures;
  const auto match = tree.find(uri, captures);
  return match.location->label + (match.add_slash ? " +/" : "");
}

std::shared_ptr<const config::Config> locations(const std::string& text) {
  return load_http("server { listen 80; " + text + " }");
}

TEST(LocationTree, NginxDocumentationExample) {
  const auto config = locations(R"(
    location = / { } location / { } location /documents/ { } location ^~ /images/ { } location ~* \.(gif|jpg|jpeg)$ { })");
  EXPECT_EQ(choose(*config, "/"), "= /");
  EXPECT_EQ(choose(*config, "/index.html"), "/");
  EXPECT_EQ(choose(*config, "/documents/document.html"), "/documents/");
  EXPECT_EQ(choose(*config, "/images/1.gif"), "^~ /images/");
  EXPECT_EQ(choose(*config, "/documents/1.JPG"), "~* \\.(gif|jpg|jpeg)$");
}

TEST(LocationTree, NothingMatchingIsTheServersOwnLevel) {
  const auto config = locations("location /a { } location = /b { }");
  EXPECT_EQ(choose(*config, "/"), "-");
  EXPECT_EQ(choose(*config, "/bb"), "-");
  EXPECT_EQ(choose(*config, ""), "-");
  EXPECT_EQ(choose(*locations(""), "/x"), "-");
}

TEST(LocationTree, LongestPrefixWinsWithoutRegardToSegments) {
  const auto config = locations("location /a { } location /ab { } location /abc/ { }");
  EXPECT_EQ(choose(*config, "/a"), "/a");
  EXPECT_EQ(choose(*config, "/ab"), "/ab");
  EXPECT_EQ(choose(*config, "/abc"), "/ab");
  EXPECT_EQ(choose(*config, "/abc/d"), "/abc/");
}

TEST(LocationTree, ExactAndPrefixOfOneNameLiveTogether) {
  const auto config = locations("location = /a { } location /a { }");
  EXPECT_EQ(choose(*config, "/a"), "= /a");
  EXPECT_EQ(choose(*config, "/a/b"), "/a");
}

TEST(LocationTree, FirstRegexWinsOverAnyPrefix) {
  const auto config = locations("location /a/long/prefix { } location ~ ^/a { } location ~ long { }");
  EXPECT_EQ(choose(*config, "/a/long/prefix/x"), "~ ^/a");
  EXPECT_EQ(choose(*config, "/b/long"), "~ long");
}

TEST(LocationTree, PrefixWithoutRegexStopsItsOwnLevelOnly) {
  const auto config = locations(R"(
    location ^~ /a/ { location ~ \.php$ { } }
    location /b/ { location ^~ /b/c/ { } }
    location ~ \.php$ { } )");
  EXPECT_EQ(choose(*config, "/a/x.txt"), "^~ /a/");
  EXPECT_EQ(choose(*config, "/a/x.php"), "~ \\.php$");
  // The inner ^~ keeps the inner level's expressions out; the outer level's are still tried.
  EXPECT_EQ(choose(*config, "/b/c/x.php"), "~ \\.php$");
  EXPECT_EQ(choose(*config, "/b/c/x"), "^~ /b/c/");
}

TEST(LocationTree, InnerRegexesAreTriedBeforeOuterOnes) {
  const auto config = locations(R"(
    location ~ x$ { }
    location /in/ { location ~ /in/.*x$ { } location /in/deep/ { } })");
  EXPECT_EQ(choose(*config, "/in/x"), "~ /in/.*x$");
  EXPECT_EQ(choose(*config, "/in/deep/y"), "/in/deep/");
  EXPECT_EQ(choose(*config, "/out/x"), "~ x$");
}

TEST(LocationTree, RegexLocationsHaveInnerLocations) {
  const auto config = locations(R"(location ~ ^/u/ { location ~ \.png$ { } location /u/exact { } })");
  EXPECT_EQ(choose(*config, "/u/a.png"), "~ \\.png$");
  EXPECT_EQ(choose(*config, "/u/exact/1"), "/u/exact");
  EXPECT_EQ(choose(*config, "/u/other"), "~ ^/u/");
}

TEST(LocationTree, ProxiedLocationAddsItsSlash) {
  const auto config = locations(R"(
    location / { }
    location /app/ { proxy_pass http://h; }
    location /own/ { proxy_pass http://h; } location = /own { }
    location /both/ { proxy_pass http://h; } location /both { }
    location /plain/ { }
    location = /only/ { proxy_pass http://h; }
    location /split/a/ { proxy_pass http://h; } location /split/b/ { proxy_pass http://h; }
    location ~ app { })");
  EXPECT_EQ(choose(*config, "/app"), "/app/ +/");
  EXPECT_EQ(choose(*config, "/ap"), "/");
  EXPECT_EQ(choose(*config, "/own"), "= /own");
  EXPECT_EQ(choose(*config, "/both"), "/both");
  EXPECT_EQ(choose(*config, "/plain"), "/");
  EXPECT_EQ(choose(*config, "/only"), "= /only/ +/");
  EXPECT_EQ(choose(*config, "/split/a"), "/split/a/ +/");
  EXPECT_EQ(choose(*config, "/split"), "/");
  EXPECT_EQ(choose(*config, "/xapp"), "~ app");
}

TEST(LocationTree, NamedLocationsAreFoundByNameOnly) {
  const auto config = locations("location @fallback { } location / { }");
  const LocationTree tree(*config->http.servers.front());
  ASSERT_NE(tree.find_named("@fallback"), nullptr);
  EXPECT_EQ(tree.find_named("@other"), nullptr);
  EXPECT_EQ(choose(*config, "@fallback"), "-");
}

TEST(LocationTree, CapturesAreThoseOfTheLastMatch) {
  const auto config = locations(R"(location ~ ^/(\w+)/ { location ~ (\d+)$ { } })");
  const LocationTree tree(*config->http.servers.front());
  config::Regex::Captures captures;
  const auto match = tree.find("/ab/17", captures);
  ASSERT_NE(match.regex, nullptr);
  EXPECT_EQ(match.regex, match.location->regex.get());
  EXPECT_EQ(captures.offsets, (std::vector<std::size_t>{4, 6, 4, 6}));
}

TEST(LocationTree, TenThousandLocationsAreAllFound) {
  std::string text;
  for (int i = 0; i < 10000; ++i) text += fmt::format("location /route{}/ {{ }}\n", i);
  const auto config = locations(text);
  const LocationTree tree(*config->http.servers.front());
  config::Regex::Captures captures;
  for (int i = 0; i < 10000; ++i) {
    ASSERT_EQ(tree.find(fmt::format("/route{}/x", i), captures).location->label, fmt::format("/route{}/", i));
  }
}

// The algorithm as the documentation words it, without any tree.
struct Reference {
  const config::Location* location;
  bool add_slash = false;

  bool look(const config::Location& outer, std::string_view uri) {
    using Kind = config::LocationKind;
    const config::Location* prefix = nullptr;
    const config::Location* slash = nullptr;
    for (const auto& inner : outer.locations) {
      const bool is_prefix = inner->kind == Kind::prefix || inner->kind == Kind::prefix_no_regex;
      if (inner->kind == Kind::exact && inner->path == uri) {
        location = inner.get();
        return true;
      }
      if (is_prefix && uri.starts_with(inner->path) &&
          (prefix == nullptr || prefix->path.size() < inner->path.size())) {
        prefix = inner.get();
      }
      if ((is_prefix || inner->kind == Kind::exact) && inner->proxy_pass && inner->path == std::string(uri) + "/" &&
          (slash == nullptr || inner->kind == Kind::exact)) {
        slash = inner.get();
      }
    }
    // An exact or prefix location without a proxy shares the place of "/x/"; the exact one answers.
    if (slash != nullptr && (prefix == nullptr || prefix->path != uri)) {
      for (const auto& inner : outer.locations) {
        if (inner->kind == Kind::exact && inner->path == slash->path) slash = inner.get();
      }
      location = slash;
      add_slash = true;
      return true;
    }
    if (prefix != nullptr) {
      location = prefix;
      if (look(*prefix, uri)) return true;
      if (prefix->kind == Kind::prefix_no_regex) return false;
    }
    for (const auto& inner : outer.locations) {
      if (inner->kind != Kind::regex || !inner->regex->matches(uri)) continue;
      location = inner.get();
      (void)look(*inner, uri);
      return true;
    }
    return false;
  }
};

std::string random_path(std::mt19937& random) {
  std::string path = "/";
  const auto length = random() % 5;
  for (std::size_t i = 0; i < length; ++i) path += "aab/"[random() % 4];
  return path;
}

std::string random_block(std::mt19937& random, const std::string& outer, int depth) {
  std::string text;
  std::vector<std::string> used;
  const auto count = random() % 6;
  for (std::size_t i = 0; i < count; ++i) {
    const auto kind = random() % 5;
    const auto path = outer + (outer.empty() ? random_path(random) : random_path(random).substr(1));
    const auto key = (kind == 3 ? "=" : "p") + path;
    if (kind != 4 && std::ranges::find(used, key) != used.end()) continue;
    used.push_back(key);
    const std::string pass = random() % 2 == 0 ? "proxy_pass http://h;" : "";
    switch (kind) {
      case 0:
      case 1: text += "location " + path; break;
      case 2: text += "location ^~ " + path; break;
      case 3: text += "location = " + path; break;
      default: text += std::string("location ~ ") + (random() % 2 == 0 ? "a$" : "^/b"); break;
    }
    const bool inner = depth > 0 && kind != 3;
    text += " { " + pass + (inner ? random_block(random, kind == 4 ? "" : path, depth - 1) : "") + " }\n";
  }
  return text;
}

TEST(LocationTree, AgreesWithTheAlgorithmWithoutTree) {
  std::mt19937 random(7);  // fixed: a failure must come again
  for (int round = 0; round < 400; ++round) {
    const auto text = random_block(random, "", 2);
    const auto config = locations(text);
    const auto& server = *config->http.servers.front();
    const LocationTree tree(server);
    config::Regex::Captures captures;
    for (int i = 0; i < 50; ++i) {
      const auto uri = random_path(random);
      Reference expected{&server.root};
      (void)expected.look(server.root, uri);
      const auto match = tree.find(uri, captures);
      ASSERT_EQ(match.location, expected.location)
          << uri << "\n"
          << text << match.location->label << " for " << expected.location->label;
      ASSERT_EQ(match.add_slash, expected.add_slash) << uri << "\n" << text;
    }
  }
}

}  // namespace
}  // namespace gatehouse::route
