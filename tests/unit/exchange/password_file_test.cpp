#include "proxy/exchange/password_file.hpp"

#include <gtest/gtest.h>

namespace gatehouse::exchange {
namespace {

// Made by openssl passwd and by hand from the definition of each format, all of "secret".
const std::string kHashes[] = {
    "{PLAIN}secret",
    "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
    "{SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0",
    R"($apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/)",
    R"($1$abcd$Oy8OD9LGKv7H9yIMreLNV1)",
    R"($5$abcd$BgCbKzckrgGdFcL/gWllSOkKJCXQV5rwJeTh9xnsJ1D)",
    R"($6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1)",
};

TEST(Passwords, EveryFormatTakesTheRightOneOnly) {
  for (const auto& hash : kHashes) {
    EXPECT_TRUE(password_matches("secret", hash)) << hash;
    EXPECT_FALSE(password_matches("Secret", hash)) << hash;
    EXPECT_FALSE(password_matches("", hash)) << hash;
    EXPECT_FALSE(password_matches("secret ", hash)) << hash;
  }
}

TEST(Passwords, ABrokenHashMatchesNothing) {
  for (const std::string hash : {"", "{SSHA}", "{SSHA}AAAA", "{SHA}", "$apr1$", "$9$x$y", "*"}) {
    EXPECT_FALSE(password_matches("secret", hash)) << hash;
    EXPECT_FALSE(password_matches("", hash)) << hash;
  }
}

TEST(PasswordFile, LinesCommentsAndTheFirstOfAUser) {
  const auto table = parse_password_file("# comment\na:{PLAIN}x:told\nbroken\nb:{PLAIN}y\r\na:{PLAIN}z\n");
  ASSERT_EQ(table.size(), 2u);
  EXPECT_EQ(table.at("a"), "{PLAIN}x");
  EXPECT_EQ(table.at("b"), "{PLAIN}y");
}

TEST(PasswordFile, AMissingFileIsAnErrorWithItsNumber) {
  const auto table = load_password_file("/nonexistent/users");
  ASSERT_FALSE(table);
  EXPECT_EQ(table.error().os_error, ENOENT);
}

}  // namespace
}  // namespace gatehouse::exchange
