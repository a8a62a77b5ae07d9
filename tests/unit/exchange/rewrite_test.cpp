// Rewriting, maps and error pages on exchanges without a connection.
#include <gtest/gtest.h>

#include "tests/support/exchange_runner.hpp"

namespace gatehouse::exchange {
namespace {

using test::ExchangeRunner;

// A server on one port with `directives`, and `http` before it.
ExchangeRunner serve(const std::string& directives, const std::string& http = {}) {
  return ExchangeRunner(http + " server { listen 127.0.0.1:1; absolute_redirect off; " + directives + " }");
}

TEST(Rewrite, ServerProgramRunsBeforeTheLocationIsChosen) {
  auto runner = serve("rewrite ^/a$ /b; location /a { return 200 a; } location /b { return 200 \"b $uri\"; }");
  EXPECT_EQ(runner.get("/a").body, "b /b");
}

TEST(Rewrite, LastFindsTheLocationAgainAndBreakStays) {
  auto runner = serve(
      "location /last { rewrite ^ /target last; return 500; }"
      "location /stay { rewrite ^ /target break; return 500; }"
      "location /target { return 200 \"$uri\"; }");
  EXPECT_EQ(runner.get("/last").body, "/target");
  EXPECT_EQ(runner.get("/stay").status, 404);  // nothing serves the location itself
}

TEST(Rewrite, ArgumentsAreAppendedUnlessTheReplacementEndsInAQuestionMark) {
  auto runner = serve(
      "location /keep { rewrite ^ /t last; } location /own { rewrite ^ /t?a=1 last; }"
      "location /drop { rewrite ^ /t?a=1? last; } location /none { rewrite ^ /t? last; }"
      "location /t { return 200 \"$args\"; }");
  EXPECT_EQ(runner.get("/keep?x=y").body, "x=y");
  EXPECT_EQ(runner.get("/own?x=y").body, "a=1&x=y");
  EXPECT_EQ(runner.get("/own").body, "a=1");
  EXPECT_EQ(runner.get("/drop?x=y").body, "a=1");
  EXPECT_EQ(runner.get("/none?x=y").body, "");
}

TEST(Rewrite, GroupsAreEscapedInArgumentsAndRedirectsIfTheClientEscapedAnything) {
  auto runner = serve(
      "location /args { rewrite ^/args/(.*)$ /t?v=$1 last; } location /moved { rewrite ^/moved/(.*)$ /n/$1 redirect; }"
      "location /t { return 200 \"$args\"; }");
  EXPECT_EQ(runner.get("/args/a%26b").body, "v=a%26b");
  EXPECT_EQ(runner.get("/moved/a%20b%0dc").field("Location"), "/n/a%20b%0Dc");
  EXPECT_EQ(runner.get("/moved/%7Ea").field("Location"), "/n/~a");
}

TEST(Rewrite, ElevenChangesOfTheUriAreACycle) {
  auto runner = serve("error_page 500 /page; location / { rewrite ^ $uri/x last; } location /page { return 200; }");
  EXPECT_EQ(runner.get("/").status, 500);  // and no error page, which would be one change more
}

TEST(Rewrite, AnEmptyUriIsAnError) {
  auto runner = serve("location / { rewrite ^/(.*)$ $1 last; }");
  EXPECT_EQ(runner.get("/").status, 500);
}

TEST(Rewrite, RewrittenUrisReachInternalLocationsAndClientsDoNot) {
  auto runner = serve("location /in { internal; return 200 in; } location /to { rewrite ^ /in last; }");
  EXPECT_EQ(runner.get("/in").status, 404);
  EXPECT_EQ(runner.get("/to").body, "in");
}

TEST(Rewrite, AMismatchEmptiesTheGroups) {
  auto runner = serve(
      "location / { if ($uri ~ ^/(.*)$) { set $kept $1; } if ($uri ~ ^nothing(.*)$) { } return 200 \"$kept|$1\"; }");
  EXPECT_EQ(runner.get("/x").body, "x|");
}

TEST(Rewrite, ReturnWithoutAnAnswerClosesTheConnection) {
  const auto sent = serve("location / { return 444; }").get("/");
  EXPECT_TRUE(sent.given_up);
  EXPECT_EQ(sent.status, 0);
}

TEST(Return, TheTypeOfATextComesFromTheUrisExtension) {
  auto runner = serve("location / { return 200 x; } location /own/ { types { text/x y; } return 200 x; }");
  EXPECT_EQ(runner.get("/a.HTML").field("Content-Type"), "text/html");
  EXPECT_EQ(runner.get("/a.b/c").field("Content-Type"), "text/plain");
  EXPECT_EQ(runner.get("/.html").field("Content-Type"), "text/plain");
  EXPECT_EQ(runner.get("/own/a.y").field("Content-Type"), "text/x");
  EXPECT_EQ(runner.get("/own/a.html").field("Content-Type"), "text/plain");
}

TEST(If, TheLastOneThatHoldsReplacesTheLocationsSettings) {
  auto runner = serve(
      "location / { add_header X outer; if ($arg_a) { add_header X a; } if ($arg_b) { add_header X b; } return 200; }");
  EXPECT_EQ(runner.get("/").field("X"), "outer");
  EXPECT_EQ(runner.get("/?a=1").field("X"), "a");
  EXPECT_EQ(runner.get("/?a=1&b=1").field("X"), "b");
  EXPECT_EQ(runner.get("/?a=0").field("X"), "outer");
}

TEST(Map, IsKeptForTheExchangeUnlessVolatile) {
  auto runner = serve("location / { set $p 1; set $seen $kept$fresh; set $p 2; return 200 \"$seen $kept$fresh\"; }",
                      "map $p $kept { 1 one; 2 two; } map $p $fresh { volatile; 1 one; 2 two; }");
  EXPECT_EQ(runner.get("/").body, "oneone onetwo");
}

TEST(Map, ThatNeedsItselfEnds) {
  auto runner = serve("location / { return 200 \"[$a]\"; }", "map $b $a { default $b; } map $a $b { default $a; }");
  EXPECT_EQ(runner.get("/").body, "[]");
}

TEST(Map, GroupsOfItsExpressionAreVariables) {
  auto runner =
      serve("location / { return 200 \"$m $1 $name\"; }", "map $arg_x $m { ~^(?<name>a+)b \"$1!\"; default no; }");
  EXPECT_EQ(runner.get("/?x=aab").body, "aa! aa aa");
  EXPECT_EQ(runner.get("/?x=c").body, "no  ");
}

TEST(ErrorPage, KeepsReplacesOrTakesTheStatus) {
  auto runner = serve(
      "error_page 404 /p; error_page 403 =200 /p; error_page 405 = /p; error_page 410 @named;"
      "location /404 { return 404; } location /403 { return 403; } location /405 { return 405; } location /410 { "
      "return 410; }"
      "location = /p { return 201 \"$request_method $uri\"; } location @named { return 202 \"$request_method $uri\"; "
      "}");
  const auto kept = runner.get("/404", {}, "PUT");
  EXPECT_EQ(kept.status, 404);
  EXPECT_EQ(kept.body, "GET /p");
  EXPECT_EQ(runner.get("/403").status, 200);
  EXPECT_EQ(runner.get("/405").status, 201);
  const auto named = runner.get("/410", {}, "PUT");
  EXPECT_EQ(named.status, 410);
  EXPECT_EQ(named.body, "PUT /410");
}

TEST(ErrorPage, HasNoErrorPageOfItsOwnUnlessRecursive) {
  const std::string places =
      "error_page 404 /one; error_page 403 /two; location /x { return 404; } location /one { return 403; }"
      "location /two { return 200 two; }";
  EXPECT_EQ(serve(places).get("/x").status, 403);
  EXPECT_EQ(serve("recursive_error_pages on;" + places).get("/x").body, "two");
}

TEST(ErrorPage, AnAddressIsARedirect) {
  auto runner = serve(
      "error_page 404 http://x.example/?u=$uri; error_page 403 =301 http://y.example/;"
      "location /404 { return 404; } location /403 { return 403; }");
  EXPECT_EQ(runner.get("/404").status, 302);
  EXPECT_EQ(runner.get("/404").field("Location"), "http://x.example/?u=/404");
  EXPECT_EQ(runner.get("/403").status, 301);
}

TEST(ErrorPage, AnUnknownNamedLocationIs500) {
  EXPECT_EQ(serve("error_page 404 @nowhere; location / { return 404; }").get("/").status, 500);
}

TEST(ErrorPage, ATextOfReturnIsLeftAlone) {
  auto runner = serve("error_page 404 =200 /p; location / { return 404 own; } location /p { return 200 page; }");
  EXPECT_EQ(runner.get("/").body, "own");
}

}  // namespace
}  // namespace gatehouse::exchange
