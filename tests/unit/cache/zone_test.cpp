// Entries on disk and what a zone's keeper does with them, at instants of the test's own.
#include "proxy/cache/zone.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "proxy/cache/entry_file.hpp"

namespace gatehouse::cache {
namespace {

namespace fs = std::filesystem;

class CacheZone : public testing::Test {
 protected:
  CacheZone() {
    std::string path = (fs::temp_directory_path() / "gatehouse-cache-XXXXXX").string();
    folder_ = ::mkdtemp(path.data());
  }
  ~CacheZone() override { fs::remove_all(folder_); }

  ZoneOptions options() const {
    ZoneOptions options;
    options.name = "zone";
    options.path = folder_;
    options.levels = *Levels::parse("1:2");
    options.keys_size = 1 << 20;
    return options;
  }
  // Stores `body` under `key` as an exchange would.
  static void store(Zone& zone, const std::string& key, std::string_view body, Seconds now) {
    const Digest digest = digest_of(key);
    Known known;
    const Hold hold = zone.index().use(digest, now, 1, known);
    FileHeader header;
    header.key = key;
    header.head = "HTTP/1.1 200 OK\r\n\r\n";
    header.valid_until = now + 60;
    auto writer = EntryWriter::begin(zone.path_of(digest), header);
    ASSERT_TRUE(writer);
    ASSERT_TRUE(writer->append(body));
    const auto bytes = writer->commit();
    ASSERT_TRUE(bytes);
    zone.index().stored(digest, *bytes, now);
  }
  static bool is_stored(const Zone& zone, const std::string& key) { return fs::exists(zone.path_of(digest_of(key))); }
  std::size_t files() const {
    std::size_t count = 0;
    for (const auto& entry : fs::recursive_directory_iterator(folder_)) count += entry.is_regular_file() ? 1 : 0;
    return count;
  }

  std::string folder_;
};

TEST_F(CacheZone, AnEntryIsReadAsItWasWritten) {
  Zone zone(options());
  store(zone, "key", "the body", 100);
  StoredResponse response;
  ASSERT_EQ(open_entry(zone.path_of(digest_of("key")), "key", response), OpenResult::opened);
  EXPECT_EQ(response.header.valid_until, 160);
  char buffer[16];
  ASSERT_EQ(response.read_body(4, buffer, sizeof buffer), 4);
  EXPECT_EQ(std::string_view(buffer, 4), "body");
  EXPECT_EQ(key_of(zone.path_of(digest_of("key"))), "key");
}

TEST_F(CacheZone, AnotherKeyWithTheSameNameIsACollision) {
  Zone zone(options());
  store(zone, "key", "x", 100);
  StoredResponse response;
  EXPECT_EQ(open_entry(zone.path_of(digest_of("key")), "other", response), OpenResult::collision);
}

TEST_F(CacheZone, AMissingFileIsMissingAndAShortOneDamaged) {
  Zone zone(options());
  StoredResponse response;
  const std::string path = zone.path_of(digest_of("key"));
  EXPECT_EQ(open_entry(path, "key", response), OpenResult::missing);
  store(zone, "key", "body", 100);
  fs::resize_file(path, fs::file_size(path) - 1);
  EXPECT_EQ(open_entry(path, "key", response), OpenResult::damaged);
}

TEST_F(CacheZone, AnEntryThatIsNotCommittedLeavesNothing) {
  Zone zone(options());
  {
    auto writer = EntryWriter::begin(zone.path_of(digest_of("key")), FileHeader{});
    ASSERT_TRUE(writer);
    ASSERT_TRUE(writer->append("half"));
    EXPECT_EQ(files(), 1U);
  }
  EXPECT_EQ(files(), 0U);
}

TEST_F(CacheZone, AnOpenEntryStaysReadableWhenItIsReplaced) {
  Zone zone(options());
  store(zone, "key", "old", 100);
  StoredResponse response;
  ASSERT_EQ(open_entry(zone.path_of(digest_of("key")), "key", response), OpenResult::opened);
  store(zone, "key", "new", 101);
  char buffer[3];
  ASSERT_EQ(response.read_body(0, buffer, 3), 3);
  EXPECT_EQ(std::string_view(buffer, 3), "old");
}

TEST_F(CacheZone, ARewrittenHeaderIsRead) {
  Zone zone(options());
  store(zone, "key", "body", 100);
  const std::string path = zone.path_of(digest_of("key"));
  StoredResponse response;
  ASSERT_EQ(open_entry(path, "key", response), OpenResult::opened);
  response.header.valid_until = 999;
  ASSERT_TRUE(rewrite_header(path, response.header));
  StoredResponse again;
  ASSERT_EQ(open_entry(path, "key", again), OpenResult::opened);
  EXPECT_EQ(again.header.valid_until, 999);
}

TEST_F(CacheZone, WhatIsOnDiskIsLearned) {
  {
    Zone zone(options());
    store(zone, "a", "1", 100);
    store(zone, "b", "2", 100);
  }
  Zone zone(options());
  EXPECT_TRUE(zone.is_cold());
  zone.load();
  EXPECT_FALSE(zone.is_cold());
  Known known;
  const Hold hold = zone.index().use(digest_of("a"), 200, 1, known);
  EXPECT_TRUE(known.exists);
  EXPECT_EQ(zone.index().entries(), 2U);
}

TEST_F(CacheZone, FilesThatAreNoEntriesStay) {
  std::ofstream(folder_ + "/notes.txt") << "keep";
  fs::create_directories(folder_ + "/x");
  std::ofstream(folder_ + "/x/d41d8cd98f00b204e9800998ecf8427e") << "in a folder that is not its own";
  Zone zone(options());
  zone.load();
  (void)zone.tidy(1'000'000'000'000);
  EXPECT_EQ(files(), 2U);
  EXPECT_EQ(zone.index().entries(), 0U);
}

TEST_F(CacheZone, UnusedEntriesGo) {
  Zone zone(options());
  store(zone, "old", "1", 100);
  store(zone, "new", "2", 500);
  EXPECT_FALSE(zone.tidy(100 + 601));
  EXPECT_FALSE(is_stored(zone, "old"));
  EXPECT_TRUE(is_stored(zone, "new"));
}

TEST_F(CacheZone, TheLongestUnusedGoWhenItIsTooLarge) {
  ZoneOptions small = options();
  small.max_size = 10'000;
  Zone zone(small);
  for (int i = 0; i < 5; ++i) store(zone, std::to_string(i), std::string(4000, 'x'), 100 + i);
  while (zone.tidy(200)) {
  }
  EXPECT_LE(zone.index().bytes(), 10'000U);
  EXPECT_FALSE(is_stored(zone, "0"));
  EXPECT_TRUE(is_stored(zone, "4"));
}

TEST_F(CacheZone, ARemovedEntryIsGone) {
  Zone zone(options());
  store(zone, "key", "body", 100);
  EXPECT_TRUE(zone.remove(digest_of("key")));
  EXPECT_FALSE(zone.remove(digest_of("key")));
  EXPECT_EQ(zone.index().bytes(), 0U);
}

}  // namespace
}  // namespace gatehouse::cache
