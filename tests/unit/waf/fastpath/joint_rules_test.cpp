#include "waf/fastpath/joint_rules.hpp"

#include <set>

#include <gtest/gtest.h>

#include "fast_path_pair.hpp"

namespace gatehouse::waf::fastpath {
namespace {

/// Two messages that differ in one thing which the rule looks at: the first is clean, the second is not.
struct Remembered {
  const char* name;
  const char* rules;
  WafRequest clean;
  WafRequest other;
};

WafRequest with(WafRequest request, std::string WafRequest::* part, std::string text) {
  request.*part = std::move(text);
  return request;
}

std::vector<Remembered> cases() {
  const WafRequest plain = get("/a", {{"Host", "h"}});
  const auto headers = [](std::vector<std::pair<std::string, std::string>> fields) {
    fields.insert(fields.begin(), {"Host", "h"});
    return get("/a", std::move(fields));
  };
  return {
      {"Method", "SecRule REQUEST_METHOD \"@streq DELETE\" \"id:1,phase:2,deny\"\n", plain,
       with(plain, &WafRequest::method, "DELETE")},
      {"OneHeader", "SecRule REQUEST_HEADERS:X-A \"@streq 1\" \"id:1,phase:1,deny\"\n", headers({{"X-A", "2"}}),
       headers({{"X-A", "1"}})},
      {"OneOfTwoHeaders", "SecRule REQUEST_HEADERS:X-A \"@streq 1\" \"id:1,phase:1,deny\"\n",
       headers({{"X-A", "2"}, {"X-B", "1"}}), headers({{"X-A", "2"}, {"x-a", "1"}})},
      {"HowManyHeaders", "SecRule &REQUEST_HEADERS:X-A \"@gt 1\" \"id:1,phase:1,deny\"\n", headers({{"X-A", "2"}}),
       headers({{"X-A", "2"}, {"X-A", "2"}})},
      {"HowManyArguments", "SecRule &ARGS \"@gt 2\" \"id:1,phase:2,deny\"\n", get("/?a=1&b=2"), get("/?a=1&b=2&c=3")},
      {"HeaderNames",
       "SecRule REQUEST_HEADERS_NAMES \"@rx ^.*$\" "
       "\"id:1,phase:2,deny,capture,t:lowercase,setvar:'tx.n_%{tx.0}=/%{tx.0}/',"
       "chain\"\nSecRule TX:/^n_/ \"@within /proxy/\" \"t:none\"\n",
       headers({{"Prox", "y"}}), headers({{"Proxy", "y"}})},
      {"Chain",
       "SecRule REQUEST_METHOD \"@streq POST\" \"id:1,phase:2,deny,chain\"\n"
       "SecRule &REQUEST_HEADERS:Content-Type \"@eq 0\"\n",
       plain, with(plain, &WafRequest::method, "POST")},
      {"ParameterFromTheMessage",
       "SecRule REQUEST_HEADERS:X-A \"@streq %{REQUEST_HEADERS.X-B}\" \"id:1,phase:1,deny\"\n",
       headers({{"X-A", "1"}, {"X-B", "2"}}), headers({{"X-A", "1"}, {"X-B", "1"}})},
      {"WrittenByAnotherRule",
       "SecRule REQUEST_HEADERS:X-B \"@streq 1\" \"id:2,phase:1,nolog,pass,setvar:tx.seen=1\"\n"
       "SecRule TX:seen \"@eq 1\" \"id:1,phase:2,deny,chain\"\nSecRule REQUEST_METHOD \"@streq GET\"\n",
       headers({{"X-B", "2"}}), headers({{"X-B", "1"}})},
      {"Basename", "SecRule REQUEST_BASENAME \"!@rx ^[a-z]*$\" \"id:1,phase:2,deny\"\n", get("/x/abc"), get("/x/ABC")},
      {"PhaseThree", "SecRule REQUEST_HEADERS:X-A \"@streq 1\" \"id:1,phase:3,deny\"\n", headers({{"X-A", "2"}}),
       headers({{"X-A", "1"}})},
  };
}

TEST(JointRules, RememberNoAnswerOfAnotherMessage) {
  for (const auto& [name, rules, clean, other] : cases()) {
    SCOPED_TRACE(name);
    Pair pair(rules);
    ASSERT_EQ(pair.refusal(), "");
    EXPECT_TRUE(pair.clean_response(clean, 200, "x"));
    EXPECT_TRUE(pair.clean_response(clean, 200, "x"));
    EXPECT_FALSE(pair.clean_response(other, 200, "x"));
    EXPECT_TRUE(pair.clean_response(clean, 200, "x"));
  }
}

TEST(Fields, RememberedTogetherAreTakenForNoOthers) {
  // A rule for each of what is looked at of fields; each head is clean but the last two of a kind of it.
  Pair pair(
      "SecRule REQUEST_HEADERS \"@contains evil\" \"id:1,phase:1,deny\"\n"
      "SecRule REQUEST_HEADERS_NAMES \"@contains evil\" \"id:2,phase:1,deny\"\n"
      "SecRule REQUEST_COOKIES \"@contains bad\" \"id:3,phase:1,deny\"\n"
      "SecRule REQUEST_COOKIES_NAMES \"@contains bad\" \"id:4,phase:1,deny\"\n"
      "SecRule REQUEST_HEADERS:X-Only \"@contains here\" \"id:5,phase:1,deny\"\n");
  ASSERT_EQ(pair.refusal(), "");
  using Fields = std::vector<std::pair<std::string, std::string>>;
  const std::vector<Fields> clean = {{{"Host", "h"}, {"X-A", "1"}, {"X-Other", "here"}, {"Cookie", "a=b; c=d"}},
                                     {{"Host", "h"}, {"X-A", "1x"}},
                                     {{"Host", "h"}, {"X-Only", "elsewhen"}, {"X-Long", std::string(1500, 'l')}},
                                     {{"Host", "h"}, {"X-Long", std::string(4000, 'l')}}};
  const std::vector<Fields> bad = {{{"Host", "h"}, {"X-A", "1"}, {"X-Only", "here"}, {"Cookie", "a=b; c=d"}},
                                   {{"Host", "h"}, {"X-A", "evil"}, {"X-Other", "here"}, {"Cookie", "a=b; c=d"}},
                                   {{"Host", "h"}, {"evil", "1"}},
                                   {{"Host", "h"}, {"Cookie", "a=b; c=bad"}},
                                   {{"Host", "h"}, {"Cookie", "a=b; bad=d"}},
                                   {{"Host", "h"}, {"X-Long", std::string(4000, 'l') + "evil"}}};
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < clean.size(); ++i) EXPECT_TRUE(pair.clean(get("/a", clean[i]))) << round << " " << i;
    for (std::size_t i = 0; i < bad.size(); ++i) EXPECT_FALSE(pair.clean(get("/a", bad[i]))) << round << " " << i;
  }
  // The same fields in front of another line.
  EXPECT_TRUE(pair.clean(get("/b?x=y", clean[0])));
}

TEST(JointRules, RememberResponsesByStatusAndBody) {
  Pair pair(
      "SecResponseBodyAccess On\nSecResponseBodyMimeType text/html\n"
      "SecRule RESPONSE_STATUS \"@streq 500\" \"id:1,phase:4,deny,chain\"\n"
      "SecRule RESPONSE_BODY \"@rx Error\"\n");
  ASSERT_EQ(pair.refusal(), "");
  EXPECT_TRUE(pair.clean_response(get("/"), 200, "Error"));
  EXPECT_TRUE(pair.clean_response(get("/"), 500, "fine"));
  EXPECT_FALSE(pair.clean_response(get("/"), 500, "Error"));
  EXPECT_TRUE(pair.clean_response(get("/"), 200, "Error"));
}

TEST(JointRules, WriteEqualTextsForEqualInputsOnly) {
  // What is moved from one field to its neighbour, or from a value to the next, must show.
  const JointRules group{
      .varies = false,
      .inputs = {{.kind = VariableKind::request_headers, .whole = false, .counted = false, .name = "a"},
                 {.kind = VariableKind::request_headers, .whole = false, .counted = false, .name = "b"},
                 {.kind = VariableKind::request_method, .whole = true, .counted = false, .name = {}}},
      .rules = {}};
  Scratch scratch;
  RequestValues values(scratch);
  std::vector<std::string> keys;
  bool short_room_suffices = false;
  const auto add = [&](std::string method, std::vector<std::pair<std::string, std::string>> fields) {
    WafRequest request = get("/", std::move(fields));
    request.method = std::move(method);
    const test::RequestViews views(request);
    EXPECT_EQ(values.parse_head(views.input(), {}), ParseOutcome::parsed);
    keys.emplace_back(group.key(values, nullptr, 1024, scratch).value_or("too long"));
    short_room_suffices = short_room_suffices || group.key(values, nullptr, 8, scratch);
  };
  using namespace std::string_literals;
  add("GET", {});
  add("", {{"a", ""}});
  add("", {{"b", ""}});
  add("", {{"a", ""}, {"a", ""}});
  add("", {{"a", ""}, {"b", ""}});
  add("", {{"a", "GET"}});
  add("", {{"b", "GET"}});
  add("", {{"a", "1"}, {"a", "2"}});
  add("", {{"a", "12"}, {"a", ""}});
  add("", {{"a", "1"}, {"b", "2"}});
  add("\1"s, {});
  add("", {{"a", "\1\0\0\0"s}});
  const std::set<std::string> distinct(keys.begin(), keys.end());
  EXPECT_EQ(distinct.size(), keys.size());
  EXPECT_FALSE(short_room_suffices) << "what is longer than asked for is no key";
}

}  // namespace
}  // namespace gatehouse::waf::fastpath
