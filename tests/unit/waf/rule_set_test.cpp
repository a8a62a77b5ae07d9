#include "tests/unit/waf/waf_fixture.hpp"

namespace gatehouse::waf::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string rule(int id, const char* phase = "1") {
  return "SecAction \"id:" + std::to_string(id) + ",phase:" + phase + ",pass,log,msg:'m'\"\n";
}

RuleSetError error_of(const RuleSetSource& source) {
  try {
    (void)RuleSetCache().compile(source);
  } catch (const RuleSetError& error) {
    return error;
  }
  return {{}, "no error", ""};
}

class RuleSets : public WafTest {};

TEST_F(RuleSets, ChildsRulesComeFirstInEachPhase) {
  const auto set = compile(RuleSetSource{{level_of(rule(1) + rule(2, "2")), level_of(rule(3) + rule(4, "2"))}});
  EXPECT_THAT(ids(evaluate(set, get("/"))), ElementsAre(3, 1, 4, 2));
}

TEST_F(RuleSets, NearestScalarWins) {
  const auto set = compile(
      RuleSetSource{{level_of("SecRuleEngine On\nSecRequestBodyLimit 7"), level_of("SecRuleEngine DetectionOnly")}});
  EXPECT_EQ(set->facts().engine, EngineState::detection_only);
  EXPECT_EQ(set->facts().request_body.bytes, 7u);
}

TEST_F(RuleSets, ChildRemovesAParentsRule) {
  const auto set = compile(RuleSetSource{{level_of(rule(1) + rule(2)), level_of("SecRuleRemoveById 1")}});
  EXPECT_THAT(ids(evaluate(set, get("/"))), ElementsAre(2));
}

TEST_F(RuleSets, ParentIsUnchangedByItsChildren) {
  RuleSetCache cache;
  const RuleLevel parent = level_of(rule(1) + "SecResponseBodyMimeType text/html\nSecResponseBodyAccess On");
  const auto outer = cache.compile({{parent}});
  const auto inner = cache.compile({{parent, level_of("SecRuleRemoveById 1\nSecResponseBodyMimeType text/css")}});
  const auto other = cache.compile({{parent, level_of(rule(5))}});
  EXPECT_THAT(ids(evaluate(outer, get("/"))), ElementsAre(1));
  EXPECT_TRUE(outer->inspects_response_type("text/html; charset=x"));
  EXPECT_THAT(ids(evaluate(inner, get("/"))), ElementsAre());
  EXPECT_THAT(ids(evaluate(other, get("/"))), ElementsAre(5, 1));
  EXPECT_TRUE(other->inspects_response_type("text/html"));
}

TEST_F(RuleSets, AuditSettingsAreInheritedThroughTwoLevels) {
  const auto set =
      compile(RuleSetSource{{level_of("SecAuditEngine RelevantOnly\nSecAuditLogRelevantStatus \"^5\"\nSecAuditLog " +
                                      directory.path("audit.log")),
                             level_of(rule(1)), level_of(rule(2))}});
  EXPECT_EQ(set->facts().audit.when, AuditSettings::When::relevant_only);
  EXPECT_EQ(set->facts().audit.path, directory.path("audit.log"));
  EXPECT_TRUE(set->facts().audit.relevant.test(503));
  EXPECT_FALSE(set->facts().audit.relevant.test(403));
}

TEST_F(RuleSets, LevelWithoutRulesSharesItsParentsSet) {
  RuleSetCache cache;
  const auto outer = cache.compile({{level_of(rule(1))}});
  EXPECT_EQ(outer, cache.compile({{level_of(rule(1)), RuleLevel{}, RuleLevel{}}}));
  EXPECT_EQ(cache.compilations(), 1u);
}

TEST_F(RuleSets, EqualTextsAreCompiledOnce) {
  RuleSetCache cache;
  const std::string path = directory.write("rules.conf", rule(1));
  const RuleSetSource source{{{{RuleFile{path, {"a.conf", 1}}}}}};
  const auto first = cache.compile(source);
  EXPECT_EQ(first, cache.compile(source));
  directory.write("rules.conf", rule(2));
  const auto changed = cache.compile(source);
  EXPECT_NE(first, changed);
  EXPECT_NE(first->hash(), changed->hash());
  EXPECT_EQ(cache.compilations(), 2u);
}

TEST_F(RuleSets, SiblingLocationsShareTheCompiledParent) {
  RuleSetCache cache;
  const auto first = cache.compile({{level_of(rule(1)), level_of(rule(2))}});
  const auto second = cache.compile({{level_of(rule(1)), level_of(rule(3))}});
  EXPECT_NE(first, second);
  EXPECT_EQ(cache.compilations(), 3u);
}

TEST_F(RuleSets, SetThatNobodyHoldsIsForgotten) {
  RuleSetCache cache;
  (void)cache.compile({{level_of(rule(1))}});
  (void)cache.compile({{level_of(rule(1))}});
  EXPECT_EQ(cache.compilations(), 2u);
}

TEST_F(RuleSets, ChangedIncludedOrDataFileChangesTheHash) {
  directory.write("words.data", "alpha\n");
  directory.write("inner.conf", "SecRule ARGS \"@pmFromFile words.data\" \"id:1,phase:1,pass,log,msg:'m'\"\n");
  const std::string path = directory.write("outer.conf", "Include inner.conf\n");
  RuleSetCache cache;
  const RuleSetSource source{{{{RuleFile{path, {"a.conf", 1}}}}}};
  const auto first = cache.compile(source);
  EXPECT_THAT(ids(evaluate(first, get("/?a=alpha"))), ElementsAre(1));
  directory.write("words.data", "beta\n");
  const auto second = cache.compile(source);
  EXPECT_NE(first, second);
  EXPECT_THAT(ids(evaluate(second, get("/?a=beta"))), ElementsAre(1));
  directory.write("inner.conf", rule(7));
  EXPECT_THAT(ids(evaluate(cache.compile(source), get("/"))), ElementsAre(7));
}

TEST_F(RuleSets, IncludesAreRelativeToTheIncludingFile) {
  std::filesystem::create_directory(directory.path("sub"));
  directory.write("sub/a.conf", rule(1));
  directory.write("sub/b.conf", rule(2));
  const std::string path = directory.write("main.conf", "Include sub/*.conf\n");
  const auto set = compile(RuleSetSource{{{{RuleFile{path, {"a.conf", 1}}}}}});
  EXPECT_THAT(ids(evaluate(set, get("/"))), ElementsAre(1, 2));
  EXPECT_EQ(set->texts().size(), 3u);
}

TEST_F(RuleSets, CountsAreByOrigin) {
  const std::string path = directory.write("rules.conf", rule(1) + rule(2));
  const auto set = compile(RuleSetSource{{{{RuleFile{path, {"a.conf", 1}}}}, level_of(rule(3))}});
  EXPECT_EQ(set->facts().counts.local_files, 2u);
  EXPECT_EQ(set->facts().counts.inline_text, 1u);
  EXPECT_EQ(engine.banner(set->facts().counts),
            "Gatehouse: libmodsecurity3 version 3.0.9 (rules loaded inline/local/remote: 1/2/0)");
}

TEST_F(RuleSets, EmptySourceIsAnEmptySet) {
  const auto set = compile(RuleSetSource{});
  EXPECT_FALSE(evaluate(set, get("/?q=1'%20or%20'1'='1")).intervention);
}

TEST_F(RuleSets, ShippedRulesLoadFromTheSourceTree) {
  const RuleSetFacts& facts = core_rule_set()->facts();
  EXPECT_EQ(facts.engine, EngineState::on);
  EXPECT_GT(facts.counts.inline_text, 900u);
  EXPECT_EQ(facts.request_body.bytes, 13107200u);
  EXPECT_EQ(facts.request_body.policy, BodyLimitPolicy::reject);
  EXPECT_TRUE(core_rule_set()->inspects_response_type("text/html; charset=utf-8"));
  EXPECT_FALSE(core_rule_set()->inspects_response_type("application/json"));
}

TEST_F(RuleSets, ErrorNamesTheConfigurationsLine) {
  const RuleSetError error =
      error_of(source_of("SecRuleEngine On\nSecRule ARGS \"@rx x\" \"id:1,phase:1,nosuchaction\"", 40));
  EXPECT_EQ(error.location().file, "test.conf");
  EXPECT_EQ(error.location().line, 41u);
  EXPECT_THAT(error.what(), StartsWith("test.conf:41: "));
}

TEST_F(RuleSets, ErrorInAnIncludedFileNamesThatFile) {
  directory.write("inner.conf", "\n\nSecNoSuchDirective On\n");
  const std::string path = directory.write("outer.conf", "Include inner.conf\n");
  const RuleSetError error = error_of({{{{RuleFile{path, {"a.conf", 1}}}}}});
  EXPECT_EQ(error.location().file, directory.path("inner.conf"));
  EXPECT_EQ(error.location().line, 3u);
  EXPECT_FALSE(error.remedy().empty());
}

TEST_F(RuleSets, MissingFileNamesTheDirective) {
  const RuleSetError error = error_of({{{{RuleFile{"/no/such/file.conf", {"a.conf", 12}}}}}});
  EXPECT_THAT(error.what(), StartsWith("a.conf:12: cannot read '/no/such/file.conf'"));
}

TEST_F(RuleSets, MissingIncludeIsAnError) {
  EXPECT_THAT(error_of(source_of("Include nowhere.conf")).what(), HasSubstr("nowhere.conf"));
}

TEST_F(RuleSets, EndlessIncludeIsAnError) {
  const std::string path = directory.write("loop.conf", "Include loop.conf\n");
  EXPECT_THAT(error_of({{{{RuleFile{path, {"a.conf", 1}}}}}}).what(), HasSubstr("never ends"));
}

TEST_F(RuleSets, DuplicateIdInOneLevelNamesTheOther) {
  const std::string twice = "SecRule ARGS \"@rx a\" \"id:77,phase:1,pass\"\n";
  const std::string path = directory.write("first.conf", twice);
  const RuleSetError error = error_of({{{{RuleFile{path, {"a.conf", 1}}, RuleText{twice, {"a.conf", 2}}}}}});
  EXPECT_THAT(error.message(), HasSubstr("Rule id: 77 is duplicated"));
  EXPECT_THAT(error.remedy(), HasSubstr("first.conf:1"));
}

TEST_F(RuleSets, DuplicateIdAcrossLevelsIsAnError) {
  const std::string twice = "SecRule ARGS \"@rx a\" \"id:77,phase:1,pass\"\n";
  const RuleSetError error = error_of({{level_of(twice), level_of(twice, 30)}});
  EXPECT_THAT(error.what(), HasSubstr("Rule id: 77 is duplicated"));
  EXPECT_EQ(error.location().line, 30u);
}

TEST_F(RuleSets, HttpsAuditLogIsRefused) {
  EXPECT_THAT(error_of(source_of("SecAuditEngine On\nSecAuditLogType Https\nSecAuditLog https://127.0.0.1:1/")).what(),
              HasSubstr("Https is not supported"));
}

TEST_F(RuleSets, TabBehindADirectiveIsTakenAsABlank) {
  const auto set =
      compile("SecMarker\tEND\nSecRequestBodyLimit\t\t99\nSecAuditLog\t" + directory.path("a.log") + "\n" + rule(1));
  EXPECT_EQ(set->facts().request_body.bytes, 99u);
  EXPECT_EQ(set->facts().audit.path, directory.path("a.log"));
  EXPECT_THAT(ids(evaluate(set, get("/"))), ElementsAre(1));
}

TEST_F(RuleSets, TabInAFileIsTakenAsABlank) {
  const std::string path = directory.write("tab.conf", "SecRequestBodyLimit\t99\n");
  EXPECT_EQ(compile(RuleSetSource{{{{RuleFile{path, {"a.conf", 1}}}}}})->facts().request_body.bytes, 99u);
}

TEST_F(RuleSets, CommentEndsWithItsLineThoughABackslashStandsThere) {
  const auto set = compile("# not continued \\\nSecRequestBodyLimit\t99\n# SecRule ARGS a \\\nSecRequestBodyLimit 5\n");
  EXPECT_EQ(set->facts().request_body.bytes, 99u);
}

TEST_F(RuleSets, TabInAnIncludedFileIsAnErrorNotACrash) {
  directory.write("inner.conf", "# fine\nSecRuleEngine\tOn\nSecMarker\tEND\n");
  const RuleSetError error =
      error_of({{{{RuleFile{directory.write("outer.conf", "Include inner.conf\n"), {"a.conf", 1}}}}}});
  EXPECT_EQ(error.location().file, directory.path("inner.conf"));
  EXPECT_EQ(error.location().line, 3u);
  EXPECT_THAT(error.message(), HasSubstr("TAB"));
}

class Validator : public WafTest {
 protected:
  RuleSetCache cache{spawned_validator(GATEHOUSE_WAF_CHECK_RULES)};
};

TEST_F(Validator, PassesAGoodSource) {
  const auto set = cache.compile({{level_of(rule(1)), level_of(rule(2))}});
  EXPECT_THAT(ids(evaluate(set, get("/"))), ElementsAre(2, 1));
}

TEST_F(Validator, ReportsTheSameErrorAsLoadingHere) {
  const RuleSetSource source = source_of("SecNoSuchDirective On", 9);
  const std::string expected = error_of(source).what();
  try {
    (void)cache.compile(source);
    FAIL() << "accepted";
  } catch (const RuleSetError& error) {
    EXPECT_EQ(error.what(), expected);
  }
}

TEST_F(Validator, CrashOfTheLibraryIsAnErrorThatNamesThePiece) {
  try {
    (void)cache.compile({{level_of(rule(1)), level_of("SecRuleEngine On SecMarker\tEND\n", 8)}});
    FAIL() << "accepted";
  } catch (const RuleSetError& error) {
    EXPECT_EQ(error.location().line, 8u);
    EXPECT_THAT(error.message(), HasSubstr("while loading them"));
  }
}

TEST_F(Validator, ChildThatDiesIsAnErrorThatNamesThePiece) {
  RuleSetCache broken(spawned_validator("/bin/false"));
  try {
    (void)broken.compile({{level_of(rule(1))}});
    FAIL() << "accepted";
  } catch (const RuleSetError& error) {
    EXPECT_THAT(error.what(), HasSubstr("exit status 1"));
  }
}

TEST_F(Validator, MissingExecutableIsAnError) {
  RuleSetCache broken(spawned_validator("/no/such/program"));
  EXPECT_THROW((void)broken.compile({{level_of(rule(1))}}), RuleSetError);
}

}  // namespace
}  // namespace gatehouse::waf::test
