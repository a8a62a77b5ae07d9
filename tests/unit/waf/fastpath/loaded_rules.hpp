// A rule set loaded by the library, for tests that compare with it.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <modsecurity/modsecurity.h>
#include <modsecurity/rules_set.h>

#include "waf/fastpath/seclang_reader.hpp"

namespace gatehouse::waf::fastpath::testing {

/// The library's instance, without log output.
class Library {
 public:
  Library() {
    engine_.setServerLogCb([](void*, const void*) {}, modsecurity::RuleMessageLogProperty);
  }
  [[nodiscard]] modsecurity::ModSecurity& engine() { return engine_; }

 private:
  modsecurity::ModSecurity engine_;
};

/// Process-wide for the test program: its destructor tears down libxml and curl.
inline modsecurity::ModSecurity& test_engine() {
  static Library library;
  return library.engine();
}

/// Rules and the library's compiled form of them.
struct LoadedRules {
  std::vector<RuleSource> sources;
  std::unique_ptr<modsecurity::RulesSet> set;
  std::string error;
};

[[nodiscard]] inline LoadedRules load(std::string text, std::string name = "rules.conf") {
  LoadedRules loaded;
  loaded.set = std::make_unique<modsecurity::RulesSet>();
  if (loaded.set->load(text.c_str(), name) < 0) loaded.error = loaded.set->getParserError();
  loaded.sources.push_back({std::move(name), std::move(text)});
  return loaded;
}

inline constexpr const char* crs_directory = "/usr/share/modsecurity-crs/rules";

/// ModSecurity's recommended engine set-up, so far as it matters to the CRS.
inline constexpr const char* engine_setup = R"conf(
SecRuleEngine On
SecRequestBodyAccess On
SecRule REQUEST_HEADERS:Content-Type "^(?:application(?:/soap\+|/)|text/)xml" \
     "id:'200000',phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=XML"
SecRule REQUEST_HEADERS:Content-Type "^application/json" \
     "id:'200001',phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"
SecRequestBodyLimit 13107200
SecRequestBodyNoFilesLimit 131072
SecRequestBodyLimitAction Reject
SecRequestBodyJsonDepthLimit 512
SecArgumentsLimit 1000
SecRule &ARGS "@ge 1000" "id:'200007',phase:2,t:none,log,deny,status:400,msg:'Too many arguments',severity:2"
SecRule REQBODY_ERROR "!@eq 0" "id:'200002',phase:2,t:none,log,deny,status:400,msg:'Body',severity:2"
SecRule MULTIPART_STRICT_ERROR "!@eq 0" "id:'200003',phase:2,t:none,log,deny,status:400,msg:'Strict'"
SecRule MULTIPART_UNMATCHED_BOUNDARY "@eq 1" "id:'200004',phase:2,t:none,log,deny,msg:'Boundary'"
SecRule TX:/^MSC_/ "!@streq 0" "id:'200005',phase:2,t:none,deny,msg:'Internal error: %{MATCHED_VAR_NAME}'"
SecResponseBodyAccess On
SecResponseBodyMimeType text/plain text/html text/xml
SecResponseBodyLimit 524288
SecResponseBodyLimitAction ProcessPartial
SecAuditEngine RelevantOnly
SecAuditLogRelevantStatus "^(?:5|4(?!04))"
SecAuditLogParts ABIJDEFHZ
SecArgumentSeparator &
SecCookieFormat 0
)conf";

/// The packaged CRS with its default set-up, `before` put between set-up and rules. Empty without the package.
[[nodiscard]] inline std::string crs_rules(const std::string& before = {}) {
  if (!std::filesystem::exists(crs_directory)) return {};
  return std::string(engine_setup) + "\nInclude /etc/modsecurity/crs/crs-setup.conf\n" + before + "\nInclude " +
         crs_directory + "/*.conf\n";
}

}  // namespace gatehouse::waf::fastpath::testing
