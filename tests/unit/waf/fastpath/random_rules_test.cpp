// The compiler of rules, not only CRS, against the library: random rule sets over the whole supported grammar.
#include <algorithm>
#include <cstdlib>
#include <random>

#include <gtest/gtest.h>

#include "../../../support/waf_oracle.hpp"
#include "waf/narrowed_rules.hpp"

namespace gatehouse::waf::fastpath {
namespace {

using test::WafRequest;

class RandomRules {
 public:
  explicit RandomRules(std::uint32_t seed) : random_(seed) {}

  [[nodiscard]] std::string rules() {
    std::string text = "SecRuleEngine On\nSecRequestBodyAccess On\n";
    text +=
        "SecRule REQUEST_HEADERS:Content-Type \"@rx ^application/json\" "
        "\"id:1,phase:1,pass,nolog,ctl:requestBodyProcessor=JSON\"\n";
    if (one_in(3))
      text += "SecDefaultAction \"phase:2,log,pass" + std::string(one_in(2) ? ",t:lowercase" : "") + "\"\n";
    if (one_in(2))
      text += "SecAction \"id:2,phase:1,pass,nolog,setvar:tx.level=" + number() + ",setvar:'tx.mode=a b'\"\n";
    text += "SecAction \"id:3,phase:1,pass,nolog,setvar:tx.always=1\"\n";
    id_ = 10;
    const auto count = 2 + below(8);
    for (std::uint32_t i = 0; i < count; ++i) {
      if (one_in(3)) text += constant();
      text += chain();
      if (one_in(6)) text += "SecMarker M" + std::to_string(below(2)) + "\n";
      if (one_in(8))
        text += "SecAction \"id:" + std::to_string(++id_) + ",phase:" + phase() + ",pass,nolog," + setvar() + "\"\n";
    }
    return text + "SecMarker M0\nSecMarker M1\n";
  }

  [[nodiscard]] WafRequest request() {
    WafRequest request;
    request.uri = pick({"/", "/a", "/a/b.php", "/x%20y", "/%61b"});
    const auto count = below(4);
    for (std::uint32_t i = 0; i < count; ++i) request.uri += (i == 0 ? "?" : "&") + pair();
    if (one_in(2)) request.headers.emplace_back("Host", pick({"a", "b", "localhost"}));
    if (one_in(2)) request.headers.emplace_back(pick({"X-A", "x-b", "Range"}), value());
    if (one_in(3)) request.headers.emplace_back(pick({"X-A", "x-b"}), value());
    if (one_in(2)) request.headers.emplace_back("Cookie", pick({"a=", "b=", "__utm=", "c=1; a="}) + value());
    if (one_in(3)) {
      request.method = "POST";
      const bool json = one_in(2);
      request.headers.emplace_back("Content-Type", json ? "application/json" : "application/x-www-form-urlencoded");
      request.body =
          json ? "{\"a\":\"" + pick({"a", "b", "ab", "1", "12-3"}) + "\",\"b\":[1,\"a\"]}" : pair() + "&" + pair();
    }
    return request;
  }

 private:
  [[nodiscard]] std::uint32_t below(std::uint32_t limit) { return static_cast<std::uint32_t>(random_() % limit); }
  [[nodiscard]] bool one_in(std::uint32_t n) { return below(n) == 0; }
  [[nodiscard]] std::string pick(const std::vector<std::string>& from) {
    return from[below(static_cast<std::uint32_t>(from.size()))];
  }
  [[nodiscard]] std::string number() { return std::to_string(below(3)); }
  [[nodiscard]] std::string phase() { return pick({"1", "2", "2", "2"}); }
  [[nodiscard]] std::string value() {
    return pick({"a",     "b",     "ab", "A", "1",     "2",       "0",     "12-3",  "3-12", "a=b", "%61",
                 "%2561", "a%0bb", "",   "x", "aa bb", "/a/../b", "&#97;", "\\x61", "tx",   "%e4", "b%00a"});
  }
  [[nodiscard]] std::string pair() { return pick({"a", "b", "c", "A", "ab"}) + "=" + value(); }

  [[nodiscard]] std::string tx_name() { return pick({"level", "mode", "u", "v", "w"}); }
  [[nodiscard]] std::string target() {
    return pick({"ARGS",
                 "ARGS_NAMES",
                 "ARGS:a",
                 "ARGS:/^a/",
                 "REQUEST_URI",
                 "REQUEST_HEADERS",
                 "REQUEST_HEADERS:X-A",
                 "REQUEST_HEADERS_NAMES",
                 "REQUEST_COOKIES",
                 "REQUEST_COOKIES_NAMES",
                 "REQUEST_COOKIES|!REQUEST_COOKIES:/__utm/",
                 "REQUEST_METHOD",
                 "REQUEST_LINE",
                 "REQUEST_BASENAME",
                 "REQUEST_FILENAME",
                 "ARGS_GET",
                 "ARGS_POST",
                 "REQUEST_BODY",
                 "&ARGS",
                 "&ARGS:a",
                 "&REQUEST_HEADERS:Host",
                 "&REQUEST_COOKIES",
                 "REQUEST_PROTOCOL",
                 "QUERY_STRING",
                 "FILES",
                 "REQBODY_ERROR",
                 "MULTIPART_STRICT_ERROR",
                 "XML:/*",
                 "ARGS|!ARGS:b",
                 "ARGS_COMBINED_SIZE"});
  }
  [[nodiscard]] std::string tx_target() { return pick({"TX:", "TX:", "TX:", "&TX:"}) + tx_name(); }
  [[nodiscard]] std::string targets(bool in_chain) {
    if (one_in(5)) return pick({tx_target(), "TX:/^[uv]/", "TX:/^p_/", "&TX:/^p_/", "TX:/mode/", "TX:/^c_/"});
    if (in_chain && one_in(2))
      return pick({"MATCHED_VAR", "MATCHED_VARS", "MATCHED_VARS_NAMES", "TX:0", "TX:1", "TX:/^p_/"});
    auto text = target();
    if (text[0] != '&' && one_in(3))
      text += "|" + pick({"ARGS", "REQUEST_URI", "REQUEST_COOKIES", "REQUEST_HEADERS:x-b"});
    return text;
  }
  [[nodiscard]] std::string condition(bool numeric) {
    const std::string negation = one_in(4) ? "!" : "";
    if (numeric)
      return negation + pick({"@eq ", "@ge ", "@gt ", "@lt ", "@le "}) +
             (one_in(4) ? "%{tx." + tx_name() + "}" : number());
    switch (below(14)) {
      case 0: return negation + "@rx ^a";
      case 1: return negation + "@rx (\\d+)-(\\d+)";
      case 2: return negation + "@rx a\\sb";
      case 3: return "@pm ab bb zz";
      case 4: return negation + "@streq " + pick({"a", "b", "%{tx.u}", "GET"});
      case 5: return negation + "@within " + pick({"a b ab", "GET POST", "%{tx.mode}", "/a/ /b/"});
      case 6: return negation + "@contains " + pick({"a", "=", "%{tx.v}", "-"});
      case 7: return negation + "@beginsWith " + pick({"a", "/a"});
      case 8: return negation + "@endsWith " + pick({"b", ".php", "%{request_headers.host}"});
      case 9: return negation + "@validateByteRange 1-127";
      case 10: return "@detectSQLi";
      case 11: return negation + "@rx ^.*$";
      case 12: return negation + "@eq " + number();
      default: return negation + "@rx [ab]+$";
    }
  }
  [[nodiscard]] std::string transformations() {
    static const std::vector<std::string> steps{
        "t:none",   "t:lowercase",     "t:urlDecodeUni", "t:urlDecode",    "t:htmlEntityDecode",   "t:removeNulls",
        "t:length", "t:normalisePath", "t:trim",         "t:base64Decode", "t:compressWhitespace", "t:jsDecode",
        "t:sha1",   "t:hexEncode"};
    std::string text;
    const auto count = below(3);
    for (std::uint32_t i = 0; i < count; ++i) text += "," + pick(steps);
    return text;
  }
  [[nodiscard]] std::string setvar() {
    return "setvar:'tx." +
           pick({tx_name(), tx_name(), "p_%{tx.0}", "p_%{tx.n}", "n", "p_%{MATCHED_VAR_NAME}", "p_%{matched_var}"}) +
           pick({"=1", "=a", "=%{MATCHED_VAR}", "=%{tx.0}", "=%{tx.1}", "=%{tx.level}", "=|%{tx.u}|", ""}) + "'";
  }
  [[nodiscard]] std::string extras() {
    std::string text = transformations();
    if (one_in(3)) text += ",capture";
    if (one_in(3)) text += "," + setvar();
    if (one_in(8)) text += "," + setvar();
    if (one_in(8)) text += ",setvar:tx." + pick({tx_name(), "n"}) + "=+1";
    if (one_in(6))
      text += ",setvar:'tx." + pick({"c_%{MATCHED_VAR_NAME}", "c_%{MATCHED_VAR}"}) + pick({"=+1'", "=-1'"});
    if (one_in(3)) text += ",tag:'t'";
    if (one_in(12)) text += ",multiMatch";
    return text;
  }
  /// Holds for every request.
  [[nodiscard]] std::string constant() {
    const auto effect =
        one_in(3) ? "skipAfter:M" + std::to_string(below(2)) : "setvar:tx." + tx_name() + "=" + number();
    return "SecRule " + pick({"&TX:nothing \"@eq 0\"", "TX:always \"@eq 1\"", "&TX:/^never_/ \"!@gt 0\""}) +
           " \"id:" + std::to_string(++id_) + ",phase:" + phase() + ",pass,nolog," + effect + "\"\n";
  }
  [[nodiscard]] std::string chain() {
    const auto length = 1 + (one_in(2) ? 1 + below(2) : 0);
    std::string text;
    for (std::uint32_t i = 0; i < length; ++i) {
      const auto where = targets(i > 0);
      const bool numeric = where[0] == '&' || one_in(8);
      text += "SecRule " + where + " \"" + condition(numeric) + "\" \"";
      if (i == 0) {
        text += "id:" + std::to_string(++id_) + ",phase:" + phase() + "," +
                pick({"deny", "pass,nolog", "pass,nolog", "pass", "block,nolog",
                      "pass,nolog,skipAfter:M" + std::to_string(below(2)), "pass,nolog,auditlog", "deny,nolog",
                      "pass,nolog,ctl:ruleRemoveById=" + std::to_string(10 + below(12)), "allow,nolog",
                      "pass,nolog,ctl:ruleRemoveByTag=t", "pass,skipAfter:M" + std::to_string(below(2)),
                      "allow:phase,nolog"});
      } else {
        text += "t:none";
      }
      text += extras();
      if (i + 1 < length) text += ",chain";
      text += "\"\n";
    }
    return text;
  }

  std::mt19937 random_;
  int id_ = 10;
};

/// How many rules of the request's phases `few` lacks, those that stand for others counted against it.
[[nodiscard]] std::ptrdiff_t left_out(modsecurity::RulesSet& all, modsecurity::RulesSet& few) {
  std::ptrdiff_t count = 0;
  for (const int phase : {modsecurity::Phases::RequestHeadersPhase, modsecurity::Phases::RequestBodyPhase}) {
    const auto& rules = few.m_rulesSetPhases.at(phase)->m_rules;
    for (const auto& rule : all.m_rulesSetPhases.at(phase)->m_rules) {
      if (std::ranges::find(rules, rule) == rules.end()) ++count;
    }
  }
  return count;
}

TEST(RandomRules, NeverCallCleanWhatTheLibraryFiresOn) {
  const char* wanted = std::getenv("GATEHOUSE_RANDOM_RULE_SETS");
  const int sets = wanted == nullptr ? 300 : std::atoi(wanted);
  const char* first = std::getenv("GATEHOUSE_RANDOM_SEED");
  const int seed = first == nullptr ? 1 : std::atoi(first);
  test::Oracle oracle;
  int with_fast_path = 0;
  int skipped = 0;
  int flagged = 0;
  int narrowed_requests = 0;
  for (int i = 0; i < sets && !::testing::Test::HasFailure(); ++i) {
    RandomRules random(static_cast<std::uint32_t>(seed + i));
    const auto rules = random.rules();
    test::LoadedPair pair;
    try {
      pair = test::load_pair(oracle, rules, "./random.conf");
    } catch (const std::runtime_error&) {
      continue;  // the library refuses some (a second chain link with a disruptive action)
    }
    EXPECT_FALSE(pair.understood.check.mismatch) << pair.understood.check.mismatch->what << "\n" << rules;
    if (!pair.built.fast_path) continue;
    ++with_fast_path;
    FastPath::Worker worker(pair.built.fast_path, 1);
    const NarrowedRules narrowed(pair.rules, *pair.built.plan);
    for (int j = 0; j < 60 && !::testing::Test::HasFailure(); ++j) {
      const auto request = random.request();
      const test::RequestViews views(request);
      const bool clean = worker.check_request(views.input()).clean();
      const auto findings = oracle.run(*pair.rules, views.input());
      flagged += findings.none() ? 0 : 1;
      std::string headers;
      for (const auto& [name, value] : request.headers) headers += name + ": " + value + "\n";
      if (const auto* candidates = worker.candidates()) {
        const auto few = narrowed.narrow(*candidates);
        if (left_out(*pair.rules, *few) == 0) continue;
        ++narrowed_requests;
        EXPECT_EQ(oracle.run(*few, views.input()).trace, findings.trace)
            << "set " << seed + i << "\n"
            << rules << request.method << " " << request.uri << "\n"
            << headers << request.body;
      }
      if (!clean) continue;
      ++skipped;
      EXPECT_EQ(findings.what, "") << "set " << seed + i << "\n"
                                   << rules << request.method << " " << request.uri << "\n"
                                   << headers << request.body;
    }
  }
  std::cout << sets << " sets, " << with_fast_path << " with a fast path, " << skipped << " requests skipped, "
            << flagged << " flagged by the library, " << narrowed_requests << " of these evaluated with fewer rules\n";
  EXPECT_GT(with_fast_path, sets / 20);
  EXPECT_GT(skipped, 0);
  EXPECT_GT(narrowed_requests, 0);
}

}  // namespace
}  // namespace gatehouse::waf::fastpath
