#include "proxy/server/affinity.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gatehouse::server {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Affinity, AThreadGetsTheMaskOfItsNumberAndTheLastOneStandsForTheRest) {
  EXPECT_THAT(processors_of_thread({"0101", "1000"}, 0, 4), ElementsAre(0, 2));
  EXPECT_THAT(processors_of_thread({"0101", "1000"}, 1, 4), ElementsAre(3));
  EXPECT_THAT(processors_of_thread({"0101", "1000"}, 5, 4), ElementsAre(3));
}

TEST(Affinity, AutoGoesRoundTheProcessorsThatAreAllowed) {
  EXPECT_THAT(processors_of_thread({"auto"}, 0, 2), ElementsAre(0));
  EXPECT_THAT(processors_of_thread({"auto"}, 3, 2), ElementsAre(1));
  EXPECT_THAT(processors_of_thread({"auto", "01010"}, 0, 8), ElementsAre(1));
  EXPECT_THAT(processors_of_thread({"auto", "01010"}, 1, 8), ElementsAre(3));
  EXPECT_THAT(processors_of_thread({"auto", "01010"}, 2, 8), ElementsAre(1));
}

TEST(Affinity, NothingIsBoundWithoutTheDirectiveOrAProcessor) {
  EXPECT_THAT(processors_of_thread({}, 0, 2), IsEmpty());
  EXPECT_THAT(processors_of_thread({"auto", "00"}, 0, 2), IsEmpty());
  EXPECT_EQ(bind_thread({}), 0);
}

}  // namespace
}  // namespace gatehouse::server
