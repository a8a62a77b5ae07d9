#include "proxy/base/error.hpp"

#include <cerrno>
#include <set>
#include <string_view>

#include <gtest/gtest.h>

namespace gatehouse {
namespace {

TEST(Error, DescriptionCarriesErrnoAsNginxWordsIt) {
  EXPECT_EQ(describe({Reason::connect_failed, ECONNREFUSED}), "connect() failed (111: Connection refused)");
}

TEST(Error, DescriptionWithoutErrnoIsTheReasonsText) {
  EXPECT_EQ(describe({Reason::no_live_upstream}), "no live upstreams");
}

TEST(Error, EveryReasonHasItsOwnMetricLabel) {
  std::set<std::string_view> labels;
  for (std::size_t i = 0; i < reason_count(); ++i) labels.insert(row(static_cast<Reason>(i)).label);
  EXPECT_EQ(labels.size(), reason_count());
}

TEST(Error, EveryStatusIsOneAClientMaySeeOrNone) {
  for (std::size_t i = 0; i < reason_count(); ++i) {
    const int status = row(static_cast<Reason>(i)).status;
    EXPECT_TRUE(status == 0 || (status >= 400 && status <= 599)) << row(static_cast<Reason>(i)).label;
  }
}

TEST(Error, ValueOfAFailedResultThrowsItsDescription) {
  const Result<int> failed = Error{Reason::spill_failed, ENOSPC};
  EXPECT_THROW((void)failed.value(), std::runtime_error);
}

}  // namespace
}  // namespace gatehouse
