// Layer 5 for multipart bodies: under the CRS, what the fast path calls clean leaves the library without a finding.
#include <array>
#include <optional>

#include <gtest/gtest.h>

#include "../../../support/waf_oracle.hpp"
#include "loaded_rules.hpp"
#include "tests/unit/waf/fastpath/library.hpp"
#include "waf/fastpath/fast_path.hpp"

namespace gatehouse::waf::fastpath {
namespace {

using test::WafRequest;

/// A form with a field and, unless `filename` is empty, a file, whose part says its type if `typed`.
WafRequest upload(std::string_view field, std::string_view filename, std::string_view content, bool typed) {
  WafRequest request;
  request.method = "POST";
  request.uri = "/upload?id=7";
  request.headers = {{"Host", "shop.example.com"},
                     {"User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"},
                     {"Accept", "text/html,application/xhtml+xml,*/*;q=0.8"},
                     {"Content-Type", "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW"}};
  const std::string delimiter = "------WebKitFormBoundary7MA4YWxkTrZu0gW";
  request.body = delimiter + "\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\n" + std::string(field) + "\r\n";
  if (!filename.empty()) {
    request.body += delimiter + "\r\nContent-Disposition: form-data; name=\"photo\"; filename=\"" +
                    std::string(filename) + "\"" + (typed ? "\r\nContent-Type: image/jpeg" : "") + "\r\n\r\n" +
                    std::string(content) + "\r\n";
  }
  request.body += delimiter + "--\r\n";
  request.headers.emplace_back("Content-Length", std::to_string(request.body.size()));
  return request;
}

TEST(MultipartFastPath, IsNeverMoreLenientThanTheLibraryUnderTheCrs) {
  const std::string rules = testing::crs_rules();
  if (rules.empty()) GTEST_SKIP() << "modsecurity-crs is not installed";
  test::Oracle oracle;
  test::LoadedPair pair = test::load_pair(oracle, rules, "./rules.conf", nullptr);
  ASSERT_TRUE(pair.built.fast_path) << pair.built.refusal;
  FastPath::Worker worker(pair.built.fast_path, 1);

  testing::Inputs random(71);
  const std::vector<std::string> texts{"Holiday",
                                       "at the beach",
                                       "1 union select 2",
                                       "<script>alert(1)</script>",
                                       "two\r\nlines",
                                       "..",
                                       "/etc/passwd",
                                       "a b",
                                       "50%",
                                       "\xc3\xa9t\xc3\xa9",
                                       "--",
                                       "%00",
                                       "{}",
                                       "'"};
  const std::vector<std::string> files{"beach.jpg", "a.php",     "x",         "",      "o'clock.png",
                                       "a;b",       "..\\..\\x", "shell.jsp", "&quot;"};
  int proven = 0;
  for (int i = 0; i < 1500 && !::testing::Test::HasFailure(); ++i) {
    WafRequest request = upload(random.from(texts, 2), files[random.below(static_cast<std::uint32_t>(files.size()))],
                                random.bytes(30), random.below(3) == 0);
    if (random.below(3) == 0) request.body = random.mutate(request.body, texts);
    const test::RequestViews views(request);
    if (!worker.check_request(views.input()).clean()) continue;
    ++proven;
    EXPECT_EQ(oracle.run(*pair.rules, views.input()).what, "") << testing::printable(request.body);
  }
  EXPECT_GE(proven, 100);
}

TEST(MultipartFastPath, ProvesAPlainFormUnderTheCrs) {
  const std::string rules = testing::crs_rules();
  if (rules.empty()) GTEST_SKIP() << "modsecurity-crs is not installed";
  test::Oracle oracle;
  test::LoadedPair pair = test::load_pair(oracle, rules, "./rules.conf", nullptr);
  ASSERT_TRUE(pair.built.fast_path) << pair.built.refusal;
  FastPath::Worker worker(pair.built.fast_path, 1);
  const WafRequest request = upload("Holiday at the sea", "beach.jpg", "JFIF binary", false);
  const test::RequestViews views(request);
  const Outcome outcome = worker.check_request(views.input());
  EXPECT_TRUE(outcome.clean()) << "rule " << outcome.rule_id << " reason " << static_cast<int>(outcome.reason);
  EXPECT_EQ(oracle.run(*pair.rules, views.input()).what, "");
}

}  // namespace
}  // namespace gatehouse::waf::fastpath
