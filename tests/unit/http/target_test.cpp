#include "proxy/http/target.hpp"

#include <string>

#include <gtest/gtest.h>

namespace gatehouse::http {
namespace {

std::string normal(std::string_view raw, Slashes slashes = Slashes::merge) {
  std::string storage;
  const Result<NormalizedPath> path = normalize_path(raw, slashes, storage);
  return path ? std::string(path->path) : "<" + std::string(row(path.error().reason).label) + ">";
}

bool differs(std::string_view raw) {
  std::string storage;
  return normalize_path(raw, Slashes::merge, storage)->raw_differs_in_meaning;
}

constexpr const char* kRefused = "<bad_target>";

TEST(Target, APlainPathIsReturnedWithoutACopy) {
  const std::string raw = "/index.html;v=1/a+b&c";
  std::string storage = "untouched";
  const Result<NormalizedPath> path = normalize_path(raw, Slashes::merge, storage);
  ASSERT_TRUE(path.has_value());
  EXPECT_EQ(path->path.data(), raw.data());
  EXPECT_FALSE(path->changed);
  EXPECT_EQ(storage, "untouched");
}

TEST(Target, EscapesAreDecodedOnce) {
  EXPECT_EQ(normal("/a%20b%41"), "/a bA");
  EXPECT_EQ(normal("/100%25"), "/100%");
  EXPECT_EQ(normal("/a%3Fb%23c"), "/a?b#c");
  EXPECT_EQ(normal("/%c3%a9"), "/\xc3\xa9");
  EXPECT_EQ(normal("/%e9"), "/\xe9");
}

TEST(Target, DotSegmentsAreResolved) {
  EXPECT_EQ(normal("/a/./b"), "/a/b");
  EXPECT_EQ(normal("/a/../b"), "/b");
  EXPECT_EQ(normal("/a/b/.."), "/a/");
  EXPECT_EQ(normal("/a/."), "/a/");
  EXPECT_EQ(normal("/a/%2e%2E/b"), "/b");
  EXPECT_EQ(normal("/a/.b/..c/..."), "/a/.b/..c/...");
  EXPECT_EQ(normal("/.well-known/x"), "/.well-known/x");
}

TEST(Target, SlashesAreMergedIfConfigured) {
  EXPECT_EQ(normal("//a///b//"), "/a/b/");
  EXPECT_EQ(normal("//a///b//", Slashes::keep), "//a///b//");
  EXPECT_EQ(normal("/a//../b", Slashes::keep), "/a/b");
}

// Row 36.
TEST(Target, ClimbingAboveTheRootIs400) {
  for (const char* raw :
       {"/..", "/../x", "/a/../../x", "/a/%2e%2e/%2e%2e/x", "/..;/x", "/%2e%2e%2fx", "//../x", "/./.."}) {
    EXPECT_EQ(normal(raw), kRefused) << raw;
  }
}

// Row 37.
TEST(Target, NulBrokenEscapesAndOverlongUtf8Are400) {
  for (const char* raw : {"/%00", "/a%00b", "/%zz", "/%", "/%4", "/%g1", "/%1g", "/%c0%af", "/%c1%81", "/%e0%80%af",
                          "/%f0%80%80%af", "/..%c0%af"}) {
    EXPECT_EQ(normal(raw), kRefused) << raw;
  }
}

// Row 38.
TEST(Target, EncodedSlashesBesideDotSegmentsMakeTheRawFormUnsafe) {
  EXPECT_EQ(normal("/a%2f..%2fadmin"), "/admin");
  EXPECT_TRUE(differs("/a%2f..%2fadmin"));
  EXPECT_TRUE(differs("/a%2fb/../c"));
  EXPECT_TRUE(differs("/admin//../x"));
}

// Row 38.
TEST(Target, ParametersOfDotSegmentsAreDroppedAndMakeTheRawFormUnsafe) {
  EXPECT_EQ(normal("/a/..;/admin"), "/admin");
  EXPECT_EQ(normal("/a/..;x=y/admin"), "/admin");
  EXPECT_EQ(normal("/a/..%3b/admin"), "/admin");
  EXPECT_EQ(normal("/a/.;x/b"), "/a/b");
  EXPECT_TRUE(differs("/a/..;/admin"));
}

// Row 38.
TEST(Target, FormsOfOneMeaningMayBeForwardedRaw) {
  for (const char* raw : {"/api/group%2Fproject", "/a/../b", "/a/%2e%2e/b", "/a%20b", "//a", "/a;x=y/b", "/%41"}) {
    EXPECT_FALSE(differs(raw)) << raw;
  }
}

TEST(Target, DotSegmentsBetweenBackslashesAre400) {
  for (const char* raw : {"/a\\..\\b", "/a%5c..%5cb", "/..\\b", "/a/..%5c", "/\\..", "/a\\."})
    EXPECT_EQ(normal(raw), kRefused) << raw;
  EXPECT_EQ(normal("/a\\b"), "/a\\b");
  EXPECT_EQ(normal("/a%5cb"), "/a\\b");
}

TEST(Target, DotSegmentsBehindASecondDecodingAre400) {
  for (const char* raw : {"/a/%252e%252e/b", "/a/..%252fb", "/%25%32%65./x", "/a%2500", "/a%255c..%255cb"}) {
    EXPECT_EQ(normal(raw), kRefused) << raw;
  }
  EXPECT_EQ(normal("/a%2520b"), "/a%20b");
  EXPECT_EQ(normal("/x/http%253A%252F%252Fhost"), "/x/http%3A%2F%2Fhost");
}

TEST(Target, ARawNulIs400) { EXPECT_EQ(normal(std::string_view("/a\0b", 4)), kRefused); }

TEST(Target, APathMustStartWithASlash) {
  EXPECT_EQ(normal(""), kRefused);
  EXPECT_EQ(normal("a"), kRefused);
}

TEST(Escape, PathsAreEscapedAsNginxDoes) {
  std::string out;
  escape_uri("/a b%c?d#e\xc3\xa9<>\"\\^`{|}\n&;+=:@", EscapeSet::uri, out);
  EXPECT_EQ(out, "/a%20b%25c%3Fd%23e%C3%A9%3C%3E%22%5C%5E%60%7B%7C%7D%0A&;+=:@");
  EXPECT_TRUE(needs_escape("a b", EscapeSet::uri));
  EXPECT_FALSE(needs_escape("/a&b+c;d", EscapeSet::uri));
}

TEST(Escape, ArgumentsAlsoEscapeTheirSeparators) {
  std::string out = "x=";
  escape_uri("a&b+c;d=e", EscapeSet::args, out);
  EXPECT_EQ(out, "x=a%26b%2Bc%3Bd=e");
}

}  // namespace
}  // namespace gatehouse::http
