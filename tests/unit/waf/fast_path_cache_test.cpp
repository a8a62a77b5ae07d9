#include "waf/fast_path_cache.hpp"

#include "tests/unit/waf/waf_fixture.hpp"

namespace gatehouse::waf::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr const char* kRules = R"conf(
SecRuleEngine On
SecRequestBodyAccess On
SecAction "id:1,phase:1,pass,nolog,setvar:tx.paranoia_level=1"
SecRule TX:PARANOIA_LEVEL "@lt 2" "id:2,phase:2,pass,nolog,skipAfter:END"
SecRule ARGS "@contains strict" "id:3,phase:2,deny,log,tag:'strict'"
SecMarker END
SecRule ARGS "@contains attack" "id:4,phase:2,deny,log,tag:'attack'"
SecRule ARGS "@contains other" "id:5,phase:2,deny,log,tag:'other'"
)conf";

class FastPaths : public WafTest {
 protected:
  FastPaths() { cache.set_threads(2); }

  std::shared_ptr<const SharedFastPath> get(const Overlay& overlay = {}) { return cache.get(rules, &overlay); }
  static bool clean(const SharedFastPath& path, const std::string& uri) {
    const WafRequest request = gatehouse::waf::test::get(uri);
    const RequestViews views(request);
    return path.worker(0)->check_request(views.input()).clean();
  }
  static Overlay without(std::vector<RuleIdRange> ids) {
    Overlay overlay;
    overlay.removed_rules = std::move(ids);
    return overlay;
  }

  FastPathCache cache;
  std::shared_ptr<const RuleSet> rules = compile(kRules);
};

TEST_F(FastPaths, OneForEachThreadAndNoneBeyond) {
  const auto path = get();
  ASSERT_THAT(path->refusal(), IsEmpty());
  EXPECT_NE(path->worker(0), nullptr);
  EXPECT_NE(path->worker(1), path->worker(0));
  EXPECT_EQ(path->worker(2), nullptr);
  EXPECT_TRUE(clean(*path, "/?a=harmless"));
  EXPECT_FALSE(clean(*path, "/?a=attack"));
}

TEST_F(FastPaths, EqualOnesAreMadeOnce) {
  const auto first = get();
  Overlay detect;
  detect.mode = Mode::detect;
  EXPECT_EQ(get(), first);
  EXPECT_EQ(get(detect), first);
  EXPECT_EQ(cache.get(rules, nullptr), first);
  EXPECT_EQ(cache.compilations(), 1);
}

TEST_F(FastPaths, AFewOverlaysHaveWhatTheyTakeOutUnchecked) {
  EXPECT_TRUE(clean(*get(without({{4, 4}})), "/?a=attack"));
  EXPECT_FALSE(clean(*get(without({{5, 5}})), "/?a=attack"));
}

TEST_F(FastPaths, ManyOverlaysThatOnlyTakeOutContentShareOne) {
  std::vector<std::shared_ptr<const SharedFastPath>> held;
  for (int i = 0; i < 8; ++i) {
    Overlay overlay = without({{4, 4}});
    overlay.inbound_anomaly_threshold = i + 1;
    held.push_back(get(overlay));
  }
  const auto one = get(without({{4, 4}}));
  Overlay by_tag, by_target;
  by_tag.removed_tags = {"other"};
  by_target.removed_targets = {{"4", "ARGS:a"}};
  EXPECT_EQ(get(without({{5, 5}})), one);
  EXPECT_EQ(get(by_tag), one);
  EXPECT_EQ(get(by_target), one);
  EXPECT_EQ(cache.compilations(), 9);
  EXPECT_TRUE(clean(*one, "/?a=strict"));  // the gate in front of it still holds
  EXPECT_FALSE(clean(*one, "/?a=attack"));
  EXPECT_FALSE(clean(*get(without({{2, 2}})), "/?a=strict"));  // and where it is taken out, it does not
}

TEST_F(FastPaths, AGateThatIsTakenOutNoLongerSkips) {
  const auto path = get(without({{2, 2}}));
  EXPECT_NE(path, get());
  EXPECT_FALSE(clean(*path, "/?a=strict"));
  EXPECT_TRUE(clean(*get(), "/?a=strict"));
}

TEST_F(FastPaths, AParanoiaLevelIsAFoldOfItsOwn) {
  Overlay strict;
  strict.paranoia_level = 2;
  EXPECT_FALSE(clean(*get(strict), "/?a=strict"));
}

TEST_F(FastPaths, DistrustIsOfTheRuleSetAndToldOnce) {
  const auto base = get();
  const auto other = get(without({{4, 4}}));
  EXPECT_TRUE(other->trusted());
  EXPECT_TRUE(base->distrust());
  EXPECT_FALSE(base->distrust());
  EXPECT_FALSE(other->trusted());
  EXPECT_TRUE(cache.get(compile("SecRequestBodyAccess On"), nullptr)->trusted());
}

TEST_F(FastPaths, ARefusalSaysWhy) {
  const auto path = cache.get(compile("SecRequestBodyAccess On\nSecAction \"id:1,phase:1,pass,log,msg:m\""), nullptr);
  EXPECT_THAT(path->refusal(), HasSubstr("rule 1"));
  EXPECT_EQ(path->worker(0), nullptr);
  EXPECT_THAT(path->explain(), HasSubstr(path->refusal()));
  Overlay tx;
  tx.removed_targets = {{"2", "TX:PARANOIA_LEVEL"}};
  EXPECT_THAT(get(tx)->refusal(), HasSubstr("TX"));
}

TEST_F(FastPaths, TooManyFoldsAreRefusedAndComeBackWhenOthersGo) {
  std::vector<std::shared_ptr<const SharedFastPath>> held;
  const auto threshold = [](int value) {
    Overlay overlay;
    overlay.inbound_anomaly_threshold = value;
    return overlay;
  };
  for (int i = 1; i <= 17; ++i) held.push_back(get(threshold(i)));
  EXPECT_THAT(held[15]->refusal(), IsEmpty());
  EXPECT_THAT(held[16]->refusal(), Not(IsEmpty()));
  held.clear();
  EXPECT_THAT(get(threshold(17))->refusal(), IsEmpty());
}

TEST_F(FastPaths, TheLibraryOfThisBuildIsKnown) { EXPECT_TRUE(cache.knows_library()); }

}  // namespace
}  // namespace gatehouse::waf::test
