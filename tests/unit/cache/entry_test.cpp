// Keys, files' headers, and the index of a zone.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "proxy/cache/file_header.hpp"
#include "proxy/cache/index.hpp"
#include "proxy/cache/key.hpp"

namespace gatehouse::cache {
namespace {

TEST(CacheKey, NamesFilesAsNginxDoes) {
  EXPECT_EQ(hex(digest_of("")), "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(path_of(digest_of(""), *Levels::parse("1:2")), "e/27/d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(path_of(digest_of(""), Levels{}), "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(parse_hex(hex(digest_of("x"))), digest_of("x"));
  EXPECT_FALSE(parse_hex("d41d8cd98f00b204e9800998ecf8427"));
  EXPECT_FALSE(parse_hex("D41D8CD98F00B204E9800998ECF8427E"));
}

TEST(CacheKey, LevelsAreOneToThreeDigitsOfOneOrTwo) {
  for (const auto text : {"1", "2", "1:2", "2:2:2"}) EXPECT_TRUE(Levels::parse(text)) << text;
  for (const auto text : {"", "0", "3", "1:", ":1", "1:2:1:1", "11", "1:3"}) EXPECT_FALSE(Levels::parse(text)) << text;
}

TEST(CacheKey, VariantsAreToldApartByTheNamedFieldsOnly) {
  const auto variant = [](std::string_view language, std::string_view agent) {
    http::Fields fields;
    fields.add("Accept-Language", language);
    fields.add("User-Agent", agent);
    return variant_of(digest_of("k"), "accept-language", fields);
  };
  EXPECT_EQ(variant("en, de", "a"), variant(" en ,,de", "b"));
  EXPECT_NE(variant("en", "a"), variant("de", "a"));
}

FileHeader sample() {
  FileHeader header;
  header.valid_until = 5;
  header.last_modified = -1;
  header.body_length = 3;
  header.key = "http://a/";
  header.vary = "Accept";
  header.head = "HTTP/1.1 200 OK\r\n\r\n";
  return header;
}

TEST(CacheFileHeader, IsReadAsItWasWritten) {
  const std::string bytes = encode(sample());
  EXPECT_EQ(bytes.size(), sample().size());
  const auto read = decode(bytes + "abc");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->key, "http://a/");
  EXPECT_EQ(read->vary, "Accept");
  EXPECT_EQ(read->head, sample().head);
  EXPECT_EQ(read->last_modified, -1);
  EXPECT_EQ(read->body_length, 3u);
}

TEST(CacheFileHeader, AnyChangedByteIsSeen) {
  const std::string bytes = encode(sample());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    EXPECT_FALSE(decode(damaged)) << i;
  }
}

TEST(CacheFileHeader, AShorterFileIsSeen) {
  const std::string bytes = encode(sample());
  for (std::size_t i = 0; i < bytes.size(); ++i) EXPECT_FALSE(decode(std::string_view(bytes).substr(0, i))) << i;
}

TEST(CacheIndex, CountsUsesBeforeAnEntryIsStored) {
  Index index(100);
  for (const bool enough : {false, true}) {
    Known known;
    const Hold hold = index.use(digest_of("a"), 1, 2, known);
    EXPECT_EQ(known.used_enough, enough);
  }
}

TEST(CacheIndex, OneFetchesAndTheOthersAreWokenAtItsEnd) {
  Index index(100);
  Known known;
  Hold first = index.use(digest_of("a"), 1, 1, known);
  Hold second = index.use(digest_of("a"), 1, 1, known);
  EXPECT_TRUE(index.begin_fetch(first, 0, 1000));
  EXPECT_FALSE(index.begin_fetch(second, 10, 1010));
  int woken = 0;
  EXPECT_TRUE(index.wait(second, [&] { ++woken; }));
  first.release();
  EXPECT_EQ(woken, 1);
  EXPECT_FALSE(index.wait(second, [&] { ++woken; }));
  EXPECT_TRUE(index.begin_fetch(second, 20, 1020));
}

TEST(CacheIndex, AFetchThatTookTooLongLosesItsTurn) {
  Index index(100);
  Known known;
  Hold slow = index.use(digest_of("a"), 1, 1, known);
  Hold next = index.use(digest_of("a"), 1, 1, known);
  EXPECT_TRUE(index.begin_fetch(slow, 0, 1000));
  EXPECT_TRUE(index.begin_fetch(next, 1000, 2000));
  slow.release();
  Hold third = index.use(digest_of("a"), 1, 1, known);
  EXPECT_FALSE(index.begin_fetch(third, 1500, 2500)) << "the turn is next's";
}

TEST(CacheIndex, RemembersAFailureForAWhile) {
  Index index(100);
  Known known;
  Hold hold = index.use(digest_of("a"), 1, 1, known);
  index.failed(digest_of("a"), 502, 10);
  hold.release();
  Known soon;
  (void)index.use(digest_of("a"), 10, 1, soon);
  EXPECT_EQ(soon.error, 502);
  Known later;
  (void)index.use(digest_of("a"), 11, 1, later);
  EXPECT_EQ(later.error, 0);
}

TEST(CacheIndex, TheLongestUnusedGoFirstAndHeldOnesStay) {
  Index index(1000);
  Known known;
  for (int i = 0; i < 5; ++i) {
    (void)index.use(digest_of(std::to_string(i)), 10 + i, 1, known);
    index.stored(digest_of(std::to_string(i)), 4096, 10 + i);
  }
  EXPECT_EQ(index.bytes(), 5 * 4096u);
  const Hold held = index.use(digest_of("0"), 10, 1, known);
  EXPECT_EQ(index.take_unused(12, 10), std::vector{digest_of("1")});
  EXPECT_EQ(index.take_unused(100, 2), (std::vector{digest_of("2"), digest_of("3")}));
  EXPECT_EQ(index.bytes(), 2 * 4096u);
}

TEST(CacheIndex, TheOrderOfUseHoldsWithinASecondToo) {
  Index index(1000);
  Known known;
  std::vector<Digest> used;
  for (int i = 0; i < 40; ++i) {  // over all shards
    used.push_back(digest_of(std::to_string(i)));
    (void)index.use(used.back(), 10, 1, known);
    index.stored(used.back(), 4096, 10);
  }
  EXPECT_EQ(index.take_unused(11, 40), used);
}

TEST(CacheIndex, AFullZoneGivesUpItsLongestUnusedEntry) {
  Index index(16);  // one entry a shard
  Known known;
  std::size_t displaced = 0;
  for (int i = 0; i < 40; ++i) {
    const Digest digest = digest_of(std::to_string(i));
    (void)index.use(digest, i, 1, known);
    index.stored(digest, 1, i);
  }
  displaced = index.take_displaced().size();
  EXPECT_LE(index.entries(), 16u);
  EXPECT_EQ(index.entries() + displaced, 40u);
}

}  // namespace
}  // namespace gatehouse::cache
