#include "proxy/exchange/response_spool.hpp"

#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/support/loop.hpp"

namespace gatehouse::exchange {
namespace {

using test::Loop;

class ResponseSpoolTest : public testing::Test {
 protected:
  ResponseSpool::Limits limits(ByteCount memory, ByteCount file) const { return {memory, file, directory_.string()}; }
  std::string text(std::size_t size) {
    std::string made(size, '\0');
    for (char& c : made) c = static_cast<char>('a' + next_++ % 26);
    return made;
  }

  void TearDown() override { std::filesystem::remove_all(directory_); }

  Loop loop_;
  io::BufferPool blocks_{1000, 4};
  const std::filesystem::path directory_ =
      std::filesystem::temp_directory_path() / ("response-spool-" + std::to_string(::getpid()));
  std::size_t next_ = 0;
};

io::Task<void> append_all(ResponseSpool& spool, std::vector<std::string> pieces, Error end, std::vector<bool>& kept) {
  for (const auto& piece : pieces) {
    auto appending = spool.append(piece);
    const auto done = co_await appending;
    kept.push_back(done.has_value());
    if (!done) co_return;
  }
  spool.finish(end);
}

io::Task<void> take_all(ResponseSpool& spool, std::string& taken, Error& error) {
  for (;;) {
    auto taking = spool.take();
    const auto piece = co_await taking;
    if (!piece) {
      error = piece.error();
      co_return;
    }
    if (piece->empty()) co_return;
    taken.append(*piece);
  }
}

TEST_F(ResponseSpoolTest, GivesEverythingInOrderFromMemoryAndFile) {
  for (const ByteCount memory : {0, 100, 5000, 100000}) {
    ResponseSpool spool(loop_.reactor, blocks_, limits(memory, 1000000));
    std::vector<std::string> pieces;
    std::string all;
    for (std::size_t i = 0; i < 60; ++i) all += pieces.emplace_back(text(i * 37 % 700 + 1));
    std::vector<bool> kept;
    loop_.run(append_all(spool, pieces, {}, kept));
    EXPECT_EQ(kept, std::vector<bool>(pieces.size(), true));
    EXPECT_EQ(spool.used_file(), memory < 100000) << memory;
    EXPECT_FALSE(spool.drained());
    std::string taken;
    Error error;
    loop_.run(take_all(spool, taken, error));
    EXPECT_TRUE(taken == all) << memory;
    EXPECT_EQ(error.reason, Reason::none);
    EXPECT_TRUE(spool.drained());
  }
}

TEST_F(ResponseSpoolTest, WaitsForRoomWithoutAFileAndWithAFullOne) {
  for (const ByteCount file : {0, 300}) {
    Loop loop;
    ResponseSpool spool(loop.reactor, blocks_, limits(200, file));
    std::vector<std::string> pieces;
    std::string all;
    for (std::size_t i = 0; i < 40; ++i) all += pieces.emplace_back(text(150));
    std::vector<bool> kept;
    std::string taken;
    Error error;
    loop.reactor.spawn(append_all(spool, pieces, {}, kept));
    EXPECT_LT(kept.size(), 6u) << "more than fits was taken";
    loop.run(take_all(spool, taken, error));
    EXPECT_EQ(error.reason, Reason::none) << describe(error);
    EXPECT_EQ(taken.size(), all.size());
    EXPECT_TRUE(taken == all);
    EXPECT_EQ(spool.used_file(), file != 0);
  }
}

TEST_F(ResponseSpoolTest, TakesAPieceThatIsLargerThanTheFileMayBe) {
  ResponseSpool spool(loop_.reactor, blocks_, limits(0, 10));
  const std::string large = text(5000);
  std::vector<bool> kept;
  std::string taken;
  Error error;
  loop_.reactor.spawn(append_all(spool, {large, large}, {}, kept));
  loop_.run(take_all(spool, taken, error));
  EXPECT_EQ(taken, large + large);
}

TEST_F(ResponseSpoolTest, AFailureComesBehindWhatCameBeforeIt) {
  ResponseSpool spool(loop_.reactor, blocks_, limits(100, 10000));
  const std::string piece = text(400);
  std::vector<bool> kept;
  loop_.run(append_all(spool, {piece, piece}, Error{Reason::upstream_closed}, kept));
  std::string taken;
  Error error;
  loop_.run(take_all(spool, taken, error));
  EXPECT_EQ(taken, piece + piece);
  EXPECT_EQ(error.reason, Reason::upstream_closed);
  EXPECT_FALSE(spool.drained());
}

TEST_F(ResponseSpoolTest, GivingUpEndsOneWhoWaitsForRoom) {
  ResponseSpool spool(loop_.reactor, blocks_, limits(10, 0));
  std::vector<bool> kept;
  loop_.reactor.spawn(append_all(spool, {text(20), text(20)}, {}, kept));
  EXPECT_EQ(kept.size(), 1u);
  spool.give_up();
  loop_.reactor.post([this] { loop_.stop(); });
  loop_.run();
  EXPECT_EQ(kept, (std::vector<bool>{true, false}));
}

TEST_F(ResponseSpoolTest, TellsThatItsFolderCannotBeMade) {
  ResponseSpool spool(loop_.reactor, blocks_, {0, 100, "/dev/null/folder"});
  std::vector<bool> kept;
  loop_.run(append_all(spool, {"x"}, {}, kept));
  EXPECT_EQ(kept, std::vector<bool>{false});
}

}  // namespace
}  // namespace gatehouse::exchange
