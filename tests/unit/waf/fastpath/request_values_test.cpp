// Layer 4: every modelled variable against the public members of a libmodsecurity transaction, on mutated requests.
#include "waf/fastpath/request_values.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include <gtest/gtest.h>
#include <modsecurity/modsecurity.h>
#include <modsecurity/rules_set.h>
#include <modsecurity/transaction.h>

#include "tests/unit/waf/fastpath/library.hpp"

namespace gatehouse::waf::fastpath {
namespace {

using testing::Inputs;
using testing::printable;
using Kind = VariableKind;
using Pairs = std::vector<std::pair<std::string, std::string>>;

/// A request with its own memory.
struct Request {
  std::string method = "GET";
  std::string uri = "/";
  std::string version = "1.1";
  Pairs headers;
  std::string body;
  BodyParser rule = BodyParser::none;  ///< what a ctl chose
};

constexpr std::size_t argument_limit = 20;
constexpr std::size_t json_depth = 12;

class Library {
 public:
  Library() {
    const std::string text = "SecRuleEngine On\nSecRequestBodyAccess On\nSecArgumentsLimit " +
                             std::to_string(argument_limit) + "\nSecRequestBodyJsonDepthLimit " +
                             std::to_string(json_depth) + "\nSecRequestBodyNoFilesLimit 4000\n";
    EXPECT_GE(rules_.load(text.c_str()), 0) << rules_.getParserError();
  }

  std::unique_ptr<modsecurity::Transaction> run(const Request& request) {
    auto transaction = std::make_unique<modsecurity::Transaction>(&engine_, &rules_, nullptr);
    transaction->processConnection("192.0.2.1", 4711, "198.51.100.2", 443);
    transaction->processURI(request.uri.c_str(), request.method.c_str(), request.version.c_str());
    for (const auto& [name, value] : request.headers) transaction->addRequestHeader(name, value);
    transaction->processRequestHeaders();
    if (request.rule == BodyParser::json) {
      transaction->m_requestBodyProcessor = modsecurity::Transaction::JSONRequestBody;
      transaction->m_variableReqbodyProcessor.set("JSON", transaction->m_variableOffset);
    } else if (request.rule == BodyParser::urlencoded) {
      transaction->m_requestBodyType = modsecurity::Transaction::WWWFormUrlEncoded;
      transaction->m_variableReqbodyProcessor.set("URLENCODED", transaction->m_variableOffset);
    }
    if (!request.body.empty()) {
      transaction->appendRequestBody(reinterpret_cast<const unsigned char*>(request.body.data()), request.body.size());
    }
    transaction->processRequestBody();
    return transaction;
  }

 private:
  modsecurity::ModSecurity engine_;
  modsecurity::RulesSet rules_;
};

struct Scalar {
  Kind kind;
  modsecurity::AnchoredVariable modsecurity::TransactionAnchoredVariables::* member;
};

const std::vector<Scalar>& scalars() {
  using T = modsecurity::TransactionAnchoredVariables;
  static const std::vector<Scalar> list{
      {Kind::args_combined_size, &T::m_variableARGScombinedSize},
      {Kind::auth_type, &T::m_variableAuthType},
      {Kind::full_request_length, &T::m_variableFullRequestLength},
      {Kind::inbound_data_error, &T::m_variableInboundDataError},
      {Kind::path_info, &T::m_variablePathInfo},
      {Kind::query_string, &T::m_variableQueryString},
      {Kind::remote_addr, &T::m_variableRemoteAddr},
      {Kind::remote_host, &T::m_variableRemoteHost},
      {Kind::remote_port, &T::m_variableRemotePort},
      {Kind::reqbody_error, &T::m_variableReqbodyError},
      {Kind::reqbody_error_msg, &T::m_variableReqbodyErrorMsg},
      {Kind::reqbody_processor, &T::m_variableReqbodyProcessor},
      {Kind::reqbody_processor_error, &T::m_variableReqbodyProcessorError},
      {Kind::reqbody_processor_error_msg, &T::m_variableReqbodyProcessorErrorMsg},
      {Kind::request_basename, &T::m_variableRequestBasename},
      {Kind::request_body, &T::m_variableRequestBody},
      {Kind::request_body_length, &T::m_variableRequestBodyLength},
      {Kind::request_filename, &T::m_variableRequestFilename},
      {Kind::request_line, &T::m_variableRequestLine},
      {Kind::request_method, &T::m_variableRequestMethod},
      {Kind::request_protocol, &T::m_variableRequestProtocol},
      {Kind::request_uri, &T::m_variableRequestURI},
      {Kind::request_uri_raw, &T::m_variableRequestURIRaw},
      {Kind::server_addr, &T::m_variableServerAddr},
      {Kind::server_name, &T::m_variableServerName},
      {Kind::server_port, &T::m_variableServerPort},
      {Kind::url_encoded_error, &T::m_variableUrlEncodedError},
  };
  return list;
}

/// Name and value of every member, sorted: the library's order is that of a hash table.
Pairs library_members(modsecurity::Transaction& transaction, Kind kind) {
  std::vector<const modsecurity::VariableValue*> values;
  switch (kind) {
    case Kind::args: transaction.m_variableArgs.resolve(&values); break;
    case Kind::args_names: transaction.m_variableArgsNames.resolve(&values); break;
    case Kind::args_get: transaction.m_variableArgsGet.resolve(&values); break;
    case Kind::args_get_names: transaction.m_variableArgsGetNames.resolve(&values); break;
    case Kind::args_post: transaction.m_variableArgsPost.resolve(&values); break;
    case Kind::args_post_names: transaction.m_variableArgsPostNames.resolve(&values); break;
    case Kind::request_cookies: transaction.m_variableRequestCookies.resolve(&values); break;
    case Kind::request_cookies_names: transaction.m_variableRequestCookiesNames.resolve(&values); break;
    case Kind::request_headers: transaction.m_variableRequestHeaders.resolve(&values); break;
    case Kind::request_headers_names: transaction.m_variableRequestHeadersNames.resolve(&values); break;
    default: ADD_FAILURE() << "not a modelled collection: " << name(kind);
  }
  Pairs pairs;
  for (const modsecurity::VariableValue* value : values) {
    pairs.emplace_back(value->getKey(), value->getValue());
    delete value;
  }
  std::ranges::sort(pairs);
  return pairs;
}

Pairs native_members(const RequestValues& values, Kind kind) {
  Pairs pairs;
  for (const Member& member : values.members(kind)) {
    pairs.emplace_back(std::string(member.name), std::string(RequestValues::value_of(kind, member)));
  }
  std::ranges::sort(pairs);
  return pairs;
}

std::string describe(const Request& request) {
  std::string text = request.method + " " + request.uri + " " + request.version + "\n";
  for (const auto& [name, value] : request.headers) text += name + ": " + value + "\n";
  return printable(text + "\n" + request.body);
}

/// One native parser and one library, compared request by request.
class Comparison {
 public:
  enum class Result { equal, unmodelled };

  Result run(const Request& request) {
    scratch_.reset();
    std::vector<HeaderView> headers;
    for (const auto& [name, value] : request.headers) headers.push_back({name, value});
    const std::string_view body = request.body;
    const RequestInput input{.client = {"192.0.2.1", 4711},
                             .server = {"198.51.100.2", 443},
                             .method = request.method,
                             .uri = request.uri,
                             .version = request.version,
                             .headers = headers,
                             .body = {.segments = {&body, 1}, .spill_path = {}, .truncated = false},
                             .unique_id = {}};
    const ParserSettings settings{.argument_separator = '&',
                                  .arguments_limit = argument_limit,
                                  .body_no_files_limit = 4000,
                                  .json_depth_limit = json_depth};
    if (values_.parse_head(input, settings) != ParseOutcome::parsed) return Result::unmodelled;
    if (request.rule != BodyParser::none) values_.choose_body_parser(request.rule);
    const auto whole = whole_body(input.body, scratch_);
    if (!whole || values_.parse_body(*whole) != ParseOutcome::parsed) return Result::unmodelled;
    compare(request);
    return Result::equal;
  }

  std::unique_ptr<modsecurity::Transaction> library(const Request& request) { return library_.run(request); }
  const RequestValues& values() const { return values_; }

 private:
  void compare(const Request& request) {
    const auto transaction = library_.run(request);
    for (const Scalar& scalar : scalars()) {
      ASSERT_TRUE(RequestValues::models(scalar.kind)) << name(scalar.kind);
      const std::string& expected = ((*transaction).*(scalar.member)).m_value;
      ASSERT_EQ(printable(values_.scalar(scalar.kind)), printable(expected)) << name(scalar.kind) << " of\n"
                                                                             << describe(request);
    }
    for (std::size_t i = 0; i < variable_kind_count; ++i) {
      const auto kind = static_cast<Kind>(i);
      if (shape(kind) != VariableShape::collection || !RequestValues::models(kind)) continue;
      ASSERT_EQ(native_members(values_, kind), library_members(*transaction, kind)) << name(kind) << " of\n"
                                                                                    << describe(request);
    }
  }

  Library library_;
  Scratch scratch_;
  RequestValues values_{scratch_};
};

const std::vector<std::string>& fragments() {
  static const std::vector<std::string> list{
      "a",           "b",     "name", "1",    "=",      "&",  ";",  " ",        "+",    "%",  "%20", "%3F",
      "%3f",         "%2F",   "%00",  "%zz",  "%u0041", "?",  "#",  "/",        "//",   ":",  "\\",  "..",
      "http://host", "http:", "a:b",  ".php", "\t",     "\r", "\n", "\xc3\xa9", "\xff", "==", "&&",  ";;",
      "=;",          "@",     "[",    "]",    "{",      "}",  "\"", ",",        "null"};
  return list;
}

std::string json_value(Inputs& random, int depth) {
  static const std::vector<std::string> leaves{"1",
                                               "-2.5e3",
                                               "true",
                                               "false",
                                               "null",
                                               "\"\"",
                                               "\"text\"",
                                               "\"a\\u0041\\n\\\"b\"",
                                               "\"\xc3\xa9\"",
                                               "\"\\ud83d\\ude00\""};
  static const std::vector<std::string> keys{"\"a\"", "\"\"", "\"b.c\"", "\"\\u00e9\"", "\"array_0\""};
  const std::uint32_t choice = depth <= 0 ? 0 : random.below(4);
  if (choice < 2) return leaves[random.below(static_cast<std::uint32_t>(leaves.size()))];
  std::string text = choice == 2 ? "[" : "{";
  const std::uint32_t count = random.below(4);
  for (std::uint32_t i = 0; i < count; ++i) {
    if (i > 0) text += random.below(4) == 0 ? " , " : ",";
    if (choice == 3) text += keys[random.below(static_cast<std::uint32_t>(keys.size()))] + ":";
    text += json_value(random, depth - 1);
  }
  return text + (choice == 2 ? "]" : "}");
}

Request random_request(Inputs& random) {
  static const std::vector<std::string> names{
      "Host",       "cookie", "Cookie", "COOKIE", "Content-Type", "content-type", "Authorization",
      "User-Agent", "X-A",    "x-a",    ""};
  static const std::vector<std::string> types{"application/x-www-form-urlencoded",
                                              "application/X-WWW-form-urlencoded; charset=utf-8",
                                              "multipart/form-data; boundary=x",
                                              "application/json",
                                              "text/plain",
                                              ""};
  Request request;
  static const std::vector<std::string> methods{"GET", "POST", "PUT", "", "G T"};
  request.method = methods[random.below(static_cast<std::uint32_t>(methods.size()))];
  request.uri = (random.below(4) == 0 ? "" : "/") + random.from(fragments(), 6) +
                (random.below(2) == 0 ? "?" + random.from(fragments(), 12) : "");
  if (random.below(3) == 0) request.version = random.below(2) == 0 ? "1.0" : "2.0";
  for (std::uint32_t n = random.below(6); n > 0; --n) {
    const std::string& header = names[random.below(static_cast<std::uint32_t>(names.size()))];
    const bool type = header == "Content-Type" || header == "content-type";
    request.headers.emplace_back(
        header, type ? types[random.below(static_cast<std::uint32_t>(types.size()))] : random.from(fragments(), 8));
  }
  if (random.below(3) != 0) {
    request.rule = random.below(2) == 0   ? BodyParser::json
                   : random.below(4) == 0 ? BodyParser::urlencoded
                                          : BodyParser::none;
    request.body = request.rule == BodyParser::json ? json_value(random, 4) : random.from(fragments(), 20);
    if (random.below(5) == 0) request.body = random.mutate(request.body, fragments());
  }
  return request;
}

TEST(RequestValues, EqualTheLibrarysOnMutatedRequests) {
  // GATEHOUSE_DIFFERENTIAL_REQUESTS raises the number; a million takes some two minutes.
  const char* wanted = std::getenv("GATEHOUSE_DIFFERENTIAL_REQUESTS");
  const long requests = wanted != nullptr ? std::atol(wanted) : 20000;
  Inputs random(41);
  Comparison comparison;
  long equal = 0;
  for (long i = 0; i < requests && !::testing::Test::HasFailure(); ++i) {
    if (comparison.run(random_request(random)) == Comparison::Result::equal) ++equal;
  }
  EXPECT_GE(equal, requests * 7 / 10) << "too many requests were left to the library";
}

TEST(RequestValues, NameJsonLeavesAsTheLibraryDoes) {
  Comparison comparison;
  Request request;
  request.method = "POST";
  request.rule = BodyParser::json;
  request.body = R"({"a":{"b":[1,{"c":true},[null]]},"":"x","d":{"":{"e":2}}})";
  ASSERT_EQ(comparison.run(request), Comparison::Result::equal);
  EXPECT_EQ(native_members(comparison.values(), Kind::args), (Pairs{{"json.a.b.array_0", "1"},
                                                                    {"json.a.b.array_1.c", "true"},
                                                                    {"json.a.b.array_2.array_0", ""},
                                                                    {"json.d.empty-key.e", "2"},
                                                                    {"json.empty-key", "x"}}));
}

TEST(RequestValues, LeaveToTheLibraryWhatItCallsBroken) {
  Comparison comparison;
  Request request;
  request.method = "POST";
  request.rule = BodyParser::json;
  for (const char* body : {"{", "{\"a\":}", "\"\xff\"", "[[[[[[[[[[[[[1]]]]]]]]]]]]]", "{} x", "nul"}) {
    request.body = body;
    EXPECT_EQ(comparison.run(request), Comparison::Result::unmodelled) << body;
    EXPECT_EQ(comparison.library(request)->m_variableReqbodyError.m_value, "1") << body;
  }
  request.rule = BodyParser::none;
  request.headers = {{"Content-Type", "multipart/form-data; boundary=b"}};
  EXPECT_EQ(comparison.run(request), Comparison::Result::unmodelled);
  request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}};
  request.body = std::string(4001, 'a');
  EXPECT_EQ(comparison.run(request), Comparison::Result::unmodelled);
  request.uri = std::string("/a\0b", 4);
  EXPECT_EQ(comparison.run(request), Comparison::Result::unmodelled);
}

TEST(RequestValues, ASkippedCookieIsCaughtByTheComparison) {
  // The harness must be able to fail: the members without one cookie are not the library's.
  Comparison comparison;
  Request request;
  request.headers = {{"Cookie", "a=1; b=<script>; c"}};
  ASSERT_EQ(comparison.run(request), Comparison::Result::equal);
  Pairs faulty = native_members(comparison.values(), Kind::request_cookies);
  ASSERT_EQ(faulty.size(), 3u);
  faulty.pop_back();
  const auto transaction = comparison.library(request);
  EXPECT_NE(faulty, library_members(*transaction, Kind::request_cookies));
}

TEST(RequestValues, JoinABodyOfSeveralSegments) {
  Scratch scratch;
  const std::vector<std::string_view> segments{"ab", "", "cd"};
  EXPECT_EQ(whole_body({.segments = segments, .spill_path = {}, .truncated = false}, scratch), "abcd");
  EXPECT_EQ(whole_body({.segments = segments, .spill_path = "/tmp/x", .truncated = false}, scratch), std::nullopt);
  EXPECT_EQ(whole_body({.segments = segments, .spill_path = {}, .truncated = true}, scratch), std::nullopt);
  EXPECT_EQ(whole_body({}, scratch), "");
}

}  // namespace
}  // namespace gatehouse::waf::fastpath
