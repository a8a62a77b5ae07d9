#include "proxy/upstream/tried_set.hpp"

#include <set>

#include <gtest/gtest.h>

#include "proxy/upstream/random.hpp"

namespace gatehouse::upstream {
namespace {

TEST(TriedSet, BehavesAsASetAcrossItsWordBorders) {
  TriedSet tried;
  std::set<std::uint32_t> model;
  Random random(3);
  for (int i = 0; i < 5000; ++i) {
    const auto slot = static_cast<std::uint32_t>(random.below(300));
    if (random.below(2) == 0) {
      tried.insert(slot);
      model.insert(slot);
    } else {
      tried.erase(slot);
      model.erase(slot);
    }
  }
  for (std::uint32_t slot = 0; slot < 400; ++slot) EXPECT_EQ(tried.contains(slot), model.contains(slot)) << slot;
}

TEST(TriedSet, ErasingWhatWasNeverInsertedIsHarmless) {
  TriedSet tried;
  tried.erase(1000);
  EXPECT_FALSE(tried.contains(1000));
}

}  // namespace
}  // namespace gatehouse::upstream
