#include "waf/rule_message_text.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <modsecurity/audit_log.h>
#include <modsecurity/modsecurity.h>
#include <modsecurity/rules_set.h>

namespace gatehouse::waf {
namespace {

using modsecurity::RuleMessage;
using modsecurity::audit_log::AuditLog;

// Rules that match anything, with every field that a line shows.
constexpr const char* kRules = R"rules(
SecRuleEngine On
SecRequestBodyAccess On
SecAuditLogParts ABIJDEFHZ
SecRule ARGS "@rx (.*)" "id:1,phase:2,pass,log,auditlog,capture,msg:'an argument: %{ARGS.q}',logdata:'Matched %{TX.0} within %{MATCHED_VAR_NAME}',severity:'CRITICAL',rev:'2\\r',ver:'v\\1',maturity:'9',accuracy:'8',tag:'a/b',tag:'c\\d'"
SecRule REQUEST_URI "@contains /" "id:2,phase:1,pass,log,auditlog,msg:'plain'"
SecAction "id:3,phase:2,pass,nolog,auditlog,msg:'only in the audit log'"
SecRule ARGS:deny "@streq 1" "id:4,phase:2,deny,status:418,log,auditlog,msg:'denied',severity:'WARNING'"
)rules";

struct Seen {
  std::vector<std::string> differences;
  std::size_t lines = 0;
};

void compare(void* seen, const void* data) {
  const auto& message = *static_cast<const RuleMessage*>(data);
  auto& found = *static_cast<Seen*>(seen);
  for (const int status : {-1, 0, 403}) {
    const std::string library = RuleMessage::log(&message, 0, status);
    const std::string ours = rule_message_text(message, status);
    if (library != ours) found.differences.push_back(library + "\n" + ours);
    ++found.lines;
  }
}

class RuleMessageText : public testing::Test {
 protected:
  RuleMessageText() {
    engine_.setServerLogCb(&compare, modsecurity::RuleMessageLogProperty);
    EXPECT_GE(rules_.load(kRules), 0) << rules_.getParserError();
  }

  /// Evaluates one request, compares its lines, and then its record with each of `parts`.
  void check(const std::string& uri, const std::string& body) {
    Seen seen;
    modsecurity::Transaction transaction(&engine_, &rules_, &seen);
    transaction.processConnection("192.0.2.1", 1234, "192.0.2.2", 80);
    transaction.processURI(uri.c_str(), "POST", "1.1");
    transaction.addRequestHeader("Host", "h");
    transaction.addRequestHeader("Content-Type", "application/x-www-form-urlencoded");
    transaction.processRequestHeaders();
    transaction.appendRequestBody(reinterpret_cast<const unsigned char*>(body.data()), body.size());
    transaction.processRequestBody();
    transaction.processResponseHeaders(418, "HTTP/1.1");
    EXPECT_TRUE(seen.differences.empty()) << uri << "\n" << seen.differences.front();
    EXPECT_GT(seen.lines, 0u);
    for (const char* parts : {"AZ", "AHZ", "ABHZ", "ABCHZ", "ABIJDEFHZ", "ABCDEFGHIJKZ", "ABZ"}) {
      const int mask = AuditLog::addParts(0, parts);
      EXPECT_EQ(native_audit_record(transaction, mask, "-Trailer--"),
                transaction.toOldAuditLogFormat(mask, "-Trailer--"))
          << uri << " " << parts;
    }
  }

  modsecurity::ModSecurity engine_;
  modsecurity::RulesSet rules_;
};

TEST_F(RuleMessageText, IsTheLibrarysForOrdinaryRequests) {
  check("/", "");
  check("/page?q=1&deny=1", "a=b");
  check("/page?q=<script>", "a=1'%20or%20'1'='1");
}

TEST_F(RuleMessageText, IsTheLibrarysForBytesQuotesAndLongTexts) {
  std::string every;
  for (int byte = 0; byte < 256; ++byte) {
    constexpr char kHex[] = "0123456789abcdef";
    every += {'%', kHex[byte >> 4], kHex[byte & 15]};
  }
  check("/x?q=" + every, "b=" + every);
  check("/" + std::string(199, 'p'), "a=" + std::string(199, 'v'));
  check("/" + std::string(200, 'p'), "a=" + std::string(200, 'v'));
  check("/" + std::string(201, 'p'), "a=" + std::string(5000, '"'));
  check("/%22quoted%22/%5c/%e2%82%ac", "%22=%5c");
}

}  // namespace
}  // namespace gatehouse::waf
