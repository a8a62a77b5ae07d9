#include <fcntl.h>
#include <unistd.h>

#include "tests/unit/waf/waf_fixture.hpp"
#include "waf/audit_writer.hpp"

namespace gatehouse::waf::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::Not;

class Audit : public WafTest {
 protected:
  std::string settings(const std::string& more = "") {
    return "SecRuleEngine On\nSecAuditEngine RelevantOnly\nSecAuditLogRelevantStatus "
           "\"^(?:5|4(?!04))\"\nSecAuditLogParts ABIJDEFHZ\n"
           "SecAuditLog " +
           directory.path("audit.log") + "\n" + more + "\n";
  }

  void run(const std::string& rules, int status) {
    Evaluation evaluation(engine, compile(rules));
    const WafRequest request = get("/page?x=1");
    const RequestViews views(request);
    ASSERT_TRUE(evaluate_request(evaluation, views.input()));
    ResponseInput response;
    response.status = status;
    response.protocol = "HTTP/1.1";
    ASSERT_TRUE(evaluation.response_head(response));
    ASSERT_TRUE(evaluation.response_body({}));
    ASSERT_TRUE(evaluation.finish(status));
    engine.flush_logs();
  }
};

TEST_F(Audit, RecordOfADenialCanBeRead) {
  run(settings("SecRule ARGS:x \"@eq 1\" \"id:5,phase:1,deny,status:403,log,msg:'no x'\""), 403);
  const std::string record = directory.read("audit.log");
  for (const char* part : {"-A--\n", "GET /page?x=1 HTTP/1.1", "Host: www.example.com", "Access denied with code 403",
                           "[id \"5\"]", "-Z--\n"})
    EXPECT_THAT(record, HasSubstr(part));
  EXPECT_EQ(engine.counters().audit_records, 1u);
}

TEST_F(Audit, StatusDecidesWhereNoRuleMatched) {
  run(settings(), 200);
  run(settings(), 404);
  EXPECT_THAT(directory.read("audit.log"), IsEmpty());
  run(settings(), 500);
  EXPECT_THAT(directory.read("audit.log"), HasSubstr("-A--"));
}

TEST_F(Audit, MatchWithNoauditlogIsNotRecorded) {
  run(settings("SecAction \"id:5,phase:1,pass,log,noauditlog,msg:'m'\""), 200);
  EXPECT_THAT(directory.read("audit.log"), IsEmpty());
}

TEST_F(Audit, RuleMaySwitchTheAuditEngineAndParts) {
  run(settings("SecAction \"id:5,phase:1,pass,nolog,ctl:auditEngine=On,ctl:auditLogParts=-B\""), 200);
  const std::string record = directory.read("audit.log");
  EXPECT_THAT(record, HasSubstr("-A--"));
  EXPECT_THAT(record, Not(HasSubstr("-B--")));
  run(settings("SecAction \"id:5,phase:1,pass,log,msg:'m',ctl:auditEngine=Off\""), 500);
  EXPECT_EQ(directory.read("audit.log"), record);
}

TEST_F(Audit, JsonRecordIsJson) {
  run(settings("SecAuditLogFormat JSON"), 500);
  EXPECT_THAT(directory.read("audit.log"), HasSubstr("\"http_code\":500"));
}

TEST_F(Audit, ConcurrentRecordsAreFilesWithAnIndex) {
  std::filesystem::create_directory(directory.path("records"));
  run(settings("SecAuditLogType Concurrent\nSecAuditLogStorageDir " + directory.path("records")), 500);
  std::vector<std::string> records;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory.path("records")))
    if (entry.is_regular_file()) records.push_back(entry.path().string());
  ASSERT_EQ(records.size(), 1u);
  EXPECT_THAT(directory.read(std::filesystem::path(records[0]).lexically_relative(directory.path("")).string()),
              HasSubstr("-A--"));
  const std::string index = directory.read("audit.log");
  EXPECT_THAT(index, HasSubstr(records[0]));
  EXPECT_THAT(index, MatchesRegex(".*md5:[0-9a-f]{32}\n"));
}

TEST_F(Audit, ReopenGoesToANewFile) {
  const std::string rules = settings();
  run(rules, 500);
  std::filesystem::rename(directory.path("audit.log"), directory.path("audit.log.1"));
  engine.reopen_logs();
  run(rules, 502);
  EXPECT_THAT(directory.read("audit.log.1"), HasSubstr("500"));
  EXPECT_THAT(directory.read("audit.log"), HasSubstr("502"));
}

TEST_F(Audit, LibraryKeepsNoHandleOnTheFile) {
  const auto set = compile(settings());
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    EXPECT_NE(std::filesystem::read_symlink(entry.path(), gone), directory.path("audit.log"));
  }
}

TEST_F(Audit, UnwritableFileIsAWarningAndCounted) {
  const auto set = compile("SecAuditEngine On\nSecAuditLog /no/such/directory/audit.log\nSecRuleEngine On");
  EXPECT_THAT(set->facts().warnings, ::testing::ElementsAre(HasSubstr("/no/such/directory/audit.log")));
  Evaluation evaluation(engine, set);
  const WafRequest request = get("/");
  const RequestViews views(request);
  ASSERT_TRUE(evaluate_request(evaluation, views.input()));
  ASSERT_TRUE(evaluation.finish(500));
  engine.flush_logs();
  EXPECT_EQ(engine.counters().audit_failed, 1u);
}

TEST_F(Audit, FullQueueDropsAndCounts) {
  AuditWriter writer(4 * kKiB);
  AuditRecord record;
  record.log_path = directory.path("small.log");
  record.record = std::string(64 * kKiB, 'x');
  writer.submit(record);
  record.record = "fits\n";
  writer.submit(record);
  writer.flush();
  EXPECT_EQ(writer.counters().dropped, 1u);
  EXPECT_EQ(writer.counters().written, 1u);
  EXPECT_EQ(directory.read("small.log"), "fits\n");
}

TEST_F(Audit, DestructionWritesWhatIsQueued) {
  {
    AuditWriter writer(1 * kMiB);
    for (int i = 0; i < 100; ++i) {
      AuditRecord record;
      record.log_path = directory.path("all.log");
      record.record = "line\n";
      writer.submit(std::move(record));
    }
  }
  EXPECT_EQ(directory.read("all.log").size(), 500u);
}

}  // namespace
}  // namespace gatehouse::waf::test
