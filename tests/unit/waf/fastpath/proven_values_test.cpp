#include "waf/fastpath/proven_values.hpp"

#include <set>

#include <gtest/gtest.h>

#include "tests/unit/waf/fastpath/library.hpp"

namespace gatehouse::waf::fastpath {
namespace {

TEST(ProvenValues, RemembersExactBytesPerGroup) {
  ProvenValues values(1);
  const std::string with_nul("a\0b", 3);
  values.insert(7, "Mozilla/5.0");
  values.insert(7, with_nul);
  values.insert(7, "");
  EXPECT_TRUE(values.contains(7, "Mozilla/5.0"));
  EXPECT_TRUE(values.contains(7, with_nul));
  EXPECT_TRUE(values.contains(7, ""));
  EXPECT_FALSE(values.contains(8, "Mozilla/5.0"));
  EXPECT_FALSE(values.contains(7, "Mozilla/5.1"));
  EXPECT_FALSE(values.contains(7, "a"));
  values.clear();
  EXPECT_FALSE(values.contains(7, "Mozilla/5.0"));
}

TEST(ProvenValues, KeepsWhatIsAskedForAndStaysBounded) {
  ProvenValues values(2, {.entries = 4, .max_value = 16});
  values.insert(1, "kept");
  for (int i = 0; i < 100; ++i) {
    values.insert(1, "other" + std::to_string(i));
    EXPECT_TRUE(values.contains(1, "kept"));
  }
  EXPECT_FALSE(values.contains(1, "other0"));
  values.insert(1, std::string(17, 'x'));
  EXPECT_FALSE(values.contains(1, std::string(17, 'x')));
}

TEST(ProvenValues, NeverClaimsAValueThatWasNotInserted) {
  testing::Inputs random(3);
  ProvenValues values(3, {.entries = 64, .max_value = 64});
  std::set<std::pair<ProvenValues::Group, std::string>> inserted;
  for (int i = 0; i < 100000; ++i) {
    const ProvenValues::Group group = random.below(3);
    const std::string value = random.bytes(3);
    if (random.below(2) == 0) {
      values.insert(group, value);
      inserted.emplace(group, value);
    } else if (values.contains(group, value)) {
      ASSERT_TRUE(inserted.contains({group, value}));
    }
  }
  EXPECT_GT(values.hits(), 0u);
}

}  // namespace
}  // namespace gatehouse::waf::fastpath
