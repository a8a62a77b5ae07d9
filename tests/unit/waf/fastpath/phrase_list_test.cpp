#include "waf/fastpath/phrase_list.hpp"

#include <gtest/gtest.h>

namespace gatehouse::waf::fastpath {
namespace {

TEST(PhraseList, FindsPhrasesInAnyCaseInShortAndLongTexts) {
  const PhraseList list({"ORA-", "mysql_", "[x]"}, true);
  std::string room;
  for (const std::size_t padding : {0, 100, 300, 5000}) {
    const std::string around(padding, '.');
    EXPECT_FALSE(list.occurs_in(around + "ora" + around, room)) << padding;
    EXPECT_TRUE(list.occurs_in(around + "oRa-1" + around, room)) << padding;
    EXPECT_TRUE(list.occurs_in("MYSQL_" + around, room)) << padding;
    EXPECT_TRUE(list.occurs_in(around + "[X]", room)) << padding;
    EXPECT_FALSE(list.occurs_in(around + "x" + around, room)) << "a phrase is no expression";
  }
}

TEST(PhraseList, FindsPhrasesAmongBytesOfAnyValue) {
  const PhraseList list({"caf\xc3\xa9", "a\nb"}, true);
  std::string room;
  const std::string noise(400, '\xff');
  EXPECT_TRUE(list.occurs_in(noise + "CAF\xc3\xa9" + noise, room));
  EXPECT_TRUE(list.occurs_in(noise + "A\nB" + noise, room));
  EXPECT_FALSE(list.occurs_in(noise + "caf\xc3\x89" + noise, room)) << "only ASCII letters have two cases";
}

TEST(PhraseList, FindsTheEmptyPhraseEverywhereAndNoPhraseNowhere) {
  std::string room;
  const std::string text(400, 'x');
  EXPECT_TRUE(PhraseList({"", "y"}, true).occurs_in(text, room));
  EXPECT_FALSE(PhraseList({}, true).occurs_in(text, room));
}

}  // namespace
}  // namespace gatehouse::waf::fastpath
